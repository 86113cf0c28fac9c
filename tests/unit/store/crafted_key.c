/* crafted_key.c - XXH3-64 of short keys, backwards. */
#include "tests/unit/store/crafted_key.h"

#include "schema/siphash_kernels.h"

#include <string.h>
#include <xxhash.h>

static const uint64_t prime = UINT64_C(0x9fb21c651e98df25);
/* Bytes 8..15 and 16..23 of the default secret, exclusive or. */
static const uint64_t bitflip = UINT64_C(0x1cad21f72c81017c) ^ UINT64_C(0xdb979083e96dd4de);

static uint64_t rotate(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

/* The inverse of an odd number modulo 2^64, by Newton's method. */
static uint64_t inverse(uint64_t odd)
{
	uint64_t result = odd;
	for (unsigned i = 0; i < 6; i++) {
		result *= 2 - odd * result;
	}
	return result;
}

/* The two halves of the input, the first four bytes above the last four. */
static uint64_t unmix(uint64_t hash, size_t len)
{
	uint64_t h = hash ^ hash >> 28 ^ hash >> 56;
	h *= inverse(prime);
	/* h = g ^ ((g >> 35) + len): the upper bits of g are those of h. */
	uint64_t g = h;
	for (unsigned i = 0; i < 3; i++) {
		g = h ^ ((g >> 35) + len);
	}
	g *= inverse(prime);
	/* g -> g ^ rotate(g, 49) ^ rotate(g, 24), done 64 times, changes nothing. */
	for (unsigned i = 0; i < 63; i++) {
		g ^= rotate(g, 49) ^ rotate(g, 24);
	}
	return g ^ bitflip;
}

uint64_t crafted_u64(uint64_t hash)
{
	return rotate(unmix(hash, 8), 32);
}

bool crafted_bytes(uint64_t hash, size_t len, uint8_t key[8])
{
	const uint64_t halves = unmix(hash, len);
	const uint32_t first = (uint32_t)(halves >> 32);
	const uint32_t last = (uint32_t)halves;
	memcpy(key, &first, 4);
	memcpy(key + len - 4, &last, 4);
	/* In a key of fewer than eight bytes the halves overlap, and must agree. */
	return memcmp(key, &first, 4) == 0;
}

/* ---- in place of SipHash ---- */

_Atomic uint64_t crafted_hashes;
uint64_t crafted_mask = UINT64_MAX;

uint64_t __wrap_siphash(const struct key_seed *seed, const void *data, size_t len);
uint64_t __wrap_siphash_u64(const struct key_seed *seed, uint64_t number);
uint64_t __real_siphash(const struct key_seed *seed, const void *data, size_t len);
const struct siphash_kernels *__wrap_siphash_kernels_at(size_t i);

uint64_t __wrap_siphash(const struct key_seed *seed, const void *data, size_t len)
{
	if (seed == key_seed_of_process()) {
		return __real_siphash(seed, data, len);
	}
	atomic_fetch_add(&crafted_hashes, 1);
	return XXH3_64bits(data, len) & crafted_mask;
}

uint64_t __wrap_siphash_u64(const struct key_seed *seed, uint64_t number)
{
	return __wrap_siphash(seed, &number, sizeof number);
}

static void of_u64(const struct key_seed *seed, const uint8_t *numbers, size_t count,
	uint64_t *hashes)
{
	for (size_t i = 0; i < count; i++) {
		hashes[i] = seed == key_seed_of_process()
				    ? __real_siphash(seed, numbers + i * 8, 8)
				    : XXH3_64bits(numbers + i * 8, 8) & crafted_mask;
	}
}

const struct siphash_kernels *__wrap_siphash_kernels_at(size_t i)
{
	static const struct siphash_kernels kernels = {.name = "crafted", .of_u64 = of_u64};
	return i == 0 ? &kernels : NULL;
}
