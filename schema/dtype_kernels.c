/* dtype_kernels.c - the loops over elements, compiled once for each instruction set. */
#include "schema/dtype_kernels.h"

#include "schema/dtype_elements.h"

#include <assert.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <stdatomic.h>
#include <stdbool.h>
#endif

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "elements are read as they stand");

#define INLINE static inline __attribute__((always_inline))

INLINE uint16_t load_u16(const uint8_t *from, size_t i)
{
	uint16_t value;
	memcpy(&value, from + i * sizeof value, sizeof value);
	return value;
}

INLINE uint32_t load_u32(const uint8_t *from, size_t i)
{
	uint32_t value;
	memcpy(&value, from + i * sizeof value, sizeof value);
	return value;
}

INLINE void store_u16(uint8_t *to, size_t i, uint16_t value)
{
	memcpy(to + i * sizeof value, &value, sizeof value);
}

INLINE void store_u32(uint8_t *to, size_t i, uint32_t value)
{
	memcpy(to + i * sizeof value, &value, sizeof value);
}

INLINE void f32_of_f16(const uint8_t *restrict source, uint8_t *restrict target, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		store_u32(target, i, f32_bits_of_f16(load_u16(source, i)));
	}
}

INLINE void f32_of_bf16(const uint8_t *restrict source, uint8_t *restrict target, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		store_u32(target, i, f32_bits_of_bf16(load_u16(source, i)));
	}
}

INLINE void f16_of_f32(const uint8_t *restrict source, uint8_t *restrict target, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		store_u16(target, i, f16_of_f32_bits(load_u32(source, i)));
	}
}

INLINE void bf16_of_f32(const uint8_t *restrict source, uint8_t *restrict target, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		store_u16(target, i, bf16_of_f32_bits(load_u32(source, i)));
	}
}

INLINE void f32_of_i8(const uint8_t *restrict source, float scale, uint8_t *restrict target,
	size_t count)
{
	for (size_t i = 0; i < count; i++) {
		store_u32(target, i, bits_of_float((float)(int8_t)source[i] * scale));
	}
}

INLINE uint32_t f32_bits_of_bit(unsigned byte, size_t i)
{
	return (0u - (byte >> (7 - i) & 1u)) & 0x3f800000u; /* 0 or 1.0 */
}

/* It goes byte by byte, so that the eight elements of a byte are one vector. */
INLINE void f32_of_bit(const uint8_t *restrict source, uint8_t *restrict target, size_t count)
{
	size_t whole = count / 8;
	for (size_t byte = 0; byte < whole; byte++) {
		for (size_t i = 0; i < 8; i++) {
			store_u32(target, byte * 8 + i, f32_bits_of_bit(source[byte], i));
		}
	}
	for (size_t i = whole * 8; i < count; i++) {
		store_u32(target, i, f32_bits_of_bit(source[whole], i % 8));
	}
}

INLINE float f32_largest(const uint8_t *source, size_t count)
{
	/* Floats without a sign have the order of their bits. The bits are compared as signed
	 * numbers, which every instruction set can do. */
	int32_t largest = 0;
	for (size_t i = 0; i < count; i++) {
		int32_t bits = (int32_t)(load_u32(source, i) & ~F32_SIGN);
		bits = bits >= (int32_t)F32_INFINITY ? 0 : bits;
		largest = bits > largest ? bits : largest;
	}
	return float_of_bits((uint32_t)largest);
}

INLINE void i8_of_f32(const uint8_t *restrict source, float scale, uint8_t *restrict target,
	size_t count)
{
	for (size_t i = 0; i < count; i++) {
		target[i] = (uint8_t)i8_of_f32_bits(load_u32(source, i), scale);
	}
}

INLINE uint32_t any_nonfinite_u16(const uint8_t *source, uint16_t exponent, size_t count)
{
	uint16_t found = 0;
	for (size_t i = 0; i < count; i++) {
		found |= (load_u16(source, i) & exponent) == exponent ? 1u : 0u;
	}
	return found;
}

INLINE uint32_t any_nonfinite_u32(const uint8_t *source, uint32_t exponent, size_t count)
{
	uint32_t found = 0;
	for (size_t i = 0; i < count; i++) {
		found |= (load_u32(source, i) & exponent) == exponent ? 1u : 0u;
	}
	return found;
}

/* target_clones is not used: its resolvers run before the sanitizers are ready, and a test could
 * not choose a set. NOLINTBEGIN(bugprone-macro-parentheses): an attribute stands without them. */
