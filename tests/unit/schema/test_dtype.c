/* test_dtype.c - rows of every dtype become rows of every other, at any address. */
#include "schema/dtype.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_I8, DTYPE_BIT,
	DTYPE_F64};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };

static void dtypes_have_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < DTYPES; i++) {
		const char *name = dtype_name(dtypes[i]);
		assert_int_equal(dtype_of_name(name, strlen(name)), dtypes[i]);
	}
	assert_string_equal(dtype_name(DTYPE_BF16), "bf16");
	assert_string_equal(dtype_name(DTYPE_NONE), "none");
	assert_string_equal(dtype_name((enum dtype)77), "none");
	assert_int_equal(dtype_of_name("none", 4), DTYPE_NONE);
	assert_int_equal(dtype_of_name("f8", 2), DTYPE_NONE);
	assert_int_equal(dtype_of_name("f32x", 4), DTYPE_NONE);
	assert_int_equal(dtype_of_name("", 0), DTYPE_NONE);
}

static void rows_have_sizes(void **state)
{
	(void)state;
	assert_int_equal(dtype_row_bytes(DTYPE_F32, 64, 3), 768);
	assert_int_equal(dtype_row_bytes(DTYPE_F16, 64, 3), 384);
	assert_int_equal(dtype_row_bytes(DTYPE_BF16, 64, 3), 384);
	assert_int_equal(dtype_row_bytes(DTYPE_I8, 64, 3), 192);
	assert_int_equal(dtype_row_bytes(DTYPE_BIT, 64, 3), 24);
	assert_int_equal(dtype_row_bytes(DTYPE_BIT, 65, 3), 27);
	assert_int_equal(dtype_row_bytes(DTYPE_BIT, 1, 1), 1);
	assert_int_equal(dtype_row_bytes(DTYPE_NONE, 64, 3), 0);
	assert_int_equal(dtype_row_bytes((enum dtype)77, 64, 3), 0);
	assert_int_equal(dtype_row_bytes(DTYPE_F32, 65536, 1024), 268435456);
}

static void only_bits_become_bits(void **state)
{
	(void)state;
	for (size_t from = 0; from < DTYPES; from++) {
		for (size_t to = 0; to < DTYPES; to++) {
			bool may = dtypes[to] != DTYPE_BIT || dtypes[from] == DTYPE_BIT;
			assert_int_equal(dtype_convertible(dtypes[from], dtypes[to]), may);
		}
		assert_false(dtype_convertible(dtypes[from], DTYPE_NONE));
		assert_false(dtype_convertible(DTYPE_NONE, dtypes[from]));
	}
}

/* ---- any dtype into any other, against one element at a time ---- */

enum { ROWS = 3 };

/* `bytes` of its own, one byte past an aligned address. */
static uint8_t *unaligned(size_t bytes)
{
	uint8_t *memory = malloc(bytes + 1);
	assert_non_null(memory);
	memset(memory, 0x5a, bytes + 1);
	return memory + 1;
}

static struct dtype_rows new_rows(enum dtype dtype, uint32_t dim, uint32_t views)
{
	return (struct dtype_rows){.dtype = dtype,
		.rows = unaligned(dtype_row_bytes(dtype, dim, views) * ROWS),
		.scales = unaligned(sizeof(float) * ROWS)};
}

static void free_rows(const struct dtype_rows *rows)
{
	free((uint8_t *)rows->rows - 1);
	free((uint8_t *)rows->scales - 1);
}

static float scale_of(const struct dtype_rows *rows, size_t row)
{
	float scale;
	memcpy(&scale, (const uint8_t *)rows->scales + row * sizeof scale, sizeof scale);
	return scale;
}

/* Element `view`, `i` of a row, by the words of dtype.h. */
static float element(const struct dtype_rows *rows, uint32_t dim, uint32_t views, size_t row,
	const uint32_t place[2])
{
	size_t at = (size_t)place[0] * dim + place[1];
	const uint8_t *bytes =
		(const uint8_t *)rows->rows + row * dtype_row_bytes(rows->dtype, dim, views);
	uint16_t narrow;
	float value;
	double wide;
	switch (rows->dtype) {
	case DTYPE_F64:
		memcpy(&wide, bytes + at * 8, 8);
		return (float)wide;
	case DTYPE_F32:
		memcpy(&value, bytes + at * 4, 4);
		return value;
	case DTYPE_F16:
		memcpy(&narrow, bytes + at * 2, 2);
		return dtype_f32_of_f16(narrow);
	case DTYPE_BF16:
		memcpy(&narrow, bytes + at * 2, 2);
		return dtype_f32_of_bf16(narrow);
	case DTYPE_I8:
		return (float)(int8_t)bytes[at] * scale_of(rows, row);
	case DTYPE_BIT:
		bytes += (size_t)place[0] * ((dim + 7) / 8);
		return (float)(bytes[place[1] / 8] >> (7 - place[1] % 8) & 1);
	case DTYPE_NONE:
		break;
	}
	return NAN;
}

