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
	/* Hashes SIPHASH_LANES byte strings: at packed + at[i] stand a byte of length and so many
	 * bytes. NULL: siphash of one after the other is as fast. */
	void (*of_strings)(const struct key_seed *seed, const uint8_t *packed,
		const uint32_t at[SIPHASH_LANES], uint64_t hashes[SIPHASH_LANES]);
};

/* Set `i` of those that this machine runs, the fastest first; NULL behind the last. */
const struct siphash_kernels *siphash_kernels_at(size_t i);

#endif
