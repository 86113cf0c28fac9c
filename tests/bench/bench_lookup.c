/* bench_lookup.c - a batch of random keys looked up in process, against copying the same rows.
 *
 *   bench_lookup [ROWS [KEYS [DIM [DELTAS]]]]       default 1000000 500 64 0, f32
 *
 * Above the base lie DELTAS deltas, 7 at most, of ROWS / 40 random keys each. Prints the load and seal rates too. Rows: key i has all elements i.
 */
#include "daemon/store/admin/admin.h"
#include "daemon/store/load/load.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/read/lookup.h"
#include "daemon/store/seal/seal_release.h"
#include "daemon/store/spill/load_chunk.h"
#include "daemon/store/state/options.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/store.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/write/write.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK_ROWS = 16384, ROUNDS = 5000, DELTAS_MAX = 7, DELTA_PART = 40, PUT_ROWS = 4096 };

static double now_s(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static uint64_t next_random(uint64_t *state)
{
	*state += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = *state;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void must(enum status status, const struct error *err)
{
	if (status != STATUS_OK) {
		(void)fprintf(stderr, "bench_lookup: %s: %s\n", status_name(status), err->text);
		exit(1);
	}
}

static void fill(struct store *store, uint64_t rows, uint32_t dim)
{
	struct error err = {0};
	uint64_t number;
	struct name id = {"r1"};
	const struct release_labels labels = {0};
	must(store_release_create(store, &id, &labels, &number, &err), &err);
	const struct table_spec spec = {.name = {"ir"},
		.entity = ENTITY_ITEM,
		.kind = KIND_IR,
		.dtype = DTYPE_F32,
		.key_type = KEY_U64,
		.dim = dim,
		.views = 1};
	must(store_table_create(store, "r1", &spec, NULL, &err), &err);
	float *data = malloc((size_t)CHUNK_ROWS * dim * 4);
	uint64_t *keys = malloc((size_t)CHUNK_ROWS * 8);
	if (data == NULL || keys == NULL) {
		exit(1);
	}
	struct load_progress progress = {0};
	struct load_chunk chunk = {.release = "r1",
		.table = "ir",
		.load = {"bench"},
		.batch.dtype = DTYPE_F32,
		.batch.rows = (const uint8_t *)data,
		.now_ms = 1};
	const double start = now_s();
	for (uint64_t first = 0; first < rows; first += CHUNK_ROWS, chunk.chunk++) {
		const uint32_t count =
			rows - first < CHUNK_ROWS ? (uint32_t)(rows - first) : CHUNK_ROWS;
		for (uint32_t i = 0; i < count; i++) {
			keys[i] = first + i;
			for (uint32_t j = 0; j < dim; j++) {
				data[(size_t)i * dim + j] = (float)(first + i);
			}
		}
		chunk.batch.keys = (struct keys){KEY_U64, count, (const uint8_t *)keys, NULL};
		chunk.batch.rows_bytes = (size_t)count * dim * sizeof *data;
		must(store_load_chunk(store, &chunk, &progress, &err), &err);
		if (store_load_is_full(store)) {
			must(store_load_sync(store, &err), &err);
		}
	}
	must(store_load_end(store, &chunk, chunk.chunk, rows, &err), &err);
	const double loaded = now_s();
	struct seal_result result;
	must(store_seal(store, "r1", NULL, &result, &err), &err);
	const double sealed = now_s();
	struct name previous;
	must(store_release_publish(store, "r1", NULL, &previous, &err), &err);
	printf("load %.3f s\nseal %.3f s\nbytes_per_raw_byte %.4f ratio\n", loaded - start,
		sealed - loaded, (double)result.bytes / ((double)rows * (dim * 4 + 8)));
	free(data);
	free(keys);
}

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
			keys[i] = next_random(state) % rows;
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
		must(store_put(store, &put, &result, &ticket, &err), &err);
		must(store_write_wait(ticket, &err), &err);
		left -= count;
	}
	struct merge_result merged;
	must(store_merge(store, NULL, &merged, &err), &err);
	free(data);
	free(keys);
}

static int by_value(const void *a, const void *b)
{
	const double left = *(const double *)a;
	const double right = *(const double *)b;
	return (left > right) - (left < right);
}

static void report(const char *name, double *times)
{
	qsort(times, ROUNDS, sizeof *times, by_value);
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
		bench->keys[i] = next_random(&bench->state) % bench->rows;
	}
}

static double time_lookup(struct bench *bench)
{
	struct error err = {0};
	draw_keys(bench);
	const double start = now_s();
	const struct snapshot *snapshot = snapshot_begin(bench->store);
	const struct table *table;
	must(release_table(snapshot->live, "ir", &table, &err), &err);
	struct lookup lookup = {.table = table,
		.keys = {KEY_U64, bench->count, (const uint8_t *)bench->keys, NULL},
		.dtype = DTYPE_F32,
		.rows = bench->out,
		.found = bench->found,
		.may_block = true};
	must(table_lookup(&lookup, &err), &err);
	snapshot_end(bench->store);
	const double elapsed = now_s() - start;
	const uint32_t probe = (uint32_t)(next_random(&bench->state) % bench->count);
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
	const double start = now_s();
	for (uint32_t i = 0; i < bench->count; i++) {
		memcpy(bench->out + i * stride, bench->plain + bench->keys[i] * bench->dim, stride);
	}
	return now_s() - start;
}

static void print_levels(struct store *store)
{
	struct error err = {0};
	const struct table *table;
	must(release_table(snapshot_begin(store)->live, "ir", &table, &err), &err);
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
	must(store_open(&options, &store, &err), &err);
	fill(store, rows, dim);
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