/* What an element of `to` makes of `value`, whose row has the largest |x| `largest`. */
static float through(enum dtype to, float value, float largest)
{
	if (to == DTYPE_F16) {
		return dtype_f32_of_f16(dtype_f16_of_f32(value));
	}
	if (to == DTYPE_BF16) {
		return dtype_f32_of_bf16(dtype_bf16_of_f32(value));
	}
	if (to != DTYPE_I8) {
		return value;
	}
	float scale = largest / 127.0f;
	return scale > 0 ? nearbyintf(value / scale) * scale : 0;
}

static void fill(const struct dtype_rows *rows, uint32_t dim, uint32_t views)
{
	static uint32_t random = 7;
	size_t row_bytes = dtype_row_bytes(rows->dtype, dim, views);
	uint8_t *bytes = rows->rows;
	for (size_t i = 0; i < row_bytes * ROWS; i++) {
		random = random * 1664525u + 1013904223u;
		bytes[i] = (uint8_t)(random >> 24);
	}
	float scales[ROWS] = {0.25f, 0.0f, 0.01f};
	memcpy(rows->scales, scales, sizeof scales);
	if (rows->dtype == DTYPE_I8 || rows->dtype == DTYPE_BIT) {
		return;
	}
	/* Values that every dtype can hold, no NaN. */
	for (size_t i = 0; i < (size_t)dim * views * ROWS; i++) {
		random = random * 1664525u + 1013904223u;
		float value = ((float)(random >> 8) - 8388608.0f) * 0x1p-20f;
		uint16_t narrow = rows->dtype == DTYPE_F16 ? dtype_f16_of_f32(value)
							   : dtype_bf16_of_f32(value);
		const double wide = (double)value;
		if (rows->dtype == DTYPE_F64) {
			memcpy(bytes + i * 8, &wide, 8);
		} else if (rows->dtype == DTYPE_F32) {
			memcpy(bytes + i * 4, &value, 4);
		} else {
			memcpy(bytes + i * 2, &narrow, 2);
		}
	}
}

static float largest_of(const struct dtype_rows *rows, uint32_t dim, uint32_t views, size_t row)
{
	float largest = 0;
	uint32_t place[2];
	for (place[0] = 0; place[0] < views; place[0]++) {
		for (place[1] = 0; place[1] < dim; place[1]++) {
			float value = fabsf(element(rows, dim, views, row, place));
			largest = value > largest ? value : largest;
		}
	}
	return largest;
}

static void expect_row(const struct dtype_rows *target, const struct dtype_rows *source,
	uint32_t dim, uint32_t views, size_t row)
{
	float largest = largest_of(source, dim, views, row);
	uint32_t place[2];
	for (place[0] = 0; place[0] < views; place[0]++) {
		for (place[1] = 0; place[1] < dim; place[1]++) {
			float value = element(source, dim, views, row, place);
			float want = source->dtype == target->dtype
					     ? value
					     : through(target->dtype, value, largest);
			float got = element(target, dim, views, row, place);
			if (got != want) {
				fail_msg("%s to %s, dim %u, views %u, row %zu, %u %u: "
					 "%a is %a, not %a",
					dtype_name(source->dtype), dtype_name(target->dtype), dim,
					views, row, place[0], place[1], (double)value, (double)got,
					(double)want);
			}
		}
	}
}

static void expect_conversion(enum dtype from, enum dtype to, uint32_t dim, uint32_t views)
{
	struct dtype_rows source = new_rows(from, dim, views);
	struct dtype_rows target = new_rows(to, dim, views);
	fill(&source, dim, views);
	dtype_convert(&target, &source, ROWS, dim, views);
	for (size_t row = 0; row < ROWS; row++) {
		expect_row(&target, &source, dim, views, row);
	}
	free_rows(&source);
	free_rows(&target);
}

static void all_pairs_convert(void **state)
{
	(void)state;
	static const uint32_t dims[] = {1, 2, 7, 8, 9, 31, 64, 65, 100, 2047, 2048, 2049, 5000};
	for (size_t from = 0; from < DTYPES; from++) {
		for (size_t to = 0; to < DTYPES; to++) {
			if (!dtype_convertible(dtypes[from], dtypes[to])) {
				continue;
			}
			for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
				expect_conversion(dtypes[from], dtypes[to], dims[i], 1);
				expect_conversion(dtypes[from], dtypes[to], dims[i], 3);
			}
		}
	}
}

