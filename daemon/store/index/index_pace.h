/* index_pace.h - how long searches by an index take, and how many of the best rows they may not find, learnt
 * from earlier searches.
 *
 * What a search costs depends on the metric, on how many rows are asked for, and on how many may be
 * missed. Each of these kinds has a moving average of its own. It tells what to expect; a single
 * search may take longer.
 *
 * Threads: any. When two learn at the same time, one of the two may be lost.
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

/* Zeroed, it has learnt nothing. */
struct index_pace {
	_Atomic uint32_t ns[BALLS_METRICS][INDEX_PACE_KS][INDEX_PACE_FACTORS];
	_Atomic uint32_t dropped; /* rows that may not be found, of 2^16 that may */
};

/* What one has learnt is known to another, which nobody has yet. */
void index_pace_copy(const struct index_pace *from, struct index_pace *to);

/* How long such a query takes, in nanoseconds; 0: there was none yet.
 *   k       rows that are asked for
 *   factor  what the bounds are multiplied by (balls.h): 1 and more is exact */
uint64_t index_pace_expect(const struct index_pace *pace, enum balls_metric metric, size_t k,
	float factor);

void index_pace_learn(struct index_pace *pace, enum balls_metric metric, size_t k, float factor,
	uint64_t took_ns);

/* Among how many rows the best k that may be found will be, if a search has no filter: rows that were
 * written again, or have expired, are among them. A few more than the average, since a search that
 * expects too few is made twice. */
uint64_t index_pace_hits(const struct index_pace *pace, uint64_t k);

/* They were among so many. */
void index_pace_learn_hits(struct index_pace *pace, uint64_t k, uint64_t hits);

#endif
