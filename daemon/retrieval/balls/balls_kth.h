/* balls_kth.h - the k-th best of many scores, found by counting.
 *
 * Scores are kept in a flat buffer. The search for the k-th best halves the range that it is in,
 * again and again, and counts how many scores are at least the middle: a few instructions for 16
 * scores.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_RETRIEVAL_BALLS_BALLS_KTH_H
#define DAEMON_RETRIEVAL_BALLS_BALLS_KTH_H

#include "daemon/retrieval/balls/balls_kernels.h"

struct balls_kth {
	const struct balls_kernels *kernels; /* borrowed */
	float *scores;                       /* borrowed, [capacity] */
	size_t capacity;                     /* at least k + BALLS_KTH_SPARE */
	size_t k;
	size_t count;
	size_t settled;  /* count after the last cut */
	float threshold; /* at least k scores reach it; or the one that it began with */
};

enum { BALLS_KTH_SPARE = 1024 };

/* Adds up to BALLS_KTH_SPARE scores; NaN is left out. The threshold may rise. */
void balls_kth_add(struct balls_kth *kth, const float *scores, size_t count);

/* A limit that at least `wanted` of the values reach, and at most `enough`, unless more than these
 * are equal. 1 <= wanted <= count, and wanted <= enough. */
float balls_limit(const struct balls_kernels *kernels, const float *values, size_t count,
	size_t wanted, size_t enough);

#endif