static void no_rows_need_no_memory(void **state)
{
	(void)state;
	for (size_t from = 0; from < DTYPES; from++) {
		for (size_t to = 0; to < DTYPES; to++) {
			if (!dtype_convertible(dtypes[from], dtypes[to])) {
				continue;
			}
			struct dtype_rows source = {.dtype = dtypes[from]};
			struct dtype_rows target = {.dtype = dtypes[to]};
			dtype_convert(&target, &source, 0, 64, 1);
			/* And where there is memory, nothing is written. */
			const uint8_t zeros[64 * sizeof(float)] = {0};
			uint8_t rows[64 * sizeof(float)];
			float scale = 7;
			memset(rows, 0x5a, sizeof rows);
			source.rows = (void *)zeros;
			source.scales = &scale;
			target.rows = rows;
			target.scales = &scale;
			dtype_convert(&target, &source, 0, 64, 1);
			for (size_t i = 0; i < sizeof rows; i++) {
				assert_int_equal(rows[i], 0x5a);
			}
			assert_true(scale == 7);
		}
	}
}

static void same_dtypes_are_copied_bit_for_bit(void **state)
{
	(void)state;
	/* Signalling NaNs, as f32 and as f16; a scale that is none. */
	uint32_t source[] = {0x7f800001u, 0xff812345u, 0x7c017c01u, 0x80000000u};
	float source_scales[] = {NAN, INFINITY};
	for (size_t i = 0; i < DTYPES; i++) {
		uint32_t target[4] = {0};
		float target_scales[2] = {0};
		uint32_t dim =
			(uint32_t)(dtypes[i] == DTYPE_BIT ? 64
							  : 8 / dtype_row_bytes(dtypes[i], 1, 1));
		dtype_convert(&(struct dtype_rows){dtypes[i], target, target_scales},
			&(struct dtype_rows){dtypes[i], source, source_scales}, 2, dim, 1);
		assert_memory_equal(target, source, sizeof target);
		if (dtypes[i] == DTYPE_I8) {
			assert_memory_equal(target_scales, source_scales, sizeof target_scales);
		}
	}
}

/* ---- i8 ---- */

static void quantise(const float *values, uint32_t dim, int8_t *codes, float *scale)
{
	dtype_convert(&(struct dtype_rows){DTYPE_I8, codes, scale},
		&(struct dtype_rows){DTYPE_F32, (void *)values, NULL}, 1, dim, 1);
}

static void the_largest_gets_the_code_127(void **state)
{
	(void)state;
	static const float values[] = {-12.7f, 12.7f, 0.05f, 0.1f, -0.0f, 6.35f};
	int8_t codes[6];
	float scale;
	quantise(values, 6, codes, &scale);
	assert_true(scale == 12.7f / 127.0f);
	assert_int_equal(codes[0], -127);
	assert_int_equal(codes[1], 127);
	assert_int_equal(codes[3], 1);
	assert_int_equal(codes[4], 0);
	for (size_t i = 0; i < 6; i++) {
		assert_true(fabsf((float)codes[i] * scale - values[i]) <= scale * 0.50001f);
	}
}

static void a_zero_row_has_the_scale_0(void **state)
{
	(void)state;
	static const float values[] = {0.0f, -0.0f, 0.0f};
	int8_t codes[3] = {1, 1, 1};
	float scale = 5;
	quantise(values, 3, codes, &scale);
	assert_true(scale == 0.0f && !signbit(scale));
	assert_memory_equal(codes, "\0\0\0", 3);
}

static void what_is_not_finite_counts_as_0_in_i8(void **state)
{
	(void)state;
	static const float values[] = {NAN, INFINITY, -INFINITY, 127.0f, -63.0f};
	int8_t codes[5];
	float scale;
	quantise(values, 5, codes, &scale);
	assert_true(scale == 1.0f);
	static const int8_t expected[] = {0, 0, 0, 127, -63};
	assert_memory_equal(codes, expected, 5);
	quantise(values, 3, codes, &scale);
	assert_true(scale == 0.0f);
	assert_memory_equal(codes, "\0\0\0", 3);
}

static void the_smallest_and_the_largest_floats_make_i8(void **state)
{
	(void)state;
	static const float tiny[] = {0x1p-149f, -0x1p-149f};
	static const float small[] = {0x64p-149f, -0x3p-149f};
	static const float huge[] = {0x1.fffffep127f, -0x1.fffffep127f};
	int8_t codes[2];
	float scale;
	quantise(tiny, 2, codes, &scale);
	assert_true(scale == 0.0f);
	assert_int_equal(codes[0], 0);
	quantise(small, 2, codes, &scale);
	assert_true(scale == 0x1p-149f);
	assert_int_equal(codes[0], 100);
	assert_int_equal(codes[1], -3);
	quantise(huge, 2, codes, &scale);
	assert_true(isfinite(scale * -128.0f));
	assert_int_equal(codes[0], 127);
	assert_int_equal(codes[1], -127);
}

