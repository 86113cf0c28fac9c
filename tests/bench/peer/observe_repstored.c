/* observe_repstored.c - a release of two aggregating tables, and their rows. */
#include "client/include/repstore.h"
#include "tests/bench/driver/observe.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHUNK_ROWS = 16384 }; /* 4 MiB */

static const char *const tables[CROWD_SIDES] = {"cr_user@fm", "cr_item@fm"};

static void must(enum rep_status status, const struct rep_error *err)
{
	if (status != REP_OK) {
		die("%s: %s", rep_status_name(status), err->text);
	}
}

static void *repstored_open(const char *path)
{
	struct rep_error err;
	rep_client *client = NULL;
	const struct rep_options options = {.address = path};
	must(rep_connect(&options, &client, &err), &err);
	rep_set_timeout(client, 0);
	return client;
}

static void repstored_close(void *reader)
{
	rep_close(reader);
}

static void create_table(rep_client *client, enum crowd_side side)
{
	struct rep_error err;
	struct rep_table_spec spec = {.entity = side == CROWD_USERS ? REP_USER : REP_ITEM,
		.kind = REP_CR,
		.dim = MEASURE_DIM,
		.half_life_ms = (uint64_t)crowd_half_life_ms};
	(void)snprintf(spec.name, sizeof spec.name, "%s", tables[side]);
	must(rep_table_create(client, "bench", &spec, &err), &err);
}

static void load_table(rep_client *client, const struct crowd *crowd, enum crowd_side side)
{
	struct rep_error err;
	rep_load *load = NULL;
	must(rep_load_begin(client, "bench", tables[side], "bench", &load, NULL, &err), &err);
	uint64_t *keys = allocate(CHUNK_ROWS * sizeof *keys);
	int64_t *times = allocate(CHUNK_ROWS * sizeof *times);
	for (uint64_t first = 0; first < crowd->counts[side]; first += CHUNK_ROWS) {
		const uint64_t left = crowd->counts[side] - first;
		const uint32_t count = left < CHUNK_ROWS ? (uint32_t)left : CHUNK_ROWS;
		for (uint32_t i = 0; i < count; i++) {
			keys[i] = first + i;
			times[i] = crowd->loaded_ms;
		}
		/* A chunk's rows stand side by side: what is made is a multiple of a chunk. */
		const struct rep_rows chunk = {.keys = rep_keys_u64(keys, count),
			.dtype = REP_F32,
			.rows = crowd_loaded_row(crowd, first),
			.times = times};
		must(rep_load_chunk(load, &chunk, &err), &err);
	}
	must(rep_load_end(load, NULL, &err), &err);
	free(times);
	free(keys);
}

static void repstored_load(const char *path, const struct crowd *crowd)
{
	struct rep_error err;
	rep_client *client = repstored_open(path);
	must(rep_release_create(client, "bench", NULL, NULL, &err), &err);
	for (int side = 0; side < CROWD_SIDES; side++) {
		create_table(client, side);
		load_table(client, crowd, side);
	}
	must(rep_release_seal(client, "bench", &err), &err);
	must(rep_release_publish(client, "bench", &err), &err);
	rep_close(client);
}

static void repstored_read(void *arg, enum crowd_side side, uint64_t key, struct crowd_state *out)
{
	struct rep_error err;
	uint8_t found = 0;
	struct rep_part part = {.table = tables[side],
		.keys = rep_keys_u64(&key, 1),
		.dtype = REP_F32,
		.raw = true,
		.rows = out->sum,
		.rows_bytes = sizeof out->sum,
		.weights = &out->weight,
		.found = &found};
	must(rep_fetch(arg, NULL, &part, 1, NULL, &err), &err);
	if (found != 1) {
		die("no row of key %" PRIu64 " in '%s'", key, tables[side]);
	}
}

const struct observer observer_repstored = {.name = "repstored",
	.kind = &put_samples,
	.load = repstored_load,
	.open = repstored_open,
	.read = repstored_read,
	.close = repstored_close};
