/* aggregate_kernels.c - the loops over the elements of a state, compiled for each instruction set. */
#include "daemon/aggregate/aggregate_kernels.h"

#include <assert.h>

#define INLINE static inline __attribute__((always_inline))

INLINE void add_f32(float *restrict sum, const float *restrict sample, size_t count, float keep,
	float take)
{
	for (size_t i = 0; i < count; i++) {
		sum[i] = keep * sum[i] + take * sample[i];
	}
}

INLINE void add_f32x2(float *restrict high, float *restrict low, const float *restrict sample,
	size_t count, double keep, double take)
{
	for (size_t i = 0; i < count; i++) {
		const double sum = (double)high[i] + (double)low[i];
		aggregate_split(keep * sum + take * (double)sample[i], &high[i], &low[i]);
	}
}

/* Not target_clones, as in schema/dtype_kernels.c.
 * NOLINTBEGIN(bugprone-macro-parentheses): an attribute stands without them. */
#define KERNELS(SET, TARGET)                                                                       \
	TARGET static void SET##_add_f32(float *sum, const float *sample, size_t count,            \
		float keep, float take)                                                            \
	{                                                                                          \
		add_f32(sum, sample, count, keep, take);                                           \
	}                                                                                          \
	TARGET static void SET##_add_f32x2(float *high, float *low, const float *sample,           \
		size_t count, double keep, double take)                                            \
	{                                                                                          \
		add_f32x2(high, low, sample, count, keep, take);                                   \
	}                                                                                          \
	static const struct aggregate_kernels SET##_kernels = {                                    \
		.name = #SET,                                                                      \
		.add_f32 = SET##_add_f32,                                                          \
		.add_f32x2 = SET##_add_f32x2,                                                      \
	};

/* NOLINTEND(bugprone-macro-parentheses) */

KERNELS(plain, )

#if defined(__x86_64__)
KERNELS(avx2, __attribute__((target("avx2"))))
/* gcc makes vectors of 256 bits unless it is told; clang knows no such word. */
#if defined(__clang__)
KERNELS(avx512, __attribute__((target("avx512f"))))
#else
KERNELS(avx512, __attribute__((target("avx512f,prefer-vector-width=512"))))
#endif

const struct aggregate_kernels *aggregate_kernels_at(size_t i)
{
	const struct aggregate_kernels *sets[3];
	size_t count = 0;
	if (__builtin_cpu_supports("avx512f")) {
		sets[count++] = &avx512_kernels;
	}
	if (__builtin_cpu_supports("avx2")) {
		sets[count++] = &avx2_kernels;
	}
	sets[count++] = &plain_kernels;
	assert(count <= sizeof sets / sizeof *sets);
	return i < count ? sets[i] : NULL;
}
#else
const struct aggregate_kernels *aggregate_kernels_at(size_t i)
{
	return i == 0 ? &plain_kernels : NULL;
}
#endif
