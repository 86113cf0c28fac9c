/* at_hand.h - whether all segments of a set are READY, which each small write and each search asks.
 *
 * A walk over the segments that has found them so holds until one, of any set, ceases to be READY: that is counted.
 *
 * Threads: any, while a snapshot or a reference holds the base set.
 */
#ifndef DAEMON_STORE_BASE_AT_HAND_H
#define DAEMON_STORE_BASE_AT_HAND_H

#include "daemon/store/base/base.h"

bool base_set_is_at_hand(struct base_set *set);

/* Gives a segment another state than READY. */
void base_segment_lose(struct base_segment *segment, enum base_segment_state state);

/* For who has done so by itself: a segment was READY, and is no more. */
void base_segment_lost(void);

#endif