/* ---- bit ---- */

static void bits_stand_as_packbits_puts_them(void **state)
{
	(void)state;
	/* numpy.packbits([[1,0,1,1,0,0,0,0, 1,1], [0,0,0,0,0,0,0,1, 0,1]], axis=1) */
	static const uint8_t packed[] = {0xb0, 0xc0, 0x01, 0x40};
	static const float expected[] = {1, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0,
		1};
	float values[20];
	struct dtype_rows target = {.dtype = DTYPE_F32, .rows = values};
	struct dtype_rows source = {.dtype = DTYPE_BIT, .rows = (void *)packed};
	dtype_convert(&target, &source, 1, 10, 2);
	assert_memory_equal(values, expected, sizeof expected);
	dtype_convert(&target, &source, 2, 10, 1);
	assert_memory_equal(values, expected, sizeof expected);
	int8_t codes[20];
	float scale;
	dtype_convert(&(struct dtype_rows){DTYPE_I8, codes, &scale}, &source, 1, 10, 2);
	for (size_t i = 0; i < 20; i++) {
		assert_true((float)codes[i] * scale == expected[i]);
	}
}

/* ---- what is not finite ---- */

static void the_first_nonfinite_is_found_at_every_place(void **state)
{
	(void)state;
	enum { COUNT = 2500 };
	static const struct {
		enum dtype dtype;
		uint32_t bad[4];
	} cases[] = {
		{DTYPE_F32, {0x7f800000u, 0xff800000u, 0x7f800001u, 0xffffffffu}},
		{DTYPE_I8, {0x7f800000u, 0xfc000000u, 0x7c000000u, 0xffffffffu}},
		{DTYPE_F16, {0x7c00u, 0xfc00u, 0x7c01u, 0xffffu}},
		{DTYPE_BF16, {0x7f80u, 0xff80u, 0x7f81u, 0xffffu}},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		bool wide = cases[i].dtype == DTYPE_F32 || cases[i].dtype == DTYPE_I8;
		size_t size = wide ? 4 : 2;
		uint8_t *elements = unaligned(COUNT * size);
		/* The largest finite value, which has all exponent bits but one; the largest scale
		 * of which each element is finite. */
		static const uint8_t largest[][4] = {{0xff, 0xff, 0x7f, 0xff},
			{0xff, 0xff, 0xff, 0x7b}, {0xff, 0x7b}, {0x7f, 0x7f}};
		for (size_t at = 0; at < COUNT; at++) {
			memcpy(elements + at * size, largest[i], size);
		}
		for (size_t at = 0; at < COUNT; at += at < 70 ? 1 : 37) {
			memcpy(elements + at * size, &cases[i].bad[at % 4], size);
			size_t found = dtype_first_nonfinite(cases[i].dtype, elements, COUNT);
			assert_int_equal(found, at);
			assert_int_equal(dtype_first_nonfinite(cases[i].dtype, elements, at), at);
			assert_int_equal(dtype_first_nonfinite(cases[i].dtype, elements, at + 1),
				at);
			memcpy(elements + at * size, largest[i], size);
		}
		assert_int_equal(dtype_first_nonfinite(cases[i].dtype, elements, COUNT), COUNT);
		free(elements - 1);
	}
}

static void bits_are_always_finite(void **state)
{
	(void)state;
	static const uint8_t ones[] = {0xff, 0xff, 0xff, 0xff};
	assert_int_equal(dtype_first_nonfinite(DTYPE_BIT, ones, 32), 32);
	assert_int_equal(dtype_first_nonfinite(DTYPE_NONE, ones, 32), 32);
	assert_int_equal(dtype_first_nonfinite(DTYPE_F32, NULL, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dtypes_have_names),
		cmocka_unit_test(rows_have_sizes),
		cmocka_unit_test(only_bits_become_bits),
		cmocka_unit_test(all_pairs_convert),
		cmocka_unit_test(no_rows_need_no_memory),
		cmocka_unit_test(same_dtypes_are_copied_bit_for_bit),
		cmocka_unit_test(the_largest_gets_the_code_127),
		cmocka_unit_test(a_zero_row_has_the_scale_0),
		cmocka_unit_test(what_is_not_finite_counts_as_0_in_i8),
		cmocka_unit_test(the_smallest_and_the_largest_floats_make_i8),
		cmocka_unit_test(bits_stand_as_packbits_puts_them),
		cmocka_unit_test(the_first_nonfinite_is_found_at_every_place),
		cmocka_unit_test(bits_are_always_finite),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
