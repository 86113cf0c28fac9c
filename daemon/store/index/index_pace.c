/* index_pace.c - moving averages of how long searches take, and of what they may not find. */
#include "daemon/store/index/index_pace.h"

#include <assert.h>
#include <math.h>

/* The newest search counts for one part in WEIGHT of the average. */
enum { WEIGHT = 8, UNIT = 1 << 16 };

static size_t k_kind(size_t k)
{
	static const size_t most[INDEX_PACE_KS - 1] = {10, 100, 1000};
	size_t kind = 0;
	while (kind < INDEX_PACE_KS - 1 && k > most[kind]) {
		kind++;
	}
	return kind;
}

static size_t factor_kind(float factor)
{
	return factor >= 1  ? INDEX_PACE_FACTORS - 1
	       : factor > 0 ? (size_t)(factor * (INDEX_PACE_FACTORS - 1))
			    : 0;
}

void index_pace_copy(const struct index_pace *from, struct index_pace *to)
{
	for (size_t i = 0; i < BALLS_METRICS; i++) {
		for (size_t j = 0; j < INDEX_PACE_KS; j++) {
			for (size_t k = 0; k < INDEX_PACE_FACTORS; k++) {
				atomic_init(&to->ns[i][j][k],
					atomic_load_explicit(&from->ns[i][j][k],
						memory_order_relaxed));
			}
		}
	}
	atomic_init(&to->dropped, atomic_load_explicit(&from->dropped, memory_order_relaxed));
}

uint64_t index_pace_expect(const struct index_pace *pace, enum balls_metric metric, size_t k,
	float factor)
{
	assert((unsigned)metric < BALLS_METRICS);
	return atomic_load_explicit(&pace->ns[metric][k_kind(k)][factor_kind(factor)],
		memory_order_relaxed);
}

void index_pace_learn(struct index_pace *pace, enum balls_metric metric, size_t k, float factor,
	uint64_t took_ns)
{
	assert((unsigned)metric < BALLS_METRICS);
	_Atomic uint32_t *ns = &pace->ns[metric][k_kind(k)][factor_kind(factor)];
	const int64_t before = atomic_load_explicit(ns, memory_order_relaxed);
	const int64_t took = took_ns < UINT32_MAX ? (int64_t)took_ns : UINT32_MAX;
	const int64_t after = before == 0 ? took : before + (took - before) / WEIGHT;
	atomic_store_explicit(ns, (uint32_t)after, memory_order_relaxed);
}

uint64_t index_pace_hits(const struct index_pace *pace, uint64_t k)
{
	const double share = (double)atomic_load_explicit(&pace->dropped, memory_order_relaxed);
	const double dropped = (double)k * share / UNIT;
	return k + (uint64_t)ceil(dropped + 2 * sqrt(dropped));
}

void index_pace_learn_hits(struct index_pace *pace, uint64_t k, uint64_t hits)
{
	assert(k > 0);
	const uint64_t dropped = hits > k ? hits - k : 0;
	const uint64_t now = dropped < k ? dropped * UNIT / k : UNIT;
	const uint64_t before = atomic_load_explicit(&pace->dropped, memory_order_relaxed);
	/* Rounded down, so that it comes to 0 again. */
	const uint64_t after = (before * (WEIGHT - 1) + now) / WEIGHT;
	atomic_store_explicit(&pace->dropped, (uint32_t)after, memory_order_relaxed);
}
