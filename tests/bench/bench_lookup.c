/* bench_lookup.c - a batch of random keys looked up in process, against copying the same rows.
 *
 *   bench_lookup [ROWS [KEYS [DIM [DELTAS]]]]       default 1000000 500 64 0, f32
 *
 * Above the base lie DELTAS deltas, 7 at most, of ROWS / 40 random keys each. Prints the load and seal rates too. Rows: key i has all elements i.
 */
#include "daemon/store/merge/merge.h"
#include "daemon/store/read/lookup.h"
#include "daemon/store/state/options.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/store.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/write/write.h"
#include "tests/bench/bench_fill.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 5000, DELTAS_MAX = 7, DELTA_PART = 40, PUT_ROWS = 4096 };

/* Puts rows of random keys as they are, and merges them into a delta. */
static void add_delta(struct store *store, uint64_t rows, uint32_t dim, uint64_t *state)
{
	struct error err = {0};
	float *data = malloc((size_t)PUT_ROWS * dim * sizeof *data);
	uint64_t *keys = malloc((size_t)PUT_ROWS * sizeof *keys);
	if (data == NULL || keys == NULL) {
		exit(1);
	}
	for (uint64_t left = rows / DELTA_PART; left > 0;) {
		const uint32_t count = left < PUT_ROWS ? (uint32_t)left : PUT_ROWS;
		for (uint32_t i = 0; i < count; i++) {
			keys[i] = bench_next_random(state) % rows;
			for (uint32_t j = 0; j < dim; j++) {
				data[(size_t)i * dim + j] = (float)keys[i];
			}
		}
		const struct table_write part = {.table = "ir",
			.batch = {.keys = {KEY_U64, count, (const uint8_t *)keys, NULL},
				.dtype = DTYPE_F32,
				.rows = (const uint8_t *)data,
				.rows_bytes = (size_t)count * dim * sizeof *data}};
		const struct row_write put = {.release = "r1",
			.parts = &part,
			.part_count = 1,
			.now_ms = 1};
		struct write_result result;
		struct write_ticket *ticket;
		bench_must(store_put(store, &put, &result, &ticket, &err), &err);
		bench_must(store_write_wait(ticket, &err), &err);
		left -= count;
	}
	struct merge_result merged;
	bench_must(store_merge(store, NULL, &merged, &err), &err);
	free(data);
	free(keys);
}

static void report(const char *name, double *times)
{
	bench_sort(times, ROUNDS);
	printf("%s_p50 %.1f us\n%s_p99 %.1f us\n", name, times[ROUNDS / 2] * 1e6, name,
		times[ROUNDS * 99 / 100] * 1e6);
}

/* What both sides of the comparison use. */
struct bench {
	struct store *store;
	uint64_t rows;
	uint32_t count;
	uint32_t dim;
	uint64_t *keys;
	uint8_t *out;
	uint8_t *found;
	float *plain;
	uint64_t state;
};

static void draw_keys(struct bench *bench)
{
	for (uint32_t i = 0; i < bench->count; i++) {
		bench->keys[i] = bench_next_random(&bench->state) % bench->rows;
	}
}

static double time_lookup(struct bench *bench)
{
	struct error err = {0};
	draw_keys(bench);
	const double start = bench_now_s();
	const struct snapshot *snapshot = snapshot_begin(bench->store);
	const struct table *table;
	bench_must(release_table(snapshot->live, "ir", &table, &err), &err);
	struct lookup lookup = {.table = table,
		.keys = {KEY_U64, bench->count, (const uint8_t *)bench->keys, NULL},
		.dtype = DTYPE_F32,
		.rows = bench->out,
		.found = bench->found,
		.may_block = true};
	bench_must(table_lookup(&lookup, &err), &err);
	snapshot_end(bench->store);
	const double elapsed = bench_now_s() - start;
	const uint32_t probe = (uint32_t)(bench_next_random(&bench->state) % bench->count);
	float value;
	memcpy(&value, bench->out + (size_t)probe * bench->dim * 4, 4);
	if (lookup.counts[WHY_FOUND] != bench->count || value != (float)bench->keys[probe]) {
		(void)fprintf(stderr, "bench_lookup: a wrong row\n");
		exit(1);
	}
	return elapsed;
}

static double time_memcpy(struct bench *bench)
{
	const size_t stride = (size_t)bench->dim * 4;
	draw_keys(bench);
	const double start = bench_now_s();
	for (uint32_t i = 0; i < bench->count; i++) {
		memcpy(bench->out + i * stride, bench->plain + bench->keys[i] * bench->dim, stride);
	}
	return bench_now_s() - start;
}

static void print_levels(struct store *store)
{
	struct error err = {0};
	const struct table *table;
	bench_must(release_table(snapshot_begin(store)->live, "ir", &table, &err), &err);
	printf("levels %zu levels\n", table->level_count);
	snapshot_end(store);
}

/* In turns, so that a busy machine slows both. */
static void measure(struct bench *bench)
{
	const size_t stride = (size_t)bench->dim * 4;
	double *lookups = malloc(ROUNDS * sizeof *lookups);
	double *copies = malloc(ROUNDS * sizeof *copies);
	bench->keys = malloc(bench->count * sizeof *bench->keys);
	bench->out = malloc(bench->count * stride);
	bench->found = malloc(bench->count);
	bench->plain = malloc(bench->rows * stride);
	if (lookups == NULL || copies == NULL || bench->keys == NULL || bench->out == NULL ||
		bench->found == NULL || bench->plain == NULL) {
		exit(1);
	}
	memset(bench->plain, 1, bench->rows * stride);
	for (int round = 0; round < ROUNDS; round++) {
		lookups[round] = time_lookup(bench);
		copies[round] = time_memcpy(bench);
	}
	report("lookup", lookups);
	report("memcpy", copies);
	printf("lookup_per_memcpy %.2f ratio\n", lookups[ROUNDS / 2] / copies[ROUNDS / 2]);
	free(lookups);
	free(copies);
	free(bench->keys);
	free(bench->out);
	free(bench->found);
	free(bench->plain);
}

int main(int argc, char **argv)
{
	const uint64_t rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	const uint32_t count = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 500;
	const uint32_t dim = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 64;
	const uint32_t deltas = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 0;
	char folder[] = "/tmp/bench_lookup.XXXXXX";
	if (rows == 0 || count == 0 || dim == 0 || deltas > DELTAS_MAX || mkdtemp(folder) == NULL) {
		return 2;
	}
	struct error err = {0};
	struct store *store = NULL;
	const struct store_options options = {.folder = folder,
		.load_memory_bytes = 512u << 20,
		.catalog_bytes = 64u << 20};
	grace_register();
	bench_must(store_open(&options, &store, &err), &err);
	bench_fill(store, rows, dim);
	uint64_t state = 7;
	for (uint32_t i = 0; i < deltas; i++) {
		add_delta(store, rows, dim, &state);
	}
	print_levels(store);
	struct bench bench = {.store = store, .rows = rows, .count = count, .dim = dim, .state = 1};
	measure(&bench);
	store_close(store);
	grace_unregister();
	char command[64];
	(void)snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command) == 0 ? 0 : 1;
}
