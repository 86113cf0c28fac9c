/* at_hand.c - a walk over the states of a set's segments, and a count that says when to walk again. */
#include "daemon/store/base/at_hand.h"

#include "daemon/store/system/mapfault.h"

#include <assert.h>

/* How often a segment has ceased to be READY, but for faults of its map, which count themselves. It is counted after the
 * state was changed, so that a walk which sees the count sees the state. */
static _Atomic uint64_t lost_count = 1;

void base_segment_lost(void)
{
	atomic_fetch_add(&lost_count, 1);
}

void base_segment_lose(struct base_segment *segment, enum base_segment_state state)
{
	assert(state != BASE_READY);
	if (atomic_exchange(&segment->state, (unsigned char)state) == BASE_READY) {
		base_segment_lost();
	}
}

bool base_set_is_at_hand(struct base_set *set)
{
	const uint64_t lost = atomic_load(&lost_count) + mapfault_count();
	if (atomic_load(&set->at_hand_at) == lost) {
		return true;
	}
	const size_t first = atomic_load(&set->not_at_hand); /* it is mostly so still */
	for (size_t i = 0; i < set->segment_count; i++) {
		const size_t at = (first + i) % set->segment_count;
		if (base_segment_state(set->segments[at]) != BASE_READY) {
			if (i > 0) {
				atomic_store(&set->not_at_hand, at);
			}
			return false;
		}
	}
	atomic_store(&set->at_hand_at, lost);
	return true;
}
