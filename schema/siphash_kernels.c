/* siphash_kernels.c - SipHash of several messages at once, for each instruction set. */
#include "schema/siphash_kernels.h"

#include "schema/instruction_set.h"
#include "schema/siphash_round.h"

#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

static void plain_of_u64(const struct key_seed *seed, const uint8_t *numbers, size_t count,
	uint64_t *hashes)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t number;
		memcpy(&number, numbers + i * sizeof number, sizeof number);
		hashes[i] = siphash_u64(seed, number);
	}
}

static const struct siphash_kernels plain_kernels = {.name = "plain", .of_u64 = plain_of_u64};

#if defined(__x86_64__)

#define INLINE static inline __attribute__((always_inline))

/* ---- byte strings: their words go into a vector one by one. Written to memory and read again as a
 * whole, they would take longer than the hash. ---- */

INLINE long long len_of(const uint8_t *string, size_t i)
{
	(void)i;
	return string[0];
}

INLINE long long word_of(const uint8_t *string, size_t i)
{
	long long word;
	memcpy(&word, string + 1 + i * sizeof word, sizeof word);
	return word;
}

/* Word i, or the last one. */
INLINE long long word_or_last(const uint8_t *string, size_t i)
{
	return i < string[0] / 8u ? word_of(string, i)
				  : (long long)siphash_last_word(string + 1, string[0]);
}

#define GET_4(get, packed, at, i)                                                                  \
	get((packed) + (at)[3], i), get((packed) + (at)[2], i), get((packed) + (at)[1], i),        \
		get((packed) + (at)[0], i)

/* ---- AVX-512: eight messages, and an instruction that rotates ---- */

#define AVX512        __attribute__((target("avx512f")))
#define AVX512_INLINE AVX512 static inline __attribute__((always_inline))

AVX512_INLINE void avx512_begin(__m512i v[4], const struct key_seed *seed)
{
	uint64_t one[4];
	siphash_u64_begin(one, seed->words);
	for (int i = 0; i < 4; i++) {
		v[i] = _mm512_set1_epi64((long long)one[i]);
	}
}

AVX512_INLINE void avx512_word(__m512i v[4], __m512i word)
{
	v[3] = _mm512_xor_si512(v[3], word);
	SIPHASH_ROUND(_mm512_add_epi64, _mm512_xor_si512, _mm512_rol_epi64, v);
	v[0] = _mm512_xor_si512(v[0], word);
}

AVX512_INLINE __m512i avx512_end(__m512i v[4])
{
	v[2] = _mm512_xor_si512(v[2], _mm512_set1_epi64((long long)SIPHASH_END));
	for (int i = 0; i < SIPHASH_END_ROUNDS; i++) {
		SIPHASH_ROUND(_mm512_add_epi64, _mm512_xor_si512, _mm512_rol_epi64, v);
	}
	return _mm512_xor_si512(_mm512_xor_si512(v[0], v[1]), _mm512_xor_si512(v[2], v[3]));
}

AVX512 static void avx512_of_u64(const struct key_seed *seed, const uint8_t *numbers, size_t count,
	uint64_t *hashes)
{
	__m512i begin[4];
	avx512_begin(begin, seed);
	const __m512i length = _mm512_set1_epi64((long long)(UINT64_C(8) << 56));
	for (size_t i = 0; i < count; i += 8) {
		const size_t left = count - i;
		const __mmask8 lanes = (__mmask8)(left < 8 ? (1u << left) - 1 : 0xffu);
		__m512i v[4] = {begin[0], begin[1], begin[2], begin[3]};
		avx512_word(v, _mm512_maskz_loadu_epi64(lanes, numbers + i * 8));
		avx512_word(v, length);
		_mm512_mask_storeu_epi64(hashes + i, lanes, avx512_end(v));
	}
}

#define AVX512_GET(get, packed, at, i)                                                             \
	_mm512_set_epi64(GET_4(get, packed, (at) + 4, i), GET_4(get, packed, at, i))

/* Strings of different numbers of words. One that has ended keeps its state. */
AVX512_INLINE void avx512_unlike(__m512i v[4], __m512i words, const uint8_t *packed,
	const uint32_t *at)
{
	const size_t most = (size_t)_mm512_reduce_max_epu64(words);
	for (size_t i = 0; i <= most; i++) {
		const __mmask8 lanes =
			_mm512_cmpge_epu64_mask(words, _mm512_set1_epi64((long long)i));
		__m512i next[4] = {v[0], v[1], v[2], v[3]};
		avx512_word(next, AVX512_GET(word_or_last, packed, at, i));
		for (int k = 0; k < 4; k++) {
			v[k] = _mm512_mask_mov_epi64(v[k], lanes, next[k]);
		}
	}
}

AVX512 static void avx512_of_strings(const struct key_seed *seed, const uint8_t *packed,
	const uint32_t at[SIPHASH_LANES], uint64_t hashes[SIPHASH_LANES])
{
	const __m512i words = _mm512_srli_epi64(AVX512_GET(len_of, packed, at, 0), 3);
	const size_t whole = packed[at[0]] / 8u;
	__m512i v[4];
	avx512_begin(v, seed);
	if (_mm512_cmpeq_epu64_mask(words, _mm512_set1_epi64((long long)whole)) == 0xff) {
		for (size_t i = 0; i < whole; i++) {
			avx512_word(v, AVX512_GET(word_of, packed, at, i));
		}
		avx512_word(v, AVX512_GET(word_or_last, packed, at, whole));
	} else {
		avx512_unlike(v, words, packed, at);
	}
	_mm512_storeu_si512(hashes, avx512_end(v));
}

