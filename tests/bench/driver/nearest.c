/* nearest.c - compares each query with every vector, in f64, by several threads. */
#include "tests/bench/driver/nearest.h"

#include "tests/bench/driver/measure.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
	LANES = 8,            /* queries compared at once */
	TILE_BYTES = 1 << 17, /* of f64: stays in the second-level cache */
};

struct candidate {
	double score;
	uint32_t row;
};

/* The best so far of one query: `count` of them, of which the first k are sorted when the buffer of
 * 2 k was full last; from then on only what is above the k-th comes in. */
struct best {
	struct candidate *candidates; /* owned: [2 * k] */
	size_t count;
	double above;
};

/* Some of the queries, compared by one thread. */
struct share {
	pthread_t thread;
	const struct vectors *vectors; /* borrowed */
	uint32_t *nearest;             /* borrowed: [queries][k] */
	uint32_t first;
	uint32_t end;
	void (*score)(const double *tile, size_t rows, const double *queries, uint32_t dim,
		double *scores);
};

#define INLINE static inline __attribute__((always_inline))

/* Inner products of all rows of a tile with LANES queries, of which the elements stand side by
 * side: [dim][LANES]. */
INLINE void score_lanes(const double *tile, size_t rows, const double *queries, uint32_t dim,
	double *scores)
{
	typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));
	const lanes *query = (const lanes *)(const void *)queries;
	lanes *out = (lanes *)(void *)scores;
	for (size_t i = 0; i < rows; i++) {
		lanes sum = {0};
		for (uint32_t j = 0; j < dim; j++) {
			sum += query[j] * tile[i * dim + j];
		}
		out[i] = sum;
	}
}

