/* instruction_set.h - for which of three instruction sets kernels are chosen.
 *
 * Threads: any; there is no state.
 */
#ifndef SCHEMA_INSTRUCTION_SET_H
#define SCHEMA_INSTRUCTION_SET_H

#include <stdbool.h>
#include <stddef.h>

enum instruction_set {
	INSTRUCTIONS_PLAIN, /* what every processor has */
	INSTRUCTIONS_AVX2,
	INSTRUCTIONS_AVX512, /* its foundation, avx512f */
};

/* Set `i` of those that this machine runs, the fastest first; false behind the last. */
static inline bool instruction_set_at(size_t i, enum instruction_set *out)
{
	size_t best = INSTRUCTIONS_PLAIN;
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx512f")) {
		best = INSTRUCTIONS_AVX512;
	} else if (__builtin_cpu_supports("avx2")) {
		best = INSTRUCTIONS_AVX2;
	}
#endif
	if (i > best) {
		return false;
	}
	*out = (enum instruction_set)(best - i);
	return true;
}

#endif
