/* histogram.c - the bounds of histograms, and reading what they hold. */
#include "daemon/store/system/histogram.h"

const uint32_t histogram_bounds[HISTOGRAM_BOUNDS] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000,
	5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000};

const uint8_t histogram_first[22] = {0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11, 12, 13, 14, 15,
	16, 17, 18};

void histogram_add_shared(struct histogram *histogram, uint64_t value, uint64_t unit)
{
	atomic_fetch_add_explicit(&histogram->counts[histogram_bucket(value, unit)], 1,
		memory_order_relaxed);
	atomic_fetch_add_explicit(&histogram->sum, value, memory_order_relaxed);
}

void histogram_read(const struct histogram *histogram, struct histogram_figures *out)
{
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		out->counts[i] += counter_read(&histogram->counts[i]);
	}
	out->sum += counter_read(&histogram->sum);
}

uint64_t histogram_count(const struct histogram_figures *figures)
{
	uint64_t count = 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		count += figures->counts[i];
	}
	return count;
}
