/* scorer.h - scores of many rows for one or several queries.
 *
 * A query is one vector, or several with weights; so is a row (its views). Of query parts q_i with
 * weights w_i and a row's views x_j
 *
 *     score = sum over i of w_i * max over j of metric(q_i, x_j)
 *
 * which for single vectors and a weight of 1 is the metric itself, and for several is late
 * interaction. Everything is f32, and its bits are the same on every machine and whatever rows are
 * scored beside. A row with NaN scores NaN, or the largest of its other views.
 * Source: Khattab and Zaharia, ColBERT, SIGIR 2020 (maximum over views, sum over parts).
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_RETRIEVAL_SCORE_SCORER_H
#define DAEMON_RETRIEVAL_SCORE_SCORER_H

#include "schema/metric.h"
#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

struct scorer_shape {
	enum metric metric;
	uint32_t dim;     /* elements of a vector: of a row's views and a query's parts */
	uint32_t views;   /* of a row */
	uint32_t queries; /* that each row is scored for */
	uint32_t parts;   /* of each query */
};

struct scorer {
	struct scorer_shape shape;
	size_t vector_bytes; /* one: f32[dim], or of metrics of bits (dim + 7) / 8 */
	uint32_t rows_max;   /* at once */
	/* owned, in one piece */
	uint8_t *vectors; /* [queries * parts] of vector_bytes */
	float *sizes;     /* [queries * parts] their lengths, or how many bits they have */
	float *weights;   /* [parts] */
	float *alike;     /* [rows_max * views, queries * parts] */
	float *row_sizes; /* [rows_max * views] */
};

/*   vectors  [queries, parts, dim] f32, or of metrics of bits [queries, parts, (dim + 7) / 8] bytes
 *            in the order of NumPy's packbits; not kept
 *   weights  float[parts], the same for all queries; NULL: 1
 * Errors: NO_MEMORY. */
enum status scorer_init(struct scorer *scorer, const struct scorer_shape *shape,
	const void *vectors, const float *weights);
void scorer_fini(struct scorer *scorer); /* zeroed is fine */

static inline size_t scorer_row_bytes(const struct scorer *scorer)
{
	return scorer->vector_bytes * scorer->shape.views;
}

/* Scores `count` rows, at most rows_max.
 *   rows    [count, views] of vector_bytes
 *   scores  out: [queries, rows_max]: the first `count` of each */
void scorer_run(struct scorer *scorer, const void *rows, uint32_t count, float *scores);

#endif
