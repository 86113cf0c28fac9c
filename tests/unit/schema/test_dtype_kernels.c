/* test_dtype_kernels.c - every instruction set gives the bits that arithmetic asks for. */
#include "schema/dtype_kernels.h"

#include "schema/dtype.h"
#include "tests/unit/seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A binary format with a sign, slow and plain. */
struct format {
	int mantissa_bits;
	int exponent_bits;
};

static const struct format half = {10, 5};
static const struct format brain = {7, 8};

static int exponent_max(struct format format)
{
	return (1 << format.exponent_bits) - 1;
}

static int exponent_bias(struct format format)
{
	return exponent_max(format) / 2;
}

/* What `bits` mean. NaN has no value and is tested apart. */
static double value_of(struct format format, uint16_t bits)
{
	int exponent = bits >> format.mantissa_bits & exponent_max(format);
	int mantissa = bits & ((1 << format.mantissa_bits) - 1);
	double sign = bits & 0x8000 ? -1.0 : 1.0;
	if (exponent == exponent_max(format)) {
		return mantissa == 0 ? sign * (double)INFINITY : (double)NAN;
	}
	if (exponent == 0) {
		return sign * ldexp(mantissa, 1 - exponent_bias(format) - format.mantissa_bits);
	}
	return sign * ldexp(mantissa + (1 << format.mantissa_bits),
			      exponent - exponent_bias(format) - format.mantissa_bits);
}

/* The nearest bits to `value`, which is no NaN; ties go to the even mantissa. */
static uint16_t nearest(struct format format, double value)
{
	int least = 1 - exponent_bias(format);
	uint16_t sign = signbit(value) ? 0x8000 : 0;
	double rest = fabs(value);
	uint16_t infinity = (uint16_t)(exponent_max(format) << format.mantissa_bits);
	if (isinf(rest)) {
		return sign | infinity;
	}
	int exponent = rest > 0 ? ilogb(rest) : least;
	exponent = exponent < least ? least : exponent;
	/* A double holds the quotient exactly, and nearbyint goes to even. */
	double mantissa = nearbyint(ldexp(rest, format.mantissa_bits - exponent));
	int64_t bits = (int64_t)mantissa + ((int64_t)(exponent - least) << format.mantissa_bits);
	return sign | (uint16_t)(bits > infinity ? infinity : bits);
}

static uint32_t bits_of(float value)
{
	uint32_t bits;
	memcpy(&bits, &value, sizeof bits);
	return bits;
}

static float float_of(uint32_t bits)
{
	float value;
	memcpy(&value, &bits, sizeof value);
	return value;
}

/* Quiet, same sign, the upper bits of the payload. */
static uint16_t narrow(struct format format, uint32_t bits)
{
	if (!isnan(float_of(bits))) {
		return nearest(format, (double)float_of(bits));
	}
	uint32_t payload = (bits & 0x7fffffu) >> (23 - format.mantissa_bits);
	return (uint16_t)(bits >> 16 & 0x8000u) |
	       (uint16_t)(exponent_max(format) << format.mantissa_bits) |
	       (uint16_t)(1 << (format.mantissa_bits - 1)) | (uint16_t)payload;
}

static uint32_t widen(struct format format, uint16_t bits)
{
	double value = value_of(format, bits);
	if (!isnan(value)) {
		return bits_of((float)value);
	}
	uint32_t payload = bits & ((1u << format.mantissa_bits) - 1);
	return (uint32_t)(bits & 0x8000) << 16 | 0x7fc00000u |
	       payload << (23 - format.mantissa_bits);
}

static void *allocate(size_t bytes)
{
	void *memory = malloc(bytes);
	if (memory == NULL) {
		abort();
	}
	return memory;
}

/* Runs `fn` over the whole, and over short pieces at odd addresses. */
static void expect(void (*fn)(const uint8_t *, uint8_t *, size_t), const void *source,
	size_t source_size, const void *expected, size_t target_size, size_t count)
{
	enum { PIECE = 70, GUARD = 0x5a };
	uint8_t *target = allocate(count * target_size);
	fn(source, target, count);
	assert_memory_equal(target, expected, count * target_size);
	free(target);

	uint8_t from[PIECE * 4 + 1];
	uint8_t to[PIECE * 4 + 2];
	for (size_t piece = 0; piece <= PIECE && piece <= count; piece++) {
		size_t first = (count - piece) / 2;
		memcpy(from + 1, (const uint8_t *)source + first * source_size,
			piece * source_size);
		memset(to, GUARD, sizeof to);
		fn(from + 1, to + 1, piece);
		assert_memory_equal(to + 1, (const uint8_t *)expected + first * target_size,
			piece * target_size);
		assert_int_equal(to[0], GUARD);
		assert_int_equal(to[piece * target_size + 1], GUARD);
	}
}

