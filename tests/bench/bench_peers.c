/* bench_peers.c - repstored, memcached and Redis with the same rows, asked the same questions in
 * turns; tests/bench/peers starts them and makes a table of what this prints.
 *
 *   bench_peers load ADDRESS ROWS [index]
 *       Loads ROWS rows (release "bench", table "ir", u64 keys, 64 f32, with an index if told) into a repstored by
 *       librepstore, seals, publishes, and checks some. Times of each.
 *   bench_peers fetch ROWS KEYS SECONDS [repstored=ADDRESS] [redis=PATH] [memcached=PATH]
 *       Fills the peers (repstored must be loaded) and asks for KEYS random keys a request, then
 *       for one, over one connection each. Systems take turns of 0.2 s until each has had SECONDS,
 *       so that noise of the machine meets all alike; NAME_turn is the rate of the median turn.
 *       The first answers are compared in full, later ones in one row each. Beside them: limit,
 * echo and memcpy (bench_echo.c).
 */
#include "client/include/repstore.h"
#include "tests/bench/driver/measure.h"
#include "tests/bench/peer/peer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CHUNK_ROWS = 16384,   /* 4 MiB */
	LOAD_CHECKS = 200,    /* fetches of 500 */
	MANY_REQUESTS = 4096, /* distinct: far more rows than a cache holds */
	ONE_REQUESTS = 262144,
	WARM_REQUESTS = 500, /* compared in full */
	TURN_NS = 200 * 1000 * 1000,
	ENTRANTS_MAX = 8,
};

struct contest {
	const char *name;
	const struct questions *questions; /* borrowed */
	const uint8_t *rows;               /* borrowed */
	uint64_t seconds;
	size_t count;
	struct entrant {
		const struct peer_kind *kind;
		struct peer *peer;
		struct samples samples;
		struct samples turns; /* the mean of each */
		size_t next_request;
	} entrants[ENTRANTS_MAX];
};

static void must(enum rep_status status, const struct rep_error *err)
{
	if (status != REP_OK) {
		die("%s: %s", rep_status_name(status), err->text);
	}
}

static double seconds_since(uint64_t start_ns)
{
	return (double)(now_ns() - start_ns) / 1e9;
}

/* ---- load ---- */

static void load_rows(rep_client *client, const uint8_t *rows, uint64_t count)
{
	struct rep_error err;
	rep_load *load = NULL;
	must(rep_load_begin(client, "bench", "ir", "bench", &load, NULL, &err), &err);
	uint64_t *keys = allocate(CHUNK_ROWS * sizeof *keys);
	for (uint64_t first = 0; first < count; first += CHUNK_ROWS) {
		const uint64_t left = count - first;
		const uint32_t n = left < CHUNK_ROWS ? (uint32_t)left : CHUNK_ROWS;
		for (uint32_t i = 0; i < n; i++) {
			keys[i] = first + i;
		}
		const struct rep_rows chunk = {.keys = rep_keys_u64(keys, n),
			.dtype = REP_F32,
			.rows = rows + first % MEASURE_ROWS_MADE * MEASURE_ROW_BYTES};
		must(rep_load_chunk(load, &chunk, &err), &err);
	}
	uint64_t loaded = 0;
	must(rep_load_end(load, &loaded, &err), &err);
	if (loaded != count) {
		die("%" PRIu64 " rows were loaded, not %" PRIu64, loaded, count);
	}
	free(keys);
}

static void check_loaded(const char *address, const uint8_t *rows, uint64_t count)
{
	struct questions questions;
	questions_init(&questions, LOAD_CHECKS, 500, count);
	uint8_t *out = allocate((size_t)questions.keys_each * MEASURE_ROW_BYTES);
	struct peer *peer = peer_repstored.open(address, &questions, NULL);
	for (size_t request = 0; request < LOAD_CHECKS; request++) {
		peer_repstored.fetch(peer, request, out);
		for (uint32_t i = 0; i < questions.keys_each; i++) {
			const uint64_t key = questions_at(&questions, request)[i];
			if (memcmp(out + (size_t)i * MEASURE_ROW_BYTES,
				    rows + key % MEASURE_ROWS_MADE * MEASURE_ROW_BYTES,
				    MEASURE_ROW_BYTES) != 0) {
				die("a wrong row of key %" PRIu64, key);
			}
		}
	}
	peer_repstored.close(peer);
	free(out);
	questions_fini(&questions);
}

