/* balls_kernels.c - lists the sets of kernels that this machine can run. */
#include "daemon/retrieval/balls/balls_kernels.h"

extern const struct balls_kernels balls_kernels_plain;

#if defined(__x86_64__)
extern const struct balls_kernels balls_kernels_avx2;
extern const struct balls_kernels balls_kernels_avx512;

const struct balls_kernels *balls_kernels_at(size_t i)
{
	const struct balls_kernels *sets[3];
	size_t count = 0;
	if (__builtin_cpu_supports("avx2")) {
		if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
			__builtin_cpu_supports("avx512vl") &&
			__builtin_cpu_supports("avx512vnni")) {
			sets[count++] = &balls_kernels_avx512;
		}
		sets[count++] = &balls_kernels_avx2;
	}
	sets[count++] = &balls_kernels_plain;
	return i < count ? sets[i] : NULL;
}
#else
const struct balls_kernels *balls_kernels_at(size_t i)
{
	return i == 0 ? &balls_kernels_plain : NULL;
}
#endif
