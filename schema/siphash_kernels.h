/* siphash_kernels.h - SipHash-1-3 of many messages side by side, one set for each instruction set.
 *
 * Every set gives the same bits.
 *
 * Threads: any; there is no state.
 */
#ifndef SCHEMA_SIPHASH_KERNELS_H
#define SCHEMA_SIPHASH_KERNELS_H

#include "schema/siphash.h"

#include <stddef.h>
#include <stdint.h>

enum { SIPHASH_LANES = 8 };

struct siphash_kernels {
	const char *name;
	/* Hashes `count` messages of 8 bytes each, which stand one behind the other at any
	 * alignment. */
	void (*of_u64)(const struct key_seed *seed, const uint8_t *numbers, size_t count,
		uint64_t *hashes);
	/* Hashes SIPHASH_LANES messages. NULL: siphash of one after the other is as fast.
	 *   words   word i of message m at [i * SIPHASH_LANES + m]; siphash_last_word is the last
	 *   counts  how many words each message has, at least 1
	 *   most    the largest of the counts */
	void (*of_words)(const struct key_seed *seed, const uint64_t *words,
		const uint64_t counts[SIPHASH_LANES], uint64_t most,
		uint64_t hashes[SIPHASH_LANES]);
};

/* Set `i` of those that this machine runs, the fastest first; NULL behind the last. */
const struct siphash_kernels *siphash_kernels_at(size_t i);

#endif