static void score_plain(const double *tile, size_t rows, const double *queries, uint32_t dim,
	double *scores)
{
	score_lanes(tile, rows, queries, dim, scores);
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static void score_avx512(const double *tile, size_t rows,
	const double *queries, uint32_t dim, double *scores)
{
	score_lanes(tile, rows, queries, dim, scores);
}
#endif

/* ---- the best of a query ---- */

static int by_score(const void *a, const void *b)
{
	const struct candidate *left = a;
	const struct candidate *right = b;
	if (left->score != right->score) {
		return left->score < right->score ? 1 : -1;
	}
	return (left->row > right->row) - (left->row < right->row);
}

static void best_cut(struct best *best, uint32_t k)
{
	qsort(best->candidates, best->count, sizeof *best->candidates, by_score);
	best->count = best->count < k ? best->count : k;
	best->above = best->candidates[best->count - 1].score;
}

/* Rows come in the order of their numbers, so one as good as the k-th is not better. */
static void best_add(struct best *best, uint32_t k, double score, uint32_t row)
{
	if (!(score > best->above)) {
		return;
	}
	best->candidates[best->count++] = (struct candidate){.score = score, .row = row};
	if (best->count == 2 * (size_t)k) {
		best_cut(best, k);
	}
}

/* ---- threads ---- */

/* Queries as score() wants them; the last lanes may be empty. */
static double *queries_side_by_side(const struct share *share, size_t blocks)
{
	const uint32_t dim = share->vectors->dim;
	double *side_by_side = NULL;
	const size_t bytes = blocks * LANES * dim * sizeof *side_by_side;
	if (posix_memalign((void **)&side_by_side, LANES * sizeof(double), bytes) != 0) {
		die("no memory for queries");
	}
	memset(side_by_side, 0, bytes);
	for (uint32_t q = share->first; q < share->end; q++) {
		const uint32_t at = q - share->first;
		for (uint32_t j = 0; j < dim; j++) {
			side_by_side[((size_t)at / LANES * dim + j) * LANES + at % LANES] =
				(double)share->vectors->query[(size_t)q * dim + j];
		}
	}
	return side_by_side;
}

/* A tile of rows against all queries of the share. `halves`: what L2 takes off. */
static void compare_tile(const struct share *share, const double *tile, size_t rows,
	const double *queries, struct best *best, uint32_t first_row)
{
	const struct vectors *vectors = share->vectors;
	const uint32_t count = share->end - share->first;
	double *scores = NULL;
	double *half = allocate(rows * sizeof *half);
	if (posix_memalign((void **)&scores, LANES * sizeof(double),
		    rows * LANES * sizeof *scores) != 0) {
		die("no memory for scores");
	}
	for (size_t i = 0; vectors->metric == VECTORS_L2 && i < rows; i++) {
		for (uint32_t j = 0; j < vectors->dim; j++) {
			const double element = tile[i * vectors->dim + j];
			half[i] += element * element / 2;
		}
	}
	for (uint32_t q = 0; q < count; q += LANES) {
		share->score(tile, rows, queries + (size_t)q * vectors->dim, vectors->dim, scores);
		for (uint32_t lane = 0; lane < LANES && q + lane < count; lane++) {
			for (size_t i = 0; i < rows; i++) {
				best_add(&best[q + lane], vectors->k,
					scores[i * LANES + lane] - half[i],
					first_row + (uint32_t)i);
			}
		}
	}
	free(scores);
	free(half);
}

static void *compare_share(void *arg)
{
	struct share *share = arg;
	const struct vectors *vectors = share->vectors;
	const uint32_t count = share->end - share->first;
	const size_t tile_rows = TILE_BYTES / sizeof(double) / vectors->dim + 1;
	double *queries = queries_side_by_side(share, (count + LANES - 1) / LANES);
	double *tile = allocate(tile_rows * vectors->dim * sizeof *tile);
	struct best *best = allocate((count + 1) * sizeof *best);
	for (uint32_t q = 0; q < count; q++) {
		best[q].candidates = allocate(2 * (size_t)vectors->k * sizeof *best[q].candidates);
		best[q].above = -__builtin_inf();
	}
	for (uint64_t row = 0; row < vectors->rows; row += tile_rows) {
		const uint64_t left = vectors->rows - row;
		const size_t rows = left < tile_rows ? (size_t)left : tile_rows;
		for (size_t i = 0; i < rows * vectors->dim; i++) {
			tile[i] = (double)vectors->row[row * vectors->dim + i];
		}
		compare_tile(share, tile, rows, queries, best, (uint32_t)row);
	}
	for (uint32_t q = 0; q < count; q++) {
		best_cut(&best[q], vectors->k);
		for (uint32_t i = 0; i < vectors->k; i++) {
			share->nearest[(size_t)(share->first + q) * vectors->k + i] =
				best[q].candidates[i].row;
		}
		free(best[q].candidates);
	}
	free(best);
	free(tile);
	free(queries);
	return NULL;
}

void nearest_write(const char *folder, uint32_t threads)
{
	struct vectors vectors;
	struct share shares[VECTORS_THREADS_MAX];
	vectors_open(folder, &vectors);
	const size_t bytes = (size_t)vectors.queries * vectors.k * sizeof(uint32_t);
	uint32_t *nearest = vectors_map_new(folder, "nearest.u32", bytes);
	for (uint32_t i = 0; i < threads; i++) {
		shares[i] = (struct share){.vectors = &vectors,
			.nearest = nearest,
			.first = (uint32_t)((uint64_t)vectors.queries * i / threads),
			.end = (uint32_t)((uint64_t)vectors.queries * (i + 1) / threads),
			.score = score_plain};
#if defined(__x86_64__)
		if (__builtin_cpu_supports("avx512f")) {
			shares[i].score = score_avx512;
		}
#endif
		if (pthread_create(&shares[i].thread, NULL, compare_share, &shares[i]) != 0) {
			die("cannot start a thread");
		}
	}
	for (uint32_t i = 0; i < threads; i++) {
		(void)pthread_join(shares[i].thread, NULL);
	}
	vectors_unmap(nearest, bytes);
	vectors_close(&vectors);
}
