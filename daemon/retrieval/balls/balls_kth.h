/* balls_kth.h - the k-th best of many scores, found by counting.
 *
 * Scores are kept in a flat buffer. The k-th best is found by halving the range that it is in, each
 * time counting how many are at least the middle, which is a few instructions for 16 of them.
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
	float threshold; /* at least k scores are not below; or what it began with */
};

enum { BALLS_KTH_SPARE = 1024 };

/* Adds scores, up to BALLS_KTH_SPARE at once; NaN is none. The threshold may rise. */
void balls_kth_add(struct balls_kth *kth, const float *scores, size_t count);

/* A limit that about `wanted` of the values reach, at least so many and, unless they are equal, at
 * most a quarter more. `wanted` is at least 1, `count` at least `wanted`. */
float balls_limit(const struct balls_kernels *kernels, const float *values, size_t count,
	size_t wanted, size_t enough);

#endif