static void all_narrow_values_widen_exactly(void **state)
{
	(void)state;
	enum { ALL = 65536 };
	uint16_t *source = allocate(ALL * sizeof *source);
	uint32_t *halves = allocate(ALL * sizeof *halves);
	uint32_t *brains = allocate(ALL * sizeof *brains);
	for (uint32_t i = 0; i < ALL; i++) {
		source[i] = (uint16_t)i;
		halves[i] = widen(half, source[i]);
		brains[i] = widen(brain, source[i]);
		assert_int_equal(bits_of(dtype_f32_of_f16(source[i])), halves[i]);
		assert_int_equal(bits_of(dtype_f32_of_bf16(source[i])), brains[i]);
	}
	const struct dtype_kernels *kernels;
	for (size_t i = 0; (kernels = dtype_kernels_at(i)) != NULL; i++) {
		print_message("%s\n", kernels->name);
		expect(kernels->f32_of_f16, source, 2, halves, 4, ALL);
		expect(kernels->f32_of_bf16, source, 2, brains, 4, ALL);
	}
	free(source);
	free(halves);
	free(brains);
}

static void all_narrow_values_make_the_round_trip(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 65536; i++) {
		uint16_t bits = (uint16_t)i;
		bool half_nan = (bits & 0x7fff) > 0x7c00;
		bool brain_nan = (bits & 0x7fff) > 0x7f80;
		assert_int_equal(dtype_f16_of_f32(dtype_f32_of_f16(bits)),
			half_nan ? bits | 0x0200 : bits);
		assert_int_equal(dtype_bf16_of_f32(dtype_f32_of_bf16(bits)),
			brain_nan ? bits | 0x0040 : bits);
	}
}

/* Narrows `count` bits of f32 by every set, and compares with the reference. */
static void expect_narrow(const uint32_t *source, size_t count)
{
	uint16_t *halves = allocate(count * sizeof *halves);
	uint16_t *brains = allocate(count * sizeof *brains);
	for (size_t i = 0; i < count; i++) {
		halves[i] = narrow(half, source[i]);
		brains[i] = narrow(brain, source[i]);
		if (dtype_f16_of_f32(float_of(source[i])) != halves[i] ||
			dtype_bf16_of_f32(float_of(source[i])) != brains[i]) {
			fail_msg("0x%08x is wrong", source[i]);
		}
	}
	const struct dtype_kernels *kernels;
	for (size_t i = 0; (kernels = dtype_kernels_at(i)) != NULL; i++) {
		expect(kernels->f16_of_f32, source, 4, halves, 2, count);
		expect(kernels->bf16_of_f32, source, 4, brains, 2, count);
	}
	free(halves);
	free(brains);
}

/* Each narrow value, the middle between it and the next, and the neighbours of both. */
static void middles_go_to_even(void **state)
{
	(void)state;
	enum { EACH = 12, ALL = 65536 };
	uint32_t *source = allocate((size_t)ALL * EACH * sizeof *source);
	size_t count = 0;
	for (uint32_t i = 0; i < ALL; i++) {
		uint32_t sign = (i & 0x8000) << 16;
		if ((i & 0x7fff) < 0x7c00) {
			uint32_t here = widen(half, (uint16_t)i) & 0x7fffffffu;
			/* The largest half has no next one; what rounds to infinity begins at
			 * the middle to 2^16 all the same. */
			double next = (i & 0x7fff) == 0x7bff
					      ? 65536.0
					      : fabs(value_of(half, (uint16_t)(i + 1)));
			double middle = (fabs(value_of(half, (uint16_t)i)) + next) / 2;
			uint32_t between = bits_of((float)middle);
			assert_true((double)float_of(between) == middle);
			for (uint32_t step = 0; step < 3; step++) {
				source[count++] = sign | (between + step - 1);
				source[count++] = sign | ((here + step - 1) & 0x7fffffffu);
			}
		}
		for (uint32_t step = 0; step < 3; step++) {
			source[count++] = (i << 16) + step;
			source[count++] = (i << 16) + 0x7fffu + step;
		}
	}
	expect_narrow(source, count);
	free(source);
}

static void a_sample_of_all_singles_narrows_exactly(void **state)
{
	(void)state;
	/* A prime, so that all low bits occur with all exponents. */
	const uint32_t stride = 4099;
	size_t count = UINT32_MAX / stride;
	uint32_t *source = allocate(count * sizeof *source);
	for (size_t i = 0; i < count; i++) {
		source[i] = (uint32_t)i * stride;
	}
	expect_narrow(source, count);
	free(source);
}

static void expect_codes(const uint32_t *source, float scale, const uint8_t *expected, size_t count)
{
	uint8_t *target = allocate(count + 1);
	const struct dtype_kernels *kernels;
	for (size_t i = 0; (kernels = dtype_kernels_at(i)) != NULL; i++) {
		for (size_t first = 0; first < 40; first++) {
			size_t some = first == 0 ? count : 39 - first;
			const uint8_t *from = (const uint8_t *)(source + first);
			kernels->i8_of_f32(from, scale, target + 1, some);
			assert_memory_equal(target + 1, expected + first, some);
		}
	}
	free(target);
}

