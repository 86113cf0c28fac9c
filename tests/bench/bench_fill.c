/* bench_fill.c - a store with one large table, for benchmarks in process; and what they measure with. */
#include "tests/bench/bench_fill.h"

#include "daemon/store/admin/admin.h"
#include "daemon/store/load/load.h"
#include "daemon/store/seal/seal_release.h"
#include "daemon/store/spill/load_chunk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CHUNK_ROWS = 16384 };

double bench_now_s(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

uint64_t bench_next_random(uint64_t *state)
{
	*state += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = *state;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

void bench_must(enum status status, const struct error *err)
{
	if (status != STATUS_OK) {
		(void)fprintf(stderr, "%s: %s\n", status_name(status), err->text);
		exit(1);
	}
}

void bench_fill(struct store *store, uint64_t rows, uint32_t dim)
{
	struct error err = {0};
	uint64_t number;
	struct name id = {"r1"};
	const struct release_labels labels = {0};
	bench_must(store_release_create(store, &id, &labels, &number, &err), &err);
	const struct table_spec spec = {.name = {"ir"},
		.entity = ENTITY_ITEM,
		.kind = KIND_IR,
		.dtype = DTYPE_F32,
		.key_type = KEY_U64,
		.dim = dim,
		.views = 1};
	bench_must(store_table_create(store, "r1", &spec, NULL, &err), &err);
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
	const double start = bench_now_s();
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
		bench_must(store_load_chunk(store, &chunk, &progress, &err), &err);
		if (store_load_is_full(store)) {
			bench_must(store_load_sync(store, &err), &err);
		}
	}
	bench_must(store_load_end(store, &chunk, chunk.chunk, rows, &err), &err);
	const double loaded = bench_now_s();
	struct seal_result result;
	bench_must(store_seal(store, "r1", NULL, &result, &err), &err);
	const double sealed = bench_now_s();
	struct name previous;
	bench_must(store_release_publish(store, "r1", NULL, &previous, &err), &err);
	printf("load %.3f s\nseal %.3f s\nbytes_per_raw_byte %.4f ratio\n", loaded - start,
		sealed - loaded, (double)result.bytes / ((double)rows * (dim * 4 + 8)));
	free(data);
	free(keys);
}

static int by_value(const void *a, const void *b)
{
	const double left = *(const double *)a;
	const double right = *(const double *)b;
	return (left > right) - (left < right);
}

void bench_sort(double *times, size_t count)
{
	qsort(times, count, sizeof *times, by_value);
}
