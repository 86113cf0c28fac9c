/* scorer.h - scores of many rows for one or several queries.
 *
 * A query is one vector, or several (its parts) with weights. A row is one vector, or several (its
 * views). For query parts q_i with weights w_i and a row of views x_j
 *
 *     score = sum over i of w_i * max over j of metric(q_i, x_j)
 *
 * For single vectors and a weight of 1 this is the metric itself; for several it is late
 * interaction. Everything is f32; what leaves its range is computed again in f64 (score_range.h), so
 * a score of finite vectors is finite. A cosine is -1..1. The bits of a score are the same on every
 * machine, and do not depend on the other rows. The score of a row with a NaN is NaN, or that of
 * its other views.
 * Source: Khattab and Zaharia, ColBERT, SIGIR 2020 (maximum over views, sum over parts).
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_RETRIEVAL_SCORE_SCORER_H
#define DAEMON_RETRIEVAL_SCORE_SCORER_H

#include "schema/metric.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scorer_shape {
	enum metric metric;
	uint32_t dim;     /* elements of a vector: of a view and of a part */
	uint32_t views;   /* of a row */
	uint32_t queries; /* each row is scored for so many */
	uint32_t parts;   /* of each query */
};

struct scorer {
	struct scorer_shape shape;
	size_t vector_bytes;    /* of one vector: f32[dim], or for metrics of bits (dim + 7) / 8 */
	uint32_t rows_max;      /* of one scorer_run */
	bool is_single;         /* a score is the one metric of the query and the row */
	bool has_plain_weights; /* score_weights_are_plain */
	/* Owned, in one allocation. */
	uint8_t *vectors; /* [queries * parts] of vector_bytes */
	/* [queries * parts] their lengths, or the numbers of their bits; NaN: out of range */
	float *sizes;
	float *weights;   /* [queries * parts] */
	float *alike;     /* [rows_max * views, queries * parts] */
	float *row_sizes; /* [rows_max * views], likewise */
	/* Borrowed; NULL: all. Histories need not have a vector in each place: of each query how many of its
	 * parts count, and of each row of the next scorer_run how many of its views do: the first ones, at
	 * least one. */
	const uint32_t *query_parts; /* [queries] */
	const uint32_t *row_views;   /* [rows_max] */
};

/*   vectors  [queries, parts, dim] f32, or for metrics of bits [queries, parts, (dim + 7) / 8]
 * bytes in the order of NumPy's packbits; they are copied weights  float[parts], the same for all
 * queries; NULL: each is 1 Errors: NO_MEMORY. */
enum status scorer_init(struct scorer *scorer, const struct scorer_shape *shape,
	const void *vectors, const float *weights);
void scorer_fini(struct scorer *scorer); /* zeroed is fine */

/* Gives each part of each query a weight of its own: float[queries * parts]; they are copied. */
void scorer_weigh(struct scorer *scorer, const float *weights);

/* How many parts of a query, and views of a row of the block, count. */
static inline uint32_t scorer_parts_of(const struct scorer *scorer, uint32_t query)
{
	return scorer->query_parts == NULL ? scorer->shape.parts : scorer->query_parts[query];
}

static inline uint32_t scorer_views_of(const struct scorer *scorer, uint32_t row)
{
	return scorer->row_views == NULL ? scorer->shape.views : scorer->row_views[row];
}

static inline size_t scorer_row_bytes(const struct scorer *scorer)
{
	return scorer->vector_bytes * scorer->shape.views;
}

/* Scores `count` rows, at most rows_max.
 *   rows    [count, views] of vector_bytes
 *   scores  out: [queries, rows_max]; the first `count` of each query are set */
void scorer_run(struct scorer *scorer, const void *rows, uint32_t count, float *scores);

#endif
