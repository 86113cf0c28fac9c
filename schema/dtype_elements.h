/* dtype_elements.h - turns one element of a dtype into another, without branches.
 *
 * The functions are written so that a loop around them becomes vector code on any instruction set:
 * they use integers and selections, and float operations that are exact or rounded once. They need
 * the default rounding mode. A NaN is made quiet, and keeps its sign and the upper bits of its
 * payload, as the instructions of F16C do it.
 *
 * Threads: any; there is no state.
 * Source: F. Giesen, "float->half variants", gist.github.com/rygorous/2156668.
 */
#ifndef SCHEMA_DTYPE_ELEMENTS_H
#define SCHEMA_DTYPE_ELEMENTS_H

#include <stdint.h>
#include <string.h>

#define F32_SIGN     0x80000000u
#define F32_INFINITY 0x7f800000u
#define F32_QUIET    0x00400000u

static inline __attribute__((always_inline)) uint32_t bits_of_float(float value)
{
	uint32_t bits;
	memcpy(&bits, &value, sizeof bits);
	return bits;
}

static inline __attribute__((always_inline)) float float_of_bits(uint32_t bits)
{
	float value;
	memcpy(&value, &bits, sizeof value);
	return value;
}

static inline __attribute__((always_inline)) uint32_t f32_bits_of_f16(uint16_t half)
{
	uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
	uint32_t rest = (uint32_t)(half & 0x7fffu) << 13; /* exponent and mantissa in place */
	uint32_t normal = rest + ((127u - 15u) << 23);
	/* A subnormal: with the exponent of 2^-14 it is 2^-14 too large. */
	float above = float_of_bits(rest + (113u << 23)) - float_of_bits(113u << 23);
	uint32_t nan = rest > 0x0f800000u ? F32_QUIET : 0;
	uint32_t other = rest | F32_INFINITY | nan;
	uint32_t bits = rest < 0x00800000u ? bits_of_float(above) : normal;
	return sign | (rest >= 0x0f800000u ? other : bits);
}

static inline __attribute__((always_inline)) uint16_t f16_of_f32_bits(uint32_t bits)
{
	uint32_t sign = bits & F32_SIGN;
	uint32_t rest = bits ^ sign;
	/* To round to even, half of the last place is added, and one less unless the last place is
	 * odd. What overflows the mantissa goes up into the exponent; the largest exponent becomes
	 * infinity. */
	uint32_t odd = rest >> 13 & 1u;
	uint32_t normal = (rest - ((127u - 15u) << 23) + 0xfffu + odd) >> 13;
	/* Below 2^-14, an addition shifts the mantissa into place and rounds it: the last place of
	 * 0.5 is that of the subnormals of f16. */
	uint32_t small = rest < 113u << 23 ? rest : 0;
	uint32_t subnormal = bits_of_float(float_of_bits(small) + 0.5f) - bits_of_float(0.5f);
	uint32_t nan = 0x7e00u | (rest >> 13 & 0x1ffu);
	uint32_t other = rest > F32_INFINITY ? nan : 0x7c00u;
	uint32_t half = rest < 113u << 23 ? subnormal : normal;
	half = rest >= 143u << 23 ? other : half;
	return (uint16_t)(sign >> 16 | half);
}

static inline __attribute__((always_inline)) uint32_t f32_bits_of_bf16(uint16_t brain)
{
	uint32_t bits = (uint32_t)brain << 16;
	return (bits & ~F32_SIGN) > F32_INFINITY ? bits | F32_QUIET : bits;
}

static inline __attribute__((always_inline)) uint16_t bf16_of_f32_bits(uint32_t bits)
{
	uint32_t nan = bits >> 16 | F32_QUIET >> 16;
	uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
	return (uint16_t)((bits & ~F32_SIGN) > F32_INFINITY ? nan : rounded);
}

/* round(x / scale), ties to even, within -127..127; 0 where x is not finite. */
static inline __attribute__((always_inline)) int8_t i8_of_f32_bits(uint32_t bits, float scale)
{
	float value = float_of_bits((bits & F32_INFINITY) == F32_INFINITY ? 0 : bits);
	float code = value / scale;
	/* A subnormal scale is coarse: 127 times the scale may be less than x. */
	code = code > 127.0f ? 127.0f : code;
	code = code < -127.0f ? -127.0f : code;
	/* 1.5 * 2^23 has its last place at 1: the sum is rounded, its low byte is the code. */
	return (int8_t)(bits_of_float(code + 12582912.0f) & 0xffu);
}

#endif