static const struct siphash_kernels avx512_kernels = {
	.name = "avx512",
	.of_u64 = avx512_of_u64,
	.of_strings = avx512_of_strings,
};

/* ---- AVX2: four messages ---- */

#define AVX2        __attribute__((target("avx2")))
#define AVX2_INLINE AVX2 static inline __attribute__((always_inline))

/* `bits` is a constant. A rotation by whole bytes is one shuffle. */
AVX2_INLINE __m256i avx2_rotate(__m256i a, int bits)
{
	if (bits == 32) {
		return _mm256_shuffle_epi32(a, 0xb1);
	}
	if (bits == 16) {
		return _mm256_shuffle_epi8(a,
			_mm256_set_epi64x(0x0d0c0b0a09080f0e, 0x0504030201000706,
				0x0d0c0b0a09080f0e, 0x0504030201000706));
	}
	return _mm256_or_si256(_mm256_slli_epi64(a, bits), _mm256_srli_epi64(a, 64 - bits));
}

AVX2_INLINE void avx2_begin(__m256i v[4], const struct key_seed *seed)
{
	uint64_t one[4];
	siphash_u64_begin(one, seed->words);
	for (int i = 0; i < 4; i++) {
		v[i] = _mm256_set1_epi64x((long long)one[i]);
	}
}

AVX2_INLINE void avx2_word(__m256i v[4], __m256i word)
{
	v[3] = _mm256_xor_si256(v[3], word);
	SIPHASH_ROUND(_mm256_add_epi64, _mm256_xor_si256, avx2_rotate, v);
	v[0] = _mm256_xor_si256(v[0], word);
}

AVX2_INLINE __m256i avx2_end(__m256i v[4])
{
	v[2] = _mm256_xor_si256(v[2], _mm256_set1_epi64x((long long)SIPHASH_END));
	for (int i = 0; i < SIPHASH_END_ROUNDS; i++) {
		SIPHASH_ROUND(_mm256_add_epi64, _mm256_xor_si256, avx2_rotate, v);
	}
	return _mm256_xor_si256(_mm256_xor_si256(v[0], v[1]), _mm256_xor_si256(v[2], v[3]));
}

AVX2_INLINE __m256i avx2_load(const void *from)
{
	return _mm256_loadu_si256((const __m256i_u *)from);
}

AVX2 static void avx2_of_u64(const struct key_seed *seed, const uint8_t *numbers, size_t count,
	uint64_t *hashes)
{
	__m256i begin[4];
	avx2_begin(begin, seed);
	const __m256i length = _mm256_set1_epi64x((long long)(UINT64_C(8) << 56));
	const size_t whole = count & ~(size_t)3;
	for (size_t i = 0; i < whole; i += 4) {
		__m256i v[4] = {begin[0], begin[1], begin[2], begin[3]};
		avx2_word(v, avx2_load(numbers + i * 8));
		avx2_word(v, length);
		_mm256_storeu_si256((__m256i_u *)(hashes + i), avx2_end(v));
	}
	plain_of_u64(seed, numbers + whole * 8, count - whole, hashes + whole);
}

AVX2 static void avx2_of_strings(const struct key_seed *seed, const uint8_t *packed,
	const uint32_t at[SIPHASH_LANES], uint64_t hashes[SIPHASH_LANES])
{
	for (size_t first = 0; first < SIPHASH_LANES; first += 4) {
		const uint32_t *four = at + first;
		const __m256i lens = _mm256_set_epi64x(GET_4(len_of, packed, four, 0));
		size_t most = 0;
		for (size_t i = 0; i < 4; i++) {
			const size_t words = packed[four[i]] / 8u;
			most = words > most ? words : most;
		}
		__m256i v[4];
		avx2_begin(v, seed);
		for (size_t i = 0; i <= most; i++) {
			/* One that has ended keeps its state. */
			const __m256i ended = _mm256_cmpgt_epi64(_mm256_set1_epi64x((long long)i),
				_mm256_srli_epi64(lens, 3));
			__m256i next[4] = {v[0], v[1], v[2], v[3]};
			avx2_word(next, _mm256_set_epi64x(GET_4(word_or_last, packed, four, i)));
			for (int k = 0; k < 4; k++) {
				v[k] = _mm256_blendv_epi8(next[k], v[k], ended);
			}
		}
		_mm256_storeu_si256((__m256i_u *)(hashes + first), avx2_end(v));
	}
}

static const struct siphash_kernels avx2_kernels = {
	.name = "avx2",
	.of_u64 = avx2_of_u64,
	.of_strings = avx2_of_strings,
};
#endif

const struct siphash_kernels *siphash_kernels_at(size_t i)
{
	static const struct siphash_kernels *const sets[] =
	{ [INSTRUCTIONS_PLAIN] = &plain_kernels,
#if defined(__x86_64__)
		[INSTRUCTIONS_AVX2] = &avx2_kernels,
		[INSTRUCTIONS_AVX512] = &avx512_kernels,
#endif
	};
	enum instruction_set set;
	return instruction_set_at(i, &set) ? sets[set] : NULL;
}
