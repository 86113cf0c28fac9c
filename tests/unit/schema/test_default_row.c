/* test_default_row.c - a default row is one finite row of its table, or is refused by the name of its field. */
#include "schema/default_row.h"

#include "schema/limits.h"
#include "tests/unit/alloc_fail.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const float row[4] = {1, -2, 0.5f, 3};

static struct table_spec spec_of(enum dtype dtype, enum default_kind kind)
{
	return (struct table_spec){.name = {"t"},
		.entity = ENTITY_ITEM,
		.kind = KIND_IR,
		.dtype = dtype,
		.key_type = KEY_U64,
		.dim = 2,
		.views = 2,
		.default_kind = kind};
}

/* What the map of a test holds; `row` NULL and `scale` NULL: not given. */
struct given {
	const void *row;
	size_t bytes;
	const double *scale;
	bool is_text; /* the row is a number instead */
};

static enum status read_given(const struct given *given, const struct table_spec *spec,
	enum default_row_from from, struct default_row *out, struct error *err)
{
	struct wire_writer writer = {0};
	struct wire_message *message = NULL;
	wire_write_map(&writer, (given->row != NULL) + (size_t)(given->scale != NULL));
	if (given->row != NULL) {
		wire_write_str(&writer, "default_row");
		if (given->is_text) {
			wire_write_uint(&writer, 7);
		} else {
			wire_write_bin(&writer, given->row, given->bytes);
		}
	}
	if (given->scale != NULL) {
		wire_write_str(&writer, "default_scale");
		wire_write_float(&writer, *given->scale);
	}
	assert_int_equal(wire_open(writer.data, writer.len, &message), STATUS_OK);
	enum status status = default_row_read(wire_root(message), spec, from, out, err);
	/* It points into the message. */
	struct default_row *copy =
		status == STATUS_OK && out->row != NULL ? default_row_copy(out) : NULL;
	if (copy != NULL) {
		assert_memory_equal(copy->row, given->row, given->bytes);
		free(copy);
	}
	wire_close(message);
	wire_writer_fini(&writer);
	return status;
}

static void expect_refused(const struct given *given, const struct table_spec *spec,
	const char *text)
{
	struct default_row out = {.bytes = 77};
	struct error err = {0};
	assert_int_equal(read_given(given, spec, DEFAULT_ROW_GIVEN, &out, &err),
		STATUS_BAD_REQUEST);
	assert_string_equal(err.text, text);
	assert_int_equal(out.bytes, 77);
}

static void a_row_is_of_the_table(void **state)
{
	(void)state;
	static const size_t bytes[] = {0, 16, 8, 8, 4, 2};
	const double scale = 0.5;
	for (enum dtype dtype = DTYPE_F32; dtype <= DTYPE_BIT; dtype++) {
		const struct table_spec spec = spec_of(dtype, DEFAULT_ROW);
		const uint8_t zeros[16] = {0};
		const struct given given = {.row = zeros,
			.bytes = bytes[dtype],
			.scale = dtype == DTYPE_I8 ? &scale : NULL};
		struct default_row out;
		assert_int_equal(default_row_bytes(&spec), bytes[dtype]);
		assert_int_equal(read_given(&given, &spec, DEFAULT_ROW_GIVEN, &out, NULL), 0);
		assert_int_equal(out.dtype, dtype);
		assert_int_equal(out.bytes, bytes[dtype]);
		assert_true(out.scale == (dtype == DTYPE_I8 ? 0.5f : 0.0f));
	}
}

static void what_is_wrong_is_named(void **state)
{
	(void)state;
	const struct table_spec f32 = spec_of(DTYPE_F32, DEFAULT_ROW);
	const struct table_spec i8 = spec_of(DTYPE_I8, DEFAULT_ROW);
	const double scale = 1;
	expect_refused(&(struct given){0}, &f32,
		"default_row: nothing given, one row needed for default 'row'");
	expect_refused(&(struct given){.row = row, .bytes = 12}, &f32,
		"default_row: 12 bytes given, 16 allowed: one row of f32");
	expect_refused(&(struct given){.row = row, .is_text = true}, &f32,
		"default_row: uint given, bin allowed");
	expect_refused(&(struct given){.row = row, .bytes = 16, .scale = &scale}, &f32,
		"default_scale: given, allowed with a default_row of i8 only");
	expect_refused(&(struct given){.row = row, .bytes = 4}, &i8,
		"default_scale: nothing given, a finite number below 2^121 allowed");
	for (enum default_kind kind = DEFAULT_NONE; kind <= DEFAULT_MEAN; kind++) {
		const struct table_spec spec = spec_of(DTYPE_F32, kind);
		char text[120];
		(void)snprintf(text, sizeof text,
			"default_row: given, allowed for default 'row', not for '%s'",
			default_kind_name(kind));
		expect_refused(&(struct given){.row = row, .bytes = 16}, &spec, text);
		expect_refused(&(struct given){.scale = &scale}, &spec,
			"default_scale: given, allowed with a default_row of i8 only");
	}
}

