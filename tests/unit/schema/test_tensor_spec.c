/* test_tensor_spec.c - what a tensor may be, and that errors name what was given. */
#include "schema/tensor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Writes a map of the three entries; `shape` ends with 0, which is not written. */
static void write_map(struct wire_writer *writer, const char *name, const char *dtype,
	const uint64_t *shape)
{
	size_t dims = 0;
	while (shape[dims] != 0) {
		dims++;
	}
	wire_write_map(writer, 3);
	wire_write_str(writer, "tensor");
	wire_write_str(writer, name);
	wire_write_str(writer, "dtype");
	wire_write_str(writer, dtype);
	wire_write_str(writer, "shape");
	wire_write_array(writer, dims);
	for (size_t i = 0; i < dims; i++) {
		wire_write_uint(writer, shape[i]);
	}
}

/* Reads what was written and forgets it. */
static enum status read_back(struct wire_writer *writer, struct tensor_spec *out, struct error *err)
{
	struct wire_message *message = NULL;
	assert_int_equal(wire_open(writer->data, writer->len, &message), STATUS_OK);
	const enum status status = tensor_spec_read(wire_root(message), out, err);
	wire_close(message);
	wire_writer_fini(writer);
	*writer = (struct wire_writer){0};
	return status;
}

static void every_dtype_makes_the_round_trip(void **state)
{
	static const struct {
		const char *name;
		size_t bytes;
	} dtypes[] = {{"f16", 2}, {"f32", 4}, {"f64", 8}, {"bf16", 2}, {"i8", 1}, {"i16", 2},
		{"i32", 4}, {"i64", 8}, {"u8", 1}, {"u16", 2}, {"u32", 4}, {"u64", 8}};
	(void)state;
	for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
		struct wire_writer writer = {0};
		struct tensor_spec spec = {0};
		struct tensor_spec back = {0};
		struct error err = {0};
		write_map(&writer, "adapter.0.weight", dtypes[i].name, (uint64_t[]){10, 64, 0});
		assert_int_equal(read_back(&writer, &spec, &err), STATUS_OK);
		assert_string_equal(spec.name.text, "adapter.0.weight");
		assert_string_equal(tensor_dtype_name(spec.dtype), dtypes[i].name);
		assert_int_equal(tensor_bytes(&spec), 640 * dtypes[i].bytes);
		wire_write_map(&writer, TENSOR_SPEC_FIELDS);
		tensor_spec_write(&writer, &spec);
		assert_int_equal(read_back(&writer, &back, &err), STATUS_OK);
		assert_memory_equal(&back, &spec, sizeof spec);
		assert_true(tensor_same_shape(&back, &spec));
		back.shape[1] = 63;
		assert_false(tensor_same_shape(&back, &spec));
	}
	assert_string_equal(tensor_dtype_name((enum tensor_dtype)99), "none");
	assert_int_equal(tensor_dtype_bytes(TENSOR_NONE), 0);
}

static void a_shape_has_0_to_8_dimensions(void **state)
{
	(void)state;
	struct wire_writer writer = {0};
	struct tensor_spec spec = {0};
	struct error err = {0};
	char shape[TENSOR_SHAPE_BYTES];
	write_map(&writer, "scalar", "f64", (uint64_t[]){0});
	assert_int_equal(read_back(&writer, &spec, &err), STATUS_OK);
	assert_int_equal(spec.dims, 0);
	assert_int_equal(tensor_bytes(&spec), 8);
	assert_string_equal(tensor_shape_print(&spec, shape), "[]");
	write_map(&writer, "x", "u8", (uint64_t[]){1, 2, 1, 2, 1, 2, 1, 16777216 / 2, 0});
	assert_int_equal(read_back(&writer, &spec, &err), STATUS_OK);
	assert_int_equal(tensor_bytes(&spec), LIMIT_TENSOR_BYTES);
	assert_string_equal(tensor_shape_print(&spec, shape), "[1, 2, 1, 2, 1, 2, 1, 8388608]");
	memset(spec.shape, 0xff, sizeof spec.shape);
	assert_int_equal(strlen(tensor_shape_print(&spec, shape)), 8 * 12);
}

