/* distribution.h - how the values of a stream are spread: extremes, mean and percentiles.
 *
 * Extremes and mean are of all values. Percentiles are exact while there are at most
 * `capacity` values; of more they are those of a uniform sample of `capacity`.
 *
 * Threads: one a distribution.
 */
#ifndef TOOLS_DISTRIBUTION_H
#define TOOLS_DISTRIBUTION_H

#include "schema/status.h"
#include "tools/reservoir.h"

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

/* Takes no memory yet; 8 bytes a value later, up to capacity. */
void distribution_init(struct distribution *distribution, uint64_t capacity, uint64_t seed);

/* Errors: NO_MEMORY  the value is not counted. */
enum status distribution_add(struct distribution *distribution, double value);

/* False: there are no values. Percentile p is the nearest rank: the smallest value that at
 * least p percent of all do not exceed (NumPy's method "inverted_cdf"). Sorts what
 * is kept. */
bool distribution_summarize(struct distribution *distribution, struct distribution_summary *out);

/* Fine for one that is zeroed. */
void distribution_fini(struct distribution *distribution);

#endif
