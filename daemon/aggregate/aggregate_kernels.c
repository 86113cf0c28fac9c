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
