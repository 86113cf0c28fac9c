/* siphash_round.h - the round of SipHash, on numbers or on vectors of them.
 *
 * ADD, XOR and ROTATE are the caller's: macros or functions of two values, ROTATE's second one a
 * constant.
 */
#ifndef SCHEMA_SIPHASH_ROUND_H
#define SCHEMA_SIPHASH_ROUND_H

#include <stdint.h>

enum { SIPHASH_END_ROUNDS = 3 };

/* What the state begins with, before the seed is mixed in: "somepseudorandomlygeneratedbytes". */
#define SIPHASH_INIT_0 UINT64_C(0x736f6d6570736575)
#define SIPHASH_INIT_1 UINT64_C(0x646f72616e646f6d)
#define SIPHASH_INIT_2 UINT64_C(0x6c7967656e657261)
#define SIPHASH_INIT_3 UINT64_C(0x7465646279746573)
#define SIPHASH_END    UINT64_C(0xff)

#define SIPHASH_ROUND(ADD, XOR, ROTATE, v)                                                         \
	do {                                                                                       \
		(v)[0] = ADD((v)[0], (v)[1]);                                                      \
		(v)[2] = ADD((v)[2], (v)[3]);                                                      \
		(v)[1] = XOR(ROTATE((v)[1], 13), (v)[0]);                                          \
		(v)[3] = XOR(ROTATE((v)[3], 16), (v)[2]);                                          \
		(v)[0] = ROTATE((v)[0], 32);                                                       \
		(v)[2] = ADD((v)[2], (v)[1]);                                                      \
		(v)[0] = ADD((v)[0], (v)[3]);                                                      \
		(v)[1] = XOR(ROTATE((v)[1], 17), (v)[2]);                                          \
		(v)[3] = XOR(ROTATE((v)[3], 21), (v)[0]);                                          \
		(v)[2] = ROTATE((v)[2], 32);                                                       \
	} while (0)

#define SIPHASH_U64_ADD(a, b)       ((a) + (b))
#define SIPHASH_U64_XOR(a, b)       ((a) ^ (b))
#define SIPHASH_U64_ROTATE(a, bits) ((a) << (bits) | (a) >> (64 - (bits)))

static inline void siphash_u64_begin(uint64_t v[4], const uint64_t seed[2])
{
	v[0] = seed[0] ^ SIPHASH_INIT_0;
	v[1] = seed[1] ^ SIPHASH_INIT_1;
	v[2] = seed[0] ^ SIPHASH_INIT_2;
	v[3] = seed[1] ^ SIPHASH_INIT_3;
}

static inline void siphash_u64_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	SIPHASH_ROUND(SIPHASH_U64_ADD, SIPHASH_U64_XOR, SIPHASH_U64_ROTATE, v);
	v[0] ^= word;
}

static inline uint64_t siphash_u64_end(uint64_t v[4])
{
	v[2] ^= SIPHASH_END;
	for (int i = 0; i < SIPHASH_END_ROUNDS; i++) {
		SIPHASH_ROUND(SIPHASH_U64_ADD, SIPHASH_U64_XOR, SIPHASH_U64_ROTATE, v);
	}
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The last word of a message of `len` bytes: the bytes behind the last whole word, and in the
 * highest byte the length. No byte outside the message is read. */
static inline uint64_t siphash_last_word(const uint8_t *data, size_t len)
{
	const uint64_t length = (uint64_t)len << 56;
	const size_t left = len % 8;
	uint64_t word = 0;
	if (left == 0) {
		return length;
	}
	if (len >= 8) {
		__builtin_memcpy(&word, data + len - 8, 8);
		return length | word >> (64 - left * 8);
	}
	if (left >= 4) {
		uint32_t low;
		uint32_t high;
		__builtin_memcpy(&low, data, 4);
		__builtin_memcpy(&high, data + left - 4, 4);
		return length | low | (uint64_t)high << (left - 4) * 8;
	}
	return length | data[0] | (uint64_t)data[left / 2] << left / 2 * 8 |
	       (uint64_t)data[left - 1] << (left - 1) * 8;
}

#endif
