/* vectors.h - vectors in clusters, queries, and the nearest vectors of each, in files that all who
 * take part in the benchmark of retrieval read.
 *
 * A folder holds, little-endian and without a header,
 *
 *   vectors.f32    [rows][dim]
 *   queries.f32    [queries][dim]
 *   nearest.u32    [queries][k]: numbers of rows, the nearest first, computed in f64
 *   shape          a line `name value unit` each: rows, dim, queries, k; metric 0 inner product, 1
 * L2
 *
 * A vector is one of `centres` directions and noise: centre + noise * g / sqrt(dim), the centre of
 * length 1 or so, g gaussian; so `noise` is about the length of the noise. What is then done to it
 * is the `kind`. Queries are drawn as vectors are, and not among them. The same plan gives the same
 * files, whatever the number of threads.
 *
 * Nothing here returns an error: what cannot go on says why and exits with 1.
 */
#ifndef TESTS_BENCH_DRIVER_VECTORS_H
#define TESTS_BENCH_DRIVER_VECTORS_H

#include <stddef.h>
#include <stdint.h>

enum {
	VECTORS_DIM_MAX = 4096,
	VECTORS_K_MAX = 10000,
	VECTORS_QUERIES_MAX = 100000,
	VECTORS_CENTRES_MAX = 1000000,
	VECTORS_THREADS_MAX = 64,
};

enum vectors_metric {
	VECTORS_INNER_PRODUCT = 0,
	VECTORS_L2 = 1,
};

enum vectors_kind {
	VECTORS_NORMS, /* inner product; lengths are lognormal, those of queries 1 */
	VECTORS_UNIT,  /* inner product; all lengths are 1 */
	VECTORS_PLAIN, /* L2; as drawn */
};

struct vectors_plan {
	uint64_t rows; /* < 2^32 */
	uint32_t dim;
	uint32_t queries;
	uint32_t k; /* <= rows */
	uint32_t centres;
	uint32_t threads;
	enum vectors_kind kind;
	double noise; /* beside a centre */
	double decay;
	double sigma; /* of the logarithm of a length */
	uint64_t seed;
};

/* Writes all but nearest.u32 into a folder that exists. */
void vectors_write(const char *folder, const struct vectors_plan *plan);

/* The files, mapped; vectors and queries are read in. `nearest` is NULL if it is not there yet. */
struct vectors {
	uint64_t rows;
	uint32_t dim;
	uint32_t queries;
	uint32_t k;
	enum vectors_metric metric;
	const float *row;        /* [rows][dim] */
	const float *query;      /* [queries][dim] */
	const uint32_t *nearest; /* [queries][k] */
	void *maps[3];           /* owned: of these three */
};
void vectors_open(const char *folder, struct vectors *out);
void vectors_close(struct vectors *vectors);

/* The share of the nearest of a query that are among the `count` found; none is found twice. */
double vectors_recall(const struct vectors *vectors, uint32_t query, const uint32_t *found,
	size_t count);

/* A file of so many bytes, mapped for writing. */
void *vectors_map_new(const char *folder, const char *name, size_t bytes);
void vectors_unmap(void *map, size_t bytes); /* NULL is fine */

#endif
