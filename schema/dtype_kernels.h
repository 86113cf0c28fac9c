/* dtype_kernels.h - the loops of dtype.c, one set for each instruction set.
 *
 * Every set gives the same bits. Elements are little-endian, at any alignment;
 * source and target do not overlap.
 *
 * Threads: any; there is no state.
 */
#ifndef SCHEMA_DTYPE_KERNELS_H
#define SCHEMA_DTYPE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

struct dtype_kernels {
	const char *name;
	/* A NaN is made quiet and keeps its sign and the upper bits of its payload. */
	void (*f32_of_f16)(const uint8_t *source, uint8_t *target, size_t count);
	void (*f32_of_bf16)(const uint8_t *source, uint8_t *target, size_t count);
	void (*f16_of_f32)(const uint8_t *source, uint8_t *target, size_t count);
	void (*bf16_of_f32)(const uint8_t *source, uint8_t *target, size_t count);

	void (*f32_of_i8)(const uint8_t *source, float scale, uint8_t *target, size_t count);
	/* `count` bits, the highest of each byte first, as 0 or 1. */
	void (*f32_of_bit)(const uint8_t *source, uint8_t *target, size_t count);
	/* The largest |x|; elements that are not finite count as 0. */
	float (*f32_largest)(const uint8_t *source, size_t count);
	/* round(x / scale), ties to even, within -127..127; 0 where x is not finite. scale > 0 */
	void (*i8_of_f32)(const uint8_t *source, float scale, uint8_t *target, size_t count);

	/* Whether any of `count` elements has all bits of `exponent`: then it is not finite. */
	uint32_t (*any_nonfinite_u16)(const uint8_t *source, uint16_t exponent, size_t count);
	uint32_t (*any_nonfinite_u32)(const uint8_t *source, uint32_t exponent, size_t count);
};

/* Set `i` of those that this machine runs, the fastest first; NULL behind the last. */
const struct dtype_kernels *dtype_kernels_at(size_t i);

#endif