static void codes_of_i8_are_rounded_quotients(void **state)
{
	(void)state;
	static const float scales[] = {1.0f, 0.5f, 0.1f, 1.0f / 127.0f, 3e-39f, 0x1p-149f, 1e36f};
	enum { COUNT = 4096 };
	uint32_t *source = allocate(COUNT * sizeof *source);
	uint8_t *expected = allocate(COUNT);
	uint32_t random = (uint32_t)seed_from(1);
	for (size_t s = 0; s < sizeof scales / sizeof *scales; s++) {
		for (size_t i = 0; i < COUNT; i++) {
			random = random * 1664525u + 1013904223u;
			/* Any bits; and codes, halves of codes and their neighbours. */
			float near = ((float)(random >> 23) * 0.5f - 128.0f) * scales[s];
			source[i] = i % 2 == 0 ? random : bits_of(near) + (random & 3) - 1;
			float x = isfinite(float_of(source[i])) ? float_of(source[i]) : 0;
			float code = nearbyintf(x / scales[s]);
			code = code > 127 ? 127 : code;
			code = code < -127 ? -127 : code;
			expected[i] = (uint8_t)(int8_t)code;
		}
		expect_codes(source, scales[s], expected, COUNT);
	}
	free(source);
	free(expected);
}

static void values_of_i8_are_codes_times_scale(void **state)
{
	(void)state;
	static const float scales[] = {1.0f, 0.1f, 0x1p-149f, 3e38f, -1.0f, 0.0f, INFINITY, NAN};
	uint8_t source[256];
	uint8_t target[256 * 4];
	for (size_t i = 0; i < 256; i++) {
		source[i] = (uint8_t)i;
	}
	for (size_t s = 0; s < sizeof scales / sizeof *scales; s++) {
		const struct dtype_kernels *kernels;
		for (size_t i = 0; (kernels = dtype_kernels_at(i)) != NULL; i++) {
			for (size_t first = 0; first < 256; first += 5) {
				kernels->f32_of_i8(source + first, scales[s], target, 256 - first);
				for (size_t at = first; at < 256; at++) {
					float got;
					memcpy(&got, target + (at - first) * 4, 4);
					float want = (float)(int8_t)at * scales[s];
					assert_true(isnan(want) ? isnan(got)
								: bits_of(got) == bits_of(want));
				}
			}
		}
	}
}

static void expect_largest(const struct dtype_kernels *kernels, float *values, size_t count)
{
	for (size_t at = 0; at < count; at++) {
		values[at] = at % 3 == 0 ? -INFINITY : at % 3 == 1 ? NAN : -0.5f;
	}
	values[count] = 9.0f; /* beyond the end */
	float got = kernels->f32_largest((const uint8_t *)values, count);
	assert_true(got == (count > 2 ? 0.5f : 0.0f));
	for (size_t at = 0; at < count; at++) {
		float kept = values[at];
		values[at] = -3e38f;
		got = kernels->f32_largest((const uint8_t *)values, count);
		assert_true(got == 3e38f);
		values[at] = kept;
	}
}

static void the_largest_is_found_and_is_finite(void **state)
{
	(void)state;
	enum { COUNT = 67 };
	float values[COUNT + 1];
	const struct dtype_kernels *kernels;
	for (size_t i = 0; (kernels = dtype_kernels_at(i)) != NULL; i++) {
		for (size_t count = 0; count <= COUNT; count++) {
			expect_largest(kernels, values, count);
		}
	}
}

static void bits_become_zeros_and_ones(void **state)
{
	(void)state;
	enum { COUNT = 256 * 8 };
	uint8_t source[256];
	uint32_t target[COUNT + 1];
	for (size_t i = 0; i < 256; i++) {
		source[i] = (uint8_t)i;
	}
	const struct dtype_kernels *kernels;
	for (size_t i = 0; (kernels = dtype_kernels_at(i)) != NULL; i++) {
		for (size_t count = 0; count <= COUNT; count += count < 40 ? 1 : 251) {
			target[count] = 0x5a5a5a5au;
			kernels->f32_of_bit(source, (uint8_t *)target, count);
			for (size_t at = 0; at < count; at++) {
				bool set = source[at / 8] & 1u << (7 - at % 8);
				assert_int_equal(target[at], bits_of(set ? 1.0f : 0.0f));
			}
			assert_int_equal(target[count], 0x5a5a5a5au);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_narrow_values_widen_exactly),
		cmocka_unit_test(all_narrow_values_make_the_round_trip),
		cmocka_unit_test(middles_go_to_even),
		cmocka_unit_test(a_sample_of_all_singles_narrows_exactly),
		cmocka_unit_test(codes_of_i8_are_rounded_quotients),
		cmocka_unit_test(values_of_i8_are_codes_times_scale),
		cmocka_unit_test(bits_become_zeros_and_ones),
		cmocka_unit_test(the_largest_is_found_and_is_finite),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