#define KERNELS(SET, TARGET)                                                                       \
	TARGET static void SET##_f32_of_f16(const uint8_t *from, uint8_t *to, size_t count)        \
	{                                                                                          \
		f32_of_f16(from, to, count);                                                       \
	}                                                                                          \
	TARGET static void SET##_f32_of_bf16(const uint8_t *from, uint8_t *to, size_t count)       \
	{                                                                                          \
		f32_of_bf16(from, to, count);                                                      \
	}                                                                                          \
	TARGET static void SET##_f16_of_f32(const uint8_t *from, uint8_t *to, size_t count)        \
	{                                                                                          \
		f16_of_f32(from, to, count);                                                       \
	}                                                                                          \
	TARGET static void SET##_bf16_of_f32(const uint8_t *from, uint8_t *to, size_t count)       \
	{                                                                                          \
		bf16_of_f32(from, to, count);                                                      \
	}                                                                                          \
	TARGET static void SET##_f32_of_i8(const uint8_t *from, float scale, uint8_t *to,          \
		size_t count)                                                                      \
	{                                                                                          \
		f32_of_i8(from, scale, to, count);                                                 \
	}                                                                                          \
	TARGET static void SET##_f32_of_bit(const uint8_t *from, uint8_t *to, size_t count)        \
	{                                                                                          \
		f32_of_bit(from, to, count);                                                       \
	}                                                                                          \
	TARGET static float SET##_f32_largest(const uint8_t *from, size_t count)                   \
	{                                                                                          \
		return f32_largest(from, count);                                                   \
	}                                                                                          \
	TARGET static void SET##_i8_of_f32(const uint8_t *from, float scale, uint8_t *to,          \
		size_t count)                                                                      \
	{                                                                                          \
		i8_of_f32(from, scale, to, count);                                                 \
	}                                                                                          \
	TARGET static uint32_t SET##_any_nonfinite_u16(const uint8_t *from, uint16_t exponent,     \
		size_t count)                                                                      \
	{                                                                                          \
		return any_nonfinite_u16(from, exponent, count);                                   \
	}                                                                                          \
	TARGET static uint32_t SET##_any_nonfinite_u32(const uint8_t *from, uint32_t exponent,     \
		size_t count)                                                                      \
	{                                                                                          \
		return any_nonfinite_u32(from, exponent, count);                                   \
	}                                                                                          \
	static const struct dtype_kernels SET##_kernels = {                                        \
		.name = #SET,                                                                      \
		.f32_of_f16 = SET##_f32_of_f16,                                                    \
		.f32_of_bf16 = SET##_f32_of_bf16,                                                  \
		.f16_of_f32 = SET##_f16_of_f32,                                                    \
		.bf16_of_f32 = SET##_bf16_of_f32,                                                  \
		.f32_of_i8 = SET##_f32_of_i8,                                                      \
		.f32_of_bit = SET##_f32_of_bit,                                                    \
		.f32_largest = SET##_f32_largest,                                                  \
		.i8_of_f32 = SET##_i8_of_f32,                                                      \
		.any_nonfinite_u16 = SET##_any_nonfinite_u16,                                      \
		.any_nonfinite_u32 = SET##_any_nonfinite_u32,                                      \
	};

/* NOLINTEND(bugprone-macro-parentheses) */

KERNELS(plain, )

#if defined(__x86_64__)
/* AVX-512 was measured too: nothing that a request would notice. */
KERNELS(avx2, __attribute__((target("avx2"))))

/* F16C has one instruction for each of these two, which gives the same bits for every value. */
__attribute__((target("avx2,f16c"))) static void f16c_f32_of_f16(const uint8_t *from, uint8_t *to,
	size_t count)
{
	size_t whole = count & ~(size_t)7;
	for (size_t i = 0; i < whole; i += 8) {
		__m128i halves = _mm_loadu_si128((const __m128i_u *)(const void *)(from + i * 2));
		_mm256_storeu_ps((float *)(void *)(to + i * 4), _mm256_cvtph_ps(halves));
	}
	f32_of_f16(from + whole * 2, to + whole * 4, count - whole);
}

__attribute__((target("avx2,f16c"))) static void f16c_f16_of_f32(const uint8_t *from, uint8_t *to,
	size_t count)
{
	size_t whole = count & ~(size_t)7;
	for (size_t i = 0; i < whole; i += 8) {
		__m256 singles = _mm256_loadu_ps((const float *)(const void *)(from + i * 4));
		__m128i halves = _mm256_cvtps_ph(singles, _MM_FROUND_TO_NEAREST_INT);
		_mm_storeu_si128((__m128i_u *)(void *)(to + i * 2), halves);
	}
	f16_of_f32(from + whole * 4, to + whole * 2, count - whole);
}

static const struct dtype_kernels f16c_kernels = {
	.name = "f16c",
	.f32_of_f16 = f16c_f32_of_f16,
	.f32_of_bf16 = avx2_f32_of_bf16,
	.f16_of_f32 = f16c_f16_of_f32,
	.bf16_of_f32 = avx2_bf16_of_f32,
	.f32_of_i8 = avx2_f32_of_i8,
	.f32_of_bit = avx2_f32_of_bit,
	.f32_largest = avx2_f32_largest,
	.i8_of_f32 = avx2_i8_of_f32,
	.any_nonfinite_u16 = avx2_any_nonfinite_u16,
	.any_nonfinite_u32 = avx2_any_nonfinite_u32,
};

/* The processor is asked once, since under a hypervisor its answer takes a microsecond or two.
 * (clang's __builtin_cpu_supports does not know f16c.) */
static bool has_f16c(void)
{
	enum { UNKNOWN, NO, YES };
	static _Atomic int known = UNKNOWN;
	int answer = atomic_load_explicit(&known, memory_order_relaxed);
	if (answer == UNKNOWN) {
		unsigned eax, ebx, ecx = 0, edx;
		answer = __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C) ? YES : NO;
		atomic_store_explicit(&known, answer, memory_order_relaxed);
	}
	return answer == YES;
}

const struct dtype_kernels *dtype_kernels_at(size_t i)
{
	const struct dtype_kernels *sets[3];
	size_t count = 0;
	if (__builtin_cpu_supports("avx2")) {
		if (has_f16c()) {
			sets[count++] = &f16c_kernels;
		}
		sets[count++] = &avx2_kernels;
	}
	sets[count++] = &plain_kernels;
	assert(count <= sizeof sets / sizeof *sets);
	return i < count ? sets[i] : NULL;
}
#else
const struct dtype_kernels *dtype_kernels_at(size_t i)
{
	return i == 0 ? &plain_kernels : NULL;
}
#endif