static void load(const char *address, uint64_t count, enum rep_index index)
{
	const uint64_t made = count < MEASURE_ROWS_MADE ? count : MEASURE_ROWS_MADE;
	uint8_t *rows = rows_make(made);
	struct rep_error err;
	rep_client *client = NULL;
	const struct rep_options options = {.address = address};
	must(rep_connect(&options, &client, &err), &err);
	const struct rep_table_spec spec = {.name = "ir",
		.entity = REP_ITEM,
		.kind = REP_IR,
		.dtype = REP_F32,
		.key_type = REP_KEY_U64,
		.dim = MEASURE_DIM,
		.index = index};
	must(rep_release_create(client, "bench", NULL, NULL, &err), &err);
	must(rep_table_create(client, "bench", &spec, &err), &err);
	uint64_t start = now_ns();
	load_rows(client, rows, count);
	printf("load %.3f s\n", seconds_since(start));
	start = now_ns();
	must(rep_release_seal(client, "bench", &err), &err);
	printf("seal %.3f s\n", seconds_since(start));
	start = now_ns();
	must(rep_release_publish(client, "bench", &err), &err);
	printf("publish %.3f s\n", seconds_since(start));
	struct rep_release release;
	must(rep_release_show(client, "bench", &release, &err), &err);
	if (release.rows != count) {
		die("the release has %" PRIu64 " rows, not %" PRIu64, release.rows, count);
	}
	printf("release_bytes %" PRIu64 " bytes\n", release.bytes);
	rep_close(client);
	check_loaded(address, rows, count);
	rows_drop(rows, made);
}

/* ---- fetch ---- */

static void check_row(const struct contest *contest, const struct entrant *entrant, uint64_t key,
	const uint8_t *row)
{
	if (entrant->kind->rows == PEER_ANSWERS &&
		memcmp(row, contest->rows + key * MEASURE_ROW_BYTES, MEASURE_ROW_BYTES) != 0) {
		die("%s: a wrong row of key %" PRIu64, entrant->kind->name, key);
	}
}

static void enter(struct contest *contest, const struct peer_kind *kind, const char *address)
{
	struct entrant *entrant = &contest->entrants[contest->count++];
	*entrant = (struct entrant){.kind = kind};
	entrant->peer = kind->open(address, contest->questions, contest->rows);
	const uint32_t each = contest->questions->keys_each;
	uint8_t *out = allocate((size_t)each * MEASURE_ROW_BYTES);
	for (size_t request = 0; request < WARM_REQUESTS; request++) {
		memset(out, 0xff, (size_t)each * MEASURE_ROW_BYTES);
		kind->fetch(entrant->peer, request, out);
		const uint64_t *keys = questions_at(contest->questions, request);
		for (uint32_t i = 0; i < each; i++) {
			check_row(contest, entrant, keys[i], out + (size_t)i * MEASURE_ROW_BYTES);
		}
	}
	entrant->next_request = WARM_REQUESTS;
	free(out);
}

static void take_turn(const struct contest *contest, struct entrant *entrant, uint8_t *out)
{
	const uint32_t each = contest->questions->keys_each;
	const struct samples before_turn = entrant->samples;
	const uint64_t end = now_ns() + TURN_NS;
	for (uint64_t after = 0; after < end;) {
		const size_t request = entrant->next_request++;
		const uint64_t before = now_ns();
		entrant->kind->fetch(entrant->peer, request, out);
		after = now_ns();
		samples_add(&entrant->samples, after - before);
		const uint32_t probe = (uint32_t)(request % each);
		check_row(contest, entrant, questions_at(contest->questions, request)[probe],
			out + (size_t)probe * MEASURE_ROW_BYTES);
	}
	const uint64_t took_ns = entrant->samples.total_ns - before_turn.total_ns;
	const uint64_t requests = entrant->samples.count - before_turn.count;
	samples_add(&entrant->turns, requests > 0 ? took_ns / requests : 0);
}

static void run(struct contest *contest)
{
	const size_t bytes = (size_t)contest->questions->keys_each * MEASURE_ROW_BYTES;
	uint8_t *out = allocate(bytes);
	const uint64_t turns = contest->seconds * 1000000000u / TURN_NS;
	for (uint64_t turn = 0; turn < turns; turn++) {
		for (size_t i = 0; i < contest->count; i++) {
			memset(out, 0xff, bytes);
			take_turn(contest, &contest->entrants[i], out);
		}
	}
	for (size_t i = 0; i < contest->count; i++) {
		struct entrant *entrant = &contest->entrants[i];
		char name[64];
		(void)snprintf(name, sizeof name, "%s_%s", contest->name, entrant->kind->name);
		samples_print(&entrant->samples, name);
		printf("%s_turn %.0f /s\n", name, 1e9 / samples_median(&entrant->turns));
		samples_fini(&entrant->samples);
		samples_fini(&entrant->turns);
		entrant->kind->close(entrant->peer);
	}
	free(out);
}

