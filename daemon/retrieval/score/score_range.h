/* score_range.h - finds scores whose arithmetic has left the range of f32, and computes them again.
 *
 * A score is computed in f32 first. It is sound if no value on the way overflowed, and if none was
 * so small that its digits are missing:
 *
 *     inner_product, l2  each product and distance is finite and at least 2^-100, or it is 0 and no
 *                        product of two elements can have vanished
 *     cosine             the squares of both lengths are in 2^-100..2^100
 *
 * All others are computed again in f64, from the vectors to the score (layers/wide.h).
 *
 * Threads: one at a time, as the scorer.
 */
#ifndef DAEMON_RETRIEVAL_SCORE_SCORE_RANGE_H
#define DAEMON_RETRIEVAL_SCORE_SCORE_RANGE_H

#include "daemon/retrieval/score/scorer.h"

/* Is a squared length, computed in f32, in range? */
static inline bool score_is_usual(float squared)
{
	return squared >= 0x1p-100f && squared <= 0x1p100f;
}

/* The length of a vector if its squared length is out of range: 0 if all is zero, else NaN. */
float score_unusual_length(const float *vector, uint32_t dim, float squared);

/* Can the weights neither overflow nor vanish in a product with a metric that is in range? */
bool score_weights_are_plain(const float *weights, uint32_t count);

/* Mends the scores of the `count` rows that scorer_run has just computed. */
void score_mend(const struct scorer *scorer, const void *rows, uint32_t count, float *scores);

#endif
