/* histogram.h - latencies, counted in buckets. A bucket is at most 1/64 of its value wide.
 *
 * Threads: one at a time. Each thread has its own; they are merged when the threads have ended.
 * Source: HdrHistogram, with 64 buckets a power of two.
 */
#ifndef TOOLS_BENCH_HISTOGRAM_H
#define TOOLS_BENCH_HISTOGRAM_H

#include <stdint.h>

enum {
	HISTOGRAM_SUB = 64,
	HISTOGRAM_BUCKETS = 64 * HISTOGRAM_SUB,
};

/* A zeroed one is empty. */
struct histogram {
	uint64_t counts[HISTOGRAM_BUCKETS];
	uint64_t count;
	uint64_t sum;
	uint64_t max;
};

void histogram_add(struct histogram *histogram, uint64_t value);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* The value that `share` (0..1) of all values do not exceed;
 * at most 1/64 too large. 0 when empty. */
uint64_t histogram_at(const struct histogram *histogram, double share);

#endif
