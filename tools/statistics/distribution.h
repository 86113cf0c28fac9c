/* distribution.h - how the values of a stream are spread: extremes, mean and percentiles.
 *
 * Extremes and mean are those of all values. Percentiles are exact up to `capacity` values; with
 * more values they are those of a uniform sample of `capacity` values.
 *
 * Threads: one a distribution.
 */
#ifndef TOOLS_STATISTICS_DISTRIBUTION_H
#define TOOLS_STATISTICS_DISTRIBUTION_H

#include "schema/status.h"
#include "tools/statistics/reservoir.h"

#include <stdbool.h>
#include <stdint.h>

struct distribution {
	struct reservoir values; /* double */
	double sum;
	double min;
	double max;
};

struct distribution_summary {
	double min;
	double p1;
	double p50;
	double p99;
	double max;
	double mean;
};

/* Takes no memory yet; later 8 bytes for each value that is kept, so 8 x capacity at most. */
void distribution_init(struct distribution *distribution, uint64_t capacity, uint64_t seed);

/* The value is finite. Errors: NO_MEMORY  the value is not counted. */
enum status distribution_add(struct distribution *distribution, double value);

/* False: there are no values. Percentile p is the nearest rank: the smallest value v so that at
 * least p percent of all values are <= v (NumPy's method "inverted_cdf"). Sorts the values that
 * are kept. */
bool distribution_summarize(struct distribution *distribution, struct distribution_summary *out);

/* Fine for one that is zeroed. */
void distribution_fini(struct distribution *distribution);

#endif
