/* aggregate_kernels.c - the loops over the elements of a state, compiled for each instruction set. */
#include "daemon/aggregate/aggregate_kernels.h"

#include "schema/instruction_set.h"

#define INLINE static inline __attribute__((always_inline))

INLINE void add_f32(float *restrict sum, const float *restrict sample, size_t count, float keep,
	float take)
{
	for (size_t i = 0; i < count; i++) {
		sum[i] = keep * sum[i] + take * sample[i];
	}
}

INLINE void add_f32x2(const struct aggregate_sums *from, float *high, float *low,
	const float *sample, size_t count, const struct aggregate_factors *factors)
{
	const float *from_high = from->high;
	const float *from_low = from->low;
	const double keep = factors->keep;
	const double take = factors->take;
/* No element depends on another, whether the sums are added to in place or not. */
#pragma omp simd
	for (size_t i = 0; i < count; i++) {
		const double sum = (double)from_high[i] + (double)from_low[i];
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
	TARGET static void SET##_add_f32x2(const struct aggregate_sums *from, float *high,         \
		float *low, const float *sample, size_t count,                                     \
		const struct aggregate_factors *factors)                                           \
	{                                                                                          \
		add_f32x2(from, high, low, sample, count, factors);                                \
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
#endif

const struct aggregate_kernels *aggregate_kernels_at(size_t i)
{
	static const struct aggregate_kernels *const sets[] =
	{ [INSTRUCTIONS_PLAIN] = &plain_kernels,
#if defined(__x86_64__)
		[INSTRUCTIONS_AVX2] = &avx2_kernels,
		[INSTRUCTIONS_AVX512] = &avx512_kernels,
#endif
	};
	enum instruction_set set;
	return instruction_set_at(i, &set) ? sets[set] : NULL;
}
