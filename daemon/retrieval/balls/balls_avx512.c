/* balls_avx512.c - the loops of balls_loops.h for AVX-512 with VNNI. */
#if defined(__x86_64__)
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2")))

#include <immintrin.h>

#include "daemon/retrieval/balls/balls_lanes.h"

TARGET INLINE lanes larger(lanes a, lanes b)
{
	return (lanes)_mm512_max_ps((__m512)a, (__m512)b);
}

TARGET INLINE lanes root(lanes a)
{
	return (lanes)_mm512_sqrt_ps((__m512)a);
}

TARGET INLINE uint32_t not_below(lanes a, float limit)
{
	return _mm512_cmp_ps_mask((__m512)a, _mm512_set1_ps(limit), _CMP_NLT_UQ);
}

TARGET INLINE lanes_int add_dots(lanes_int sums, const uint8_t *codes, const int8_t *query,
	uint32_t dims)
{
	__m512i even = (__m512i)sums;
	__m512i odd = _mm512_setzero_si512();
	uint32_t d = 0;
	for (; d + 8 <= dims; d += 8) {
		int32_t words[2];
		memcpy(words, query + d, sizeof words);
		const uint8_t *at = codes + (size_t)d * LANES;
		even = _mm512_dpbusd_epi32(even, _mm512_loadu_si512(at),
			_mm512_set1_epi32(words[0]));
		odd = _mm512_dpbusd_epi32(odd, _mm512_loadu_si512(at + 64),
			_mm512_set1_epi32(words[1]));
	}
	if (d < dims) {
		int32_t word;
		memcpy(&word, query + d, sizeof word);
		even = _mm512_dpbusd_epi32(even, _mm512_loadu_si512(codes + (size_t)d * LANES),
			_mm512_set1_epi32(word));
	}
	return (lanes_int)_mm512_add_epi32(even, odd);
}

#include "daemon/retrieval/balls/balls_loops.h"

const struct balls_kernels balls_kernels_avx512 = BALLS_KERNELS("avx512");
#endif
