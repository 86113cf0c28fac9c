/* aggregate_kernels.h - the loops that add a sample to a state, one set for each instruction set.
 *
 * Every set gives the same bits: there is one rounding an operation, and no sum across elements.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_AGGREGATE_AGGREGATE_KERNELS_H
#define DAEMON_AGGREGATE_AGGREGATE_KERNELS_H

#include <stddef.h>

/* Where sums in two parts are read: the high and the low ones. */
struct aggregate_sums {
	const float *high;
	const float *low;
};

/* How much of a sum is kept, and how much of a sample is taken. */
struct aggregate_factors {
	double keep;
	double take;
};

struct aggregate_kernels {
	const char *name;
	/* sum[i] = keep * sum[i] + take * sample[i], in f32. */
	void (*add_f32)(float *sum, const float *sample, size_t count, float keep, float take);
	/* The same of sums in two parts, in f64. They are read from `from`, which may be high and low
	 * themselves, or stand apart from both. */
	void (*add_f32x2)(const struct aggregate_sums *from, float *high, float *low,
		const float *sample, size_t count, const struct aggregate_factors *factors);
};

/* A sum in two parts: rounded to 49 bits, as many as the parts hold, so that whoever splits
 * high + low again gets the same two. */
static inline __attribute__((always_inline)) void aggregate_split(double sum, float *high,
	float *low)
{
	/* Veltkamp's splitting: the upper 49 of 53 bits. */
	const double scaled = sum * 17;
	const double kept = scaled - (scaled - sum);
	*high = (float)kept;
	*low = (float)(kept - (double)*high);
}

/* Set `i` of those that this machine runs, the fastest first; NULL behind the last. */
const struct aggregate_kernels *aggregate_kernels_at(size_t i);

#endif
