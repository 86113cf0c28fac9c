/* balls_avx2.c - the loops of balls_loops.h for AVX2. */
#if defined(__x86_64__)
#define TARGET __attribute__((target("avx2")))

#include <immintrin.h>

#include "daemon/retrieval/balls/balls_lanes.h"

union halves {
	lanes all;
	lanes_int ints;
	__m256 of[2];
	__m256i ints_of[2];
};

TARGET INLINE lanes larger(lanes a, lanes b)
{
	union halves x = {.all = a};
	const union halves y = {.all = b};
	for (size_t i = 0; i < 2; i++) {
		x.of[i] = _mm256_max_ps(x.of[i], y.of[i]);
	}
	return x.all;
}

TARGET INLINE lanes root(lanes a)
{
	union halves x = {.all = a};
	for (size_t i = 0; i < 2; i++) {
		x.of[i] = _mm256_sqrt_ps(x.of[i]);
	}
	return x.all;
}

TARGET INLINE uint32_t not_below(lanes a, float limit)
{
	const union halves x = {.all = a};
	const __m256 bound = _mm256_set1_ps(limit);
	const int low = _mm256_movemask_ps(_mm256_cmp_ps(x.of[0], bound, _CMP_NLT_UQ));
	const int high = _mm256_movemask_ps(_mm256_cmp_ps(x.of[1], bound, _CMP_NLT_UQ));
	return (uint32_t)low | (uint32_t)high << 8;
}

/* Widens each code to 16 bits and adds the products of two
 * dims in a lane, so a row has two lanes. */
TARGET INLINE lanes_int add_dots(lanes_int sums, const uint8_t *codes, const int8_t *query,
	uint32_t dims)
{
	union halves out = {.ints = sums};
	__m256i pairs[4];
	for (size_t i = 0; i < 4; i++) {
		pairs[i] = _mm256_setzero_si256();
	}
	for (size_t d = 0; d < dims; d += 4) {
		int32_t word;
		memcpy(&word, query + d, sizeof word);
		const __m256i four = _mm256_cvtepi8_epi16(_mm_set1_epi32(word));
		for (size_t i = 0; i < 4; i++) {
			const void *at = codes + d * LANES + i * 16;
			const __m256i some = _mm256_cvtepu8_epi16(_mm_loadu_si128(at));
			pairs[i] = _mm256_add_epi32(pairs[i], _mm256_madd_epi16(some, four));
		}
	}
	for (size_t i = 0; i < 2; i++) {
		const __m256i mixed = _mm256_hadd_epi32(pairs[2 * i], pairs[2 * i + 1]);
		out.ints_of[i] =
			_mm256_add_epi32(out.ints_of[i], _mm256_permute4x64_epi64(mixed, 0xd8));
	}
	return out.ints;
}

#include "daemon/retrieval/balls/balls_loops.h"

const struct balls_kernels balls_kernels_avx2 = BALLS_KERNELS("avx2");
#endif
