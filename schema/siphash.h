/* siphash.h - SipHash-1-3: a hash of bytes under a key of 128 bits.
 *
 * Who does not know the key cannot make messages of one hash, or of hashes that share bits, nor
 * find the key from hashes. Who knows it can.
 *
 * Threads: any; there is no state. Source: J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast
 * short-input PRF", 2012; with one round a word and three at the end.
 */
#ifndef SCHEMA_SIPHASH_H
#define SCHEMA_SIPHASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SIPHASH_SEED_BYTES = 16 };

/* What a hash is keyed by. As bytes: two numbers, little-endian. */
struct key_seed {
	uint64_t words[2];
};

static inline bool key_seed_is_zero(const struct key_seed *seed)
{
	return (seed->words[0] | seed->words[1]) == 0;
}

/* Draws a seed of random bits; false: the system gives none. */
bool key_seed_draw(struct key_seed *out);

/* The seed of this process, for what is kept nowhere: it is drawn when it is first asked for. */
const struct key_seed *key_seed_of_process(void);

/* Tells whether a file was made with a seed: the low half of the hash of no bytes. */
uint32_t key_seed_check(const struct key_seed *seed);

uint64_t siphash(const struct key_seed *seed, const void *data, size_t len);

/* The hash of a number's 8 bytes, little-endian. */
uint64_t siphash_u64(const struct key_seed *seed, uint64_t number);

#endif
