/* histogram.c - counts values in logarithmic buckets. */
#include "tools/bench/histogram.h"

#include <assert.h>
#include <stddef.h>

enum { SUB_BITS = 6 };

static size_t bucket_of(uint64_t value)
{
	if (value < HISTOGRAM_SUB) {
		return (size_t)value;
	}
	unsigned top = 63 - (unsigned)__builtin_clzll(value);
	unsigned shift = top - SUB_BITS;
	assert(((size_t)shift + 2) * HISTOGRAM_SUB <= HISTOGRAM_BUCKETS);
	return ((size_t)shift + 1) * HISTOGRAM_SUB + (size_t)(value >> shift) - HISTOGRAM_SUB;
}

/* The largest value of a bucket. */
static uint64_t value_of(size_t bucket)
{
	if (bucket < HISTOGRAM_SUB) {
		return bucket;
	}
	unsigned shift = (unsigned)(bucket / HISTOGRAM_SUB) - 1;
	uint64_t first = (uint64_t)(bucket % HISTOGRAM_SUB + HISTOGRAM_SUB) << shift;
	return first + ((UINT64_C(1) << shift) - 1);
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
	histogram->counts[bucket_of(value)]++;
	histogram->count++;
	histogram->sum += value;
	histogram->max = value > histogram->max ? value : histogram->max;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		into->counts[i] += from->counts[i];
	}
	into->count += from->count;
	into->sum += from->sum;
	into->max = from->max > into->max ? from->max : into->max;
}

uint64_t histogram_at(const struct histogram *histogram, double share)
{
	assert(share >= 0 && share <= 1);
	uint64_t rank = (uint64_t)(share * (double)histogram->count);
	uint64_t seen = 0;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->counts[i];
		if (seen > rank || (seen == histogram->count && seen > 0)) {
			uint64_t value = value_of(i);
			return value < histogram->max ? value : histogram->max;
		}
	}
	return 0;
}
