/* slot.h - a number for each thread that counts often, so that each counts in memory of its own.
 *
 * What is counted for each request would cost a cache line that travels between processors if all
 * threads shared it. So such figures are arrays with an entry a slot, which whoever reads them adds up.
 * A thread that has taken a slot has it alone, and adds without a locked instruction. All threads
 * that have none, since others took them first, share the last one: these are the spare threads of
 * lanes, whose requests take over a millisecond.
 *
 * Threads: any.
 */
#ifndef DAEMON_STORE_SYSTEM_SLOT_H
#define DAEMON_STORE_SYSTEM_SLOT_H

#include "daemon/store/system/histogram.h"

enum {
	SLOT_COUNT = 64,
	SLOT_SHARED = SLOT_COUNT - 1,
	SLOT_LINE_BYTES = 64, /* of the cache */
};

extern _Thread_local unsigned slot_own; /* of this thread; for slot.h alone to write */

/* Takes a slot for this thread, if one is free, until slot_give. What the slot has counted stays. */
void slot_take(void);
void slot_give(void);

/* The same for what several threads use one at a time: each makes the slot its own for as long, and then takes back
 * what it had before, which slot_lend returns. */
unsigned slot_reserve(void);
void slot_let_go(unsigned slot);
unsigned slot_lend(unsigned slot);

/* Adds to a figure of a slot, which is slot_own. */
static inline void slot_add(unsigned slot, _Atomic uint64_t *counter, uint64_t more)
{
	if (slot != SLOT_SHARED) {
		counter_add(counter, more);
	} else {
		atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
	}
}

static inline void slot_add_value(unsigned slot, struct histogram *histogram, uint64_t value,
	uint64_t unit)
{
	slot_add(slot, &histogram->counts[histogram_bucket(value, unit)], 1);
	slot_add(slot, &histogram->sum, value);
}

#endif
