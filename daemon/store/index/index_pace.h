/* index_pace.h - how long searches by an index take, learnt from those that were.
 *
 * What a search costs depends on the metric, how many rows are asked for and how much may be
 * missed; each kind has its moving average. It says what to expect, not what will be.
 *
 * Threads: any. Of two that learn at a time one may be forgotten.
 */
#ifndef DAEMON_STORE_INDEX_INDEX_PACE_H
#define DAEMON_STORE_INDEX_INDEX_PACE_H

#include "daemon/retrieval/balls/balls.h"

#include <stdatomic.h>
#include <stdint.h>

enum {
	INDEX_PACE_KS = 4,      /* up to 10, 100, 1000, and more */
	INDEX_PACE_FACTORS = 5, /* quarters of 1, and 1 */
};

/* Zeroed at first. */
struct index_pace {
	_Atomic uint32_t ns[BALLS_METRICS][INDEX_PACE_KS][INDEX_PACE_FACTORS];
};

/* What one such query takes; 0: there was none yet. */
uint64_t index_pace_expect(const struct index_pace *pace, enum balls_metric metric, size_t k,
	float factor);

void index_pace_learn(struct index_pace *pace, enum balls_metric metric, size_t k, float factor,
	uint64_t took_ns);

#endif
