/* crafted_key.h - keys that have a given hash.
 *
 * With it, and with crafted_wraps (tests/unit/meson.build), keys are hashed by XXH3-64 in place of
 * SipHash, whatever the seed: of 4 to 8 bytes it can be run backwards. So a test chooses hashes as
 * nobody could who knows the seed, and even the hash of keys fails.
 *
 * Source: XXH3_len_4to8_64b and XXH3_rrmxmx of xxhash.h; its default secret, no seed.
 */
#ifndef TESTS_UNIT_STORE_CRAFTED_KEY_H
#define TESTS_UNIT_STORE_CRAFTED_KEY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How often one key was hashed alone, not in a batch. */
extern _Atomic uint64_t crafted_hashes;

/* Which bits of a hash count, all unless a test says otherwise; with 0 every key has one hash. What is
 * hashed by the seed of the process stays as it is, for nobody knows that seed. */
extern uint64_t crafted_mask;

/* The one u64 key (or key of 8 bytes, little-endian) of this hash. */
uint64_t crafted_u64(uint64_t hash);

/* A key of 5 to 8 bytes of this hash; false if there is none of that length. */
bool crafted_bytes(uint64_t hash, size_t len, uint8_t key[8]);

#endif
