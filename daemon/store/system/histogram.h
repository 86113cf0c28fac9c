/* histogram.h - how often something took how long, or was how large: counts by 19 bounds.
 *
 * The bounds go 1, 2, 5, 10 up to 1,000,000 units, and each use chooses its unit: 10 us for requests,
 * one for keys. A value counts in the first bucket whose bound is not below it; the last bucket has
 * all beyond.
 *
 * Threads: histogram_add is for one thread at a time, so it has no locked instruction;
 * histogram_add_shared is for any. Any thread may read, and may see counts and sum of different
 * moments.
 */
#ifndef DAEMON_STORE_SYSTEM_HISTOGRAM_H
#define DAEMON_STORE_SYSTEM_HISTOGRAM_H

#include "daemon/store/system/counter.h"

enum {
	HISTOGRAM_BOUNDS = 19,
	HISTOGRAM_BUCKETS = HISTOGRAM_BOUNDS + 1,
	/* Units. Of requests, queues and syncs: 10 us to 10 s; of merges and seals: 10 ms to 10,000 s. */
	HISTOGRAM_SHORT_NS = 10 * 1000,
	HISTOGRAM_LONG_NS = 10 * 1000 * 1000,
};

/* In units. */
extern const uint32_t histogram_bounds[HISTOGRAM_BOUNDS];

struct histogram {
	_Atomic uint64_t sum; /* of the values; beside the counts that grow most */
	_Atomic uint64_t counts[HISTOGRAM_BUCKETS];
};

/* What one or several histograms hold, for whoever reads them. */
struct histogram_figures {
	uint64_t counts[HISTOGRAM_BUCKETS];
	uint64_t sum;
};

/* For a number of so many bits, the first bucket that it may fall into; it is in that one, or in one of
 * the next two. */
extern const uint8_t histogram_first[22];

static inline unsigned histogram_bucket(uint64_t value, uint64_t unit)
{
	const uint64_t most = (uint64_t)histogram_bounds[HISTOGRAM_BOUNDS - 1] * unit;
	if (value > most) {
		return HISTOGRAM_BOUNDS;
	}
	const uint64_t units = (value + unit - 1) / unit;
	unsigned bucket = histogram_first[64 - __builtin_clzll(units | 1)];
	bucket += units > histogram_bounds[bucket];
	return bucket + (units > histogram_bounds[bucket]);
}

static inline void histogram_add(struct histogram *histogram, uint64_t value, uint64_t unit)
{
	counter_add(&histogram->counts[histogram_bucket(value, unit)], 1);
	counter_add(&histogram->sum, value);
}

void histogram_add_shared(struct histogram *histogram, uint64_t value, uint64_t unit);

/* Adds what `histogram` holds to `out`. */
void histogram_read(const struct histogram *histogram, struct histogram_figures *out);

uint64_t histogram_count(const struct histogram_figures *figures);

#endif