static void what_is_wrong_is_named(void **state)
{
	static const struct {
		const char *name;
		const char *dtype;
		uint64_t shape[10];
		enum status status;
		const char *text;
	} cases[] = {
		{"a b", "f32", {1}, STATUS_BAD_REQUEST, "tensor: 'a b' given"},
		{"", "f32", {1}, STATUS_BAD_REQUEST, "tensor: '' given"},
		{"x", "f8", {1}, STATUS_BAD_REQUEST, "dtype: 'f8' given, one of f16, f32"},
		{"x", "bit", {1}, STATUS_BAD_REQUEST, "dtype: 'bit' given"},
		{"x", "f32", {1, 1, 1, 1, 1, 1, 1, 1, 1}, STATUS_BAD_REQUEST,
			"shape: 9 dimensions given, 0..8 allowed"},
		{"x", "f32", {1, UINT64_MAX}, STATUS_TOO_LARGE,
			"shape[1]: 18446744073709551615 given, 1..67108864 allowed"},
		{"x", "f32", {4096, 4097}, STATUS_TOO_LARGE,
			"shape: [4096, 4097] of f32 given, 67125248 bytes and more; up to 67108864"},
		{"x", "u8", {67108864, 67108864, 67108864}, STATUS_TOO_LARGE,
			"shape: [67108864, 67108864]... of u8 given"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct wire_writer writer = {0};
		struct tensor_spec spec = {.dims = 77};
		struct error err = {0};
		write_map(&writer, cases[i].name, cases[i].dtype, cases[i].shape);
		assert_int_equal(read_back(&writer, &spec, &err), cases[i].status);
		if (strstr(err.text, cases[i].text) == NULL) {
			fail_msg("'%s' does not say '%s'", err.text, cases[i].text);
		}
		assert_int_equal(spec.dims, 77);
	}
}

static void wrong_types_are_named(void **state)
{
	(void)state;
	struct wire_writer writer = {0};
	struct tensor_spec spec;
	struct error err = {0};
	wire_write_map(&writer, 0);
	assert_int_equal(read_back(&writer, &spec, &err), STATUS_BAD_REQUEST);
	assert_non_null(strstr(err.text, "tensor: "));
	wire_write_map(&writer, 3);
	wire_write_str(&writer, "tensor");
	wire_write_str(&writer, "x");
	wire_write_str(&writer, "dtype");
	wire_write_str(&writer, "f32");
	wire_write_str(&writer, "shape");
	wire_write_array(&writer, 2);
	wire_write_uint(&writer, 3);
	wire_write_int(&writer, -2);
	assert_int_equal(read_back(&writer, &spec, &err), STATUS_BAD_REQUEST);
	assert_string_equal(err.text, "shape[1]: -2 given, 1..67108864 allowed");
	wire_write_map(&writer, 2);
	wire_write_str(&writer, "tensor");
	wire_write_str(&writer, "x");
	wire_write_str(&writer, "dtype");
	wire_write_uint(&writer, 4);
	assert_int_equal(read_back(&writer, &spec, &err), STATUS_BAD_REQUEST);
	assert_non_null(strstr(err.text, "dtype: uint given"));
	wire_write_map(&writer, 3);
	wire_write_str(&writer, "tensor");
	wire_write_str(&writer, "x");
	wire_write_str(&writer, "dtype");
	wire_write_str(&writer, "f32");
	wire_write_str(&writer, "shape");
	wire_write_uint(&writer, 3);
	assert_int_equal(read_back(&writer, &spec, &err), STATUS_BAD_REQUEST);
	assert_non_null(strstr(err.text, "shape: uint given, an array of uint allowed"));
	wire_write_map(&writer, 3);
	wire_write_str(&writer, "tensor");
	wire_write_str(&writer, "x");
	wire_write_str(&writer, "dtype");
	wire_write_str(&writer, "f32");
	wire_write_str(&writer, "shape");
	wire_write_array(&writer, 1);
	wire_write_uint(&writer, 0);
	assert_int_equal(read_back(&writer, &spec, &err), STATUS_BAD_REQUEST);
	assert_string_equal(err.text, "shape[0]: 0 given, 1..67108864 allowed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_dtype_makes_the_round_trip),
		cmocka_unit_test(a_shape_has_0_to_8_dimensions),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(wrong_types_are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