struct addresses {
	const char *repstored;
	const char *redis;
	const char *memcached;
};

static const char *value_of(const char *arg, const char *name)
{
	const size_t len = strlen(name);
	return strncmp(arg, name, len) == 0 && arg[len] == '=' ? arg + len + 1 : NULL;
}

static void read_addresses(char **args, int count, struct addresses *out)
{
	*out = (struct addresses){0};
	for (int i = 0; i < count; i++) {
		const char *repstored = value_of(args[i], "repstored");
		const char *redis = value_of(args[i], "redis");
		const char *memcached = value_of(args[i], "memcached");
		if (repstored != NULL) {
			out->repstored = repstored;
		} else if (redis != NULL) {
			out->redis = redis;
		} else if (memcached != NULL) {
			out->memcached = memcached;
		} else {
			die("'%s' is no NAME=ADDRESS", args[i]);
		}
	}
}

static void enter_stores(struct contest *contest, const struct addresses *addresses)
{
	if (addresses->repstored != NULL) {
		enter(contest, &peer_repstored, addresses->repstored);
	}
	if (addresses->memcached != NULL) {
		enter(contest, &peer_memcached_text, addresses->memcached);
		enter(contest, &peer_memcached, addresses->memcached);
	}
	if (addresses->redis != NULL) {
		enter(contest, &peer_redis, addresses->redis);
	}
}

static void fetch(uint64_t rows_count, uint32_t keys, uint64_t seconds,
	const struct addresses *addresses)
{
	uint8_t *rows = rows_make(rows_count);
	uint64_t start = now_ns();
	if (addresses->redis != NULL) {
		redis_fill(addresses->redis, rows, rows_count);
		printf("fill_redis %.3f s\n", seconds_since(start));
	}
	start = now_ns();
	if (addresses->memcached != NULL) {
		memcached_fill(addresses->memcached, rows, rows_count);
		printf("fill_memcached %.3f s\n", seconds_since(start));
	}
	struct questions questions;
	questions_init(&questions, MANY_REQUESTS, keys, rows_count);
	struct contest many = {.name = "many",
		.questions = &questions,
		.rows = rows,
		.seconds = seconds};
	enter_stores(&many, addresses);
	enter(&many, &peer_limit, NULL);
	enter(&many, &peer_plain_limit, NULL);
	enter(&many, &peer_memcpy, NULL);
	enter(&many, &peer_plain_memcpy, NULL);
	run(&many);
	questions_fini(&questions);
	questions_init(&questions, ONE_REQUESTS, 1, rows_count);
	struct contest one = {.name = "one",
		.questions = &questions,
		.rows = rows,
		.seconds = seconds};
	enter_stores(&one, addresses);
	enter(&one, &peer_echo, NULL);
	run(&one);
	questions_fini(&questions);
	rows_drop(rows, rows_count);
}

int main(int argc, char **argv)
{
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	const uint64_t rows =
		argc > 3 ? strtoull(argv[strcmp(argv[1], "load") == 0 ? 3 : 2], NULL, 10) : 0;
	const bool is_indexed = argc == 5 && strcmp(argv[4], "index") == 0;
	if (argc == 4 + is_indexed && strcmp(argv[1], "load") == 0 && rows > 0) {
		load(argv[2], rows, is_indexed ? REP_INDEX_BALLS : REP_INDEX_NONE);
		return 0;
	}
	if (argc >= 5 && strcmp(argv[1], "fetch") == 0 && rows > 0 && rows <= MEASURE_ROWS_MADE) {
		struct addresses addresses;
		read_addresses(argv + 5, argc - 5, &addresses);
		const uint32_t keys = (uint32_t)strtoul(argv[3], NULL, 10);
		const uint64_t seconds = strtoull(argv[4], NULL, 10);
		if (keys > 0 && keys <= 4096 && seconds > 0) {
			fetch(rows, keys, seconds, &addresses);
			return 0;
		}
	}
	(void)fputs(
		"usage: bench_peers load ADDRESS ROWS [index] | bench_peers fetch ROWS KEYS SECONDS "
		"[NAME=ADDRESS]...\n",
		stderr);
	return 2;
}
