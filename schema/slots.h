/* slots.h - the order in which the slots of a hash table in memory are looked at.
 *
 * First SLOTS_RUN slots side by side, which is nearly always enough and costs few cache misses. Who
 * knows the hashes can choose keys that fill such runs; so the walk then jumps, from a place and by
 * a stride that come from another hash of the key, which nobody can foretell: by one stride, two,
 * three and so on. In a table that is half empty a jump meets an empty slot every second time,
 * whatever the keys are. (By equal strides, every few thousandth key went through hundreds of slots
 * of one long run.) The stride is odd and the number of slots a power of two, so the walk comes to
 * each slot.
 */
#ifndef SCHEMA_SLOTS_H
#define SCHEMA_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SLOTS_RUN = 32 };

struct slots_walk {
	size_t at;       /* the slot to look at */
	uint32_t count;  /* of steps since the walk began, or has jumped */
	uint32_t stride; /* 0 in the run */
};

/* `mask` is the number of slots less one. */
static inline void slots_begin(struct slots_walk *walk, uint64_t hash, size_t mask)
{
	*walk = (struct slots_walk){.at = hash & mask};
}

/* Moves on. False: the run is over, and slots_jump must follow. */
static inline bool slots_next(struct slots_walk *walk, size_t mask)
{
	walk->count++;
	if (walk->stride == 0) {
		walk->at = (walk->at + 1) & mask;
		return walk->count != SLOTS_RUN;
	}
	walk->at = (walk->at + (size_t)walk->stride * walk->count) & mask;
	return true;
}

/* `other` is a hash of the key, too, that does not follow from the first one. */
static inline void slots_jump(struct slots_walk *walk, uint64_t other, size_t mask)
{
	*walk = (struct slots_walk){.at = other & mask, .stride = (uint32_t)(other >> 32) | 1};
}

/* The other hash, where the first one is under a seed that nobody knows: the same bits in another
 * order. */
static inline uint64_t slots_other(uint64_t hash)
{
	return __builtin_bswap64(hash * UINT64_C(0x9e3779b97f4a7c15));
}

#endif
