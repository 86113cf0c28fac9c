/* reservoir.h - a uniform sample of items of which nobody knows beforehand how many will come.
 *
 * Every set of `capacity` items is as likely as any other. The same items in the same
 * order and the same seed give the same sample.
 *
 * Threads: one a reservoir.
 * Source: algorithm R, Vitter, Random Sampling with a Reservoir, 1985; SplitMix64 for the draws.
 */
#ifndef TOOLS_STATISTICS_RESERVOIR_H
#define TOOLS_STATISTICS_RESERVOIR_H

#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

struct reservoir {
	size_t item_bytes;
	uint64_t capacity;
	uint64_t seen;
	uint64_t count; /* min(seen, capacity) */
	uint64_t room;  /* items that `items` has room for; grows with `count` */
	uint64_t state; /* of the generator */
	void *items;    /* owned; aligned as malloc aligns */
};

/* Takes no memory yet. capacity >= 1; capacity x item_bytes fits a size_t. */
void reservoir_init(struct reservoir *reservoir, size_t item_bytes, uint64_t capacity,
	uint64_t seed);

/* Takes the next item. Item number i, from 0, is kept in place i while there is room. Later a place
 * j is drawn from 0..i, and the item is kept in place j if j < capacity.
 * Errors: NO_MEMORY  the item was not taken. */
enum status reservoir_add(struct reservoir *reservoir, const void *item);

/* Fine for one that is zeroed. */
void reservoir_fini(struct reservoir *reservoir);

#endif
