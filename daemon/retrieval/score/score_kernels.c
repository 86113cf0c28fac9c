/* score_kernels.c - computes distances and counts bits; compiled once for each instruction set. */
#include "daemon/retrieval/score/score_kernels.h"

#include <math.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 16 };

/* Adds the partial sums in the order of adapter_kernels.h. */
INLINE float sum_of(const float sums[LANES])
{
	float left[LANES / 2];
	for (size_t i = 0; i < LANES / 2; i++) {
		left[i] = sums[i] + sums[i + LANES / 2];
	}
	for (size_t width = LANES / 4; width > 0; width /= 2) {
		for (size_t i = 0; i < width; i++) {
			left[i] += left[i + width];
		}
	}
	return left[0];
}

INLINE float distance(const float *x, const float *w, size_t count)
{
	float sums[LANES] = {0};
	size_t i = 0;
	for (; i + LANES <= count; i += LANES) {
		for (size_t lane = 0; lane < LANES; lane++) {
			const float apart = x[i + lane] - w[i + lane];
			sums[lane] = fmaf(apart, apart, sums[lane]);
		}
	}
	for (size_t lane = 0; i + lane < count; lane++) {
		const float apart = x[i + lane] - w[i + lane];
		sums[lane] = fmaf(apart, apart, sums[lane]);
	}
	return sum_of(sums);
}

INLINE void distances(const struct adapter_product *product)
{
	for (size_t row = 0; row < product->rows; row++) {
		const float *x = product->x + row * product->in;
		float *y = product->y + row * product->y_stride;
		for (size_t out = 0; out < product->outs; out++) {
			y[out] = distance(x, product->w + out * product->in, product->in);
		}
	}
}

INLINE uint32_t common_bits(const uint8_t *a, const uint8_t *b, size_t len)
{
	uint32_t bits = 0;
	size_t i = 0;
	for (; i + 8 <= len; i += 8) {
		uint64_t left;
		uint64_t right;
		memcpy(&left, a + i, 8);
		memcpy(&right, b + i, 8);
		bits += (uint32_t)__builtin_popcountll(left & right);
	}
	for (; i < len; i++) {
		bits += (uint32_t)__builtin_popcount(a[i] & b[i]);
	}
	return bits;
}

INLINE bool has_small(const float *values, size_t count, float least)
{
	uint32_t small = 0;
	for (size_t i = 0; i < count; i++) {
		const float size = fabsf(values[i]);
		small |= (uint32_t)(size < least) & (uint32_t)(size > 0);
	}
	return small != 0;
}

/* NOLINTBEGIN(bugprone-macro-parentheses): an attribute stands without them. */
#define KERNELS(SET, TARGET)                                                                       \
	TARGET static void SET##_distances(const struct adapter_product *product)                  \
	{                                                                                          \
		distances(product);                                                                \
	}                                                                                          \
	TARGET static uint32_t SET##_common_bits(const uint8_t *a, const uint8_t *b, size_t len)   \
	{                                                                                          \
		return common_bits(a, b, len);                                                     \
	}                                                                                          \
	TARGET static bool SET##_has_small(const float *values, size_t count, float least)         \
	{                                                                                          \
		return has_small(values, count, least);                                            \
	}                                                                                          \
	static const struct score_kernels SET##_kernels = {                                        \
		.name = #SET,                                                                      \
		.distances = SET##_distances,                                                      \
		.common_bits = SET##_common_bits,                                                  \
		.has_small = SET##_has_small,                                                      \
	};
/* NOLINTEND(bugprone-macro-parentheses) */

KERNELS(plain, )

#if defined(__x86_64__)
KERNELS(avx2, __attribute__((target("avx2,fma,popcnt"))))
KERNELS(avx512, __attribute__((target("avx512f,avx512vpopcntdq,avx2,fma,popcnt"))))

const struct score_kernels *score_kernels_at(size_t i)
{
	const struct score_kernels *sets[3];
	size_t count = 0;
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
		__builtin_cpu_supports("popcnt")) {
		if (__builtin_cpu_supports("avx512f") &&
			__builtin_cpu_supports("avx512vpopcntdq")) {
			sets[count++] = &avx512_kernels;
		}
		sets[count++] = &avx2_kernels;
	}
	sets[count++] = &plain_kernels;
	return i < count ? sets[i] : NULL;
}
#else
const struct score_kernels *score_kernels_at(size_t i)
{
	return i == 0 ? &plain_kernels : NULL;
}
#endif