static void only_finite_rows_are_taken(void **state)
{
	(void)state;
	const struct table_spec f32 = spec_of(DTYPE_F32, DEFAULT_ROW);
	const struct table_spec f16 = spec_of(DTYPE_F16, DEFAULT_ROW);
	const struct table_spec i8 = spec_of(DTYPE_I8, DEFAULT_ROW);
	const float wrong[4] = {1, 2, NAN, INFINITY};
	const uint16_t half[4] = {0, 0x7c00, 0, 0};
	static const double scales[] = {NAN, INFINITY, 1e300, -1e40, 0x1p121};
	expect_refused(&(struct given){.row = wrong, .bytes = 16}, &f32,
		"default_row: element 2 is not finite");
	expect_refused(&(struct given){.row = half, .bytes = 8}, &f16,
		"default_row: element 1 is not finite");
	for (size_t i = 0; i < sizeof scales / sizeof scales[0]; i++) {
		struct default_row out;
		struct error err = {0};
		const struct given given = {.row = row, .bytes = 4, .scale = &scales[i]};
		assert_int_equal(read_given(&given, &i8, DEFAULT_ROW_GIVEN, &out, &err),
			STATUS_BAD_REQUEST);
		assert_non_null(strstr(err.text, "default_scale: "));
	}
}

static void a_stored_mean_is_f32(void **state)
{
	(void)state;
	const struct table_spec spec = spec_of(DTYPE_I8, DEFAULT_MEAN);
	const double zero = 0;
	const struct given given = {.row = row, .bytes = sizeof row, .scale = &zero};
	struct default_row out;
	assert_int_equal(read_given(&given, &spec, DEFAULT_ROW_STORED, &out, NULL), STATUS_OK);
	assert_int_equal(out.dtype, DTYPE_F32);
	assert_non_null(out.row);
	assert_int_equal(read_given(&(struct given){0}, &spec, DEFAULT_ROW_STORED, &out, NULL),
		STATUS_OK); /* there is none before the seal */
	assert_null(out.row);
	/* Zeros have none, whoever has written it. */
	const struct table_spec zeros = spec_of(DTYPE_F32, DEFAULT_ZEROS);
	assert_int_equal(read_given(&given, &zeros, DEFAULT_ROW_STORED, &out, NULL),
		STATUS_BAD_REQUEST);
}

static void a_row_is_converted(void **state)
{
	(void)state;
	const struct table_spec spec = spec_of(DTYPE_F32, DEFAULT_ROW);
	const struct default_row from = {.dtype = DTYPE_F32,
		.bytes = sizeof row,
		.row = (const uint8_t *)row};
	float scale = 9;
	uint16_t half[4];
	default_row_convert(&from, &spec, DTYPE_F16, (uint8_t *)half, &scale);
	assert_int_equal(half[1], 0xc000);
	assert_true(scale == 0);
	int8_t codes[4];
	default_row_convert(&from, &spec, DTYPE_I8, (uint8_t *)codes, &scale);
	assert_int_equal(codes[3], 127);
	assert_true(scale == 3.0f / 127);
	float same[4];
	default_row_convert(&from, &spec, DTYPE_F32, (uint8_t *)same, &scale);
	assert_memory_equal(same, row, sizeof row);
}

static bool copies(void *arg)
{
	const struct default_row *from = arg;
	struct default_row *copy = default_row_copy(from);
	if (copy == NULL) {
		return false;
	}
	assert_true(copy->row != from->row);
	assert_memory_equal(copy->row, from->row, from->bytes);
	free(copy);
	return true;
}

static void a_copy_owns_its_row(void **state)
{
	(void)state;
	struct default_row from = {.dtype = DTYPE_F32,
		.bytes = sizeof row,
		.row = (const uint8_t *)row};
	assert_int_equal(alloc_fail_each(copies, &from), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_is_of_the_table),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(only_finite_rows_are_taken),
		cmocka_unit_test(a_stored_mean_is_f32),
		cmocka_unit_test(a_row_is_converted),
		cmocka_unit_test(a_copy_owns_its_row),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
