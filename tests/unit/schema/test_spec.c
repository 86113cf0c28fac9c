/* test_spec.c - specs make the round trip, and an error says what may be given. */
#include "schema/spec.h"

#include "schema/limits.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct table_spec good = {
	.name = {"ur@mlp2"},
	.entity = ENTITY_USER,
	.kind = KIND_UR,
	.dtype = DTYPE_I8,
	.key_type = KEY_BYTES,
	.dim = 768,
	.views = 3,
	.ttl_ms = 86400000,
	.tags = true,
};

/* What a field holds: written for `write`, or left out if that is NULL. */
struct field {
	const char *name;
	void (*write)(struct wire_writer *writer, const void *value);
	const void *value;
};

static void put_str(struct wire_writer *writer, const void *value)
{
	wire_write_str(writer, value);
}

static void put_uint(struct wire_writer *writer, const void *value)
{
	wire_write_uint(writer, *(const uint64_t *)value);
}

static void put_int(struct wire_writer *writer, const void *value)
{
	wire_write_int(writer, *(const int64_t *)value);
}

static void put_float(struct wire_writer *writer, const void *value)
{
	wire_write_float(writer, *(const double *)value);
}

static void put_true(struct wire_writer *writer, const void *value)
{
	(void)value;
	wire_write_bool(writer, true);
}

static void put_nil(struct wire_writer *writer, const void *value)
{
	(void)value;
	wire_write_nil(writer);
}

static void put_map(struct wire_writer *writer, const void *value)
{
	(void)value;
	wire_write_map(writer, 0);
}

#define UINT(number)                                                                               \
	put_uint, (const uint64_t[])                                                               \
	{                                                                                          \
		number                                                                             \
	}

/* Reads a small good spec with two of its fields written otherwise. */
static enum status read_with(struct field first, struct field second, struct table_spec *out,
	struct error *err)
{
	const struct field plain[] = {{"table", put_str, "ur"}, {"entity", put_str, "user"},
		{"kind", put_str, "ur"}, {"dim", UINT(64)}, {"release", put_str, "r1"}};
	struct field fields[8];
	size_t count = 0;
	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
		if (strcmp(plain[i].name, first.name) != 0 &&
			strcmp(plain[i].name, second.name) != 0) {
			fields[count++] = plain[i];
		}
	}
	if (first.write != NULL) {
		fields[count++] = first;
	}
	if (second.write != NULL) {
		fields[count++] = second;
	}
	struct wire_writer writer = {0};
	wire_write_map(&writer, count);
	for (size_t i = 0; i < count; i++) {
		wire_write_str(&writer, fields[i].name);
		fields[i].write(&writer, fields[i].value);
	}
	struct wire_message *message = NULL;
	assert_int_equal(wire_open(writer.data, writer.len, &message), STATUS_OK);
	enum status status = spec_read(wire_root(message), SPEC_WANTED, out, err);
	wire_close(message);
	wire_writer_fini(&writer);
	return status;
}

static const struct field no_field = {"", NULL, NULL};

static void expect_error(struct field first, struct field second, const char *text)
{
	struct table_spec spec;
	memcpy(&spec, &good, sizeof spec); /* with its padding, which is compared too */
	struct error err = {0};
	assert_int_equal(read_with(first, second, &spec, &err), STATUS_BAD_REQUEST);
	assert_string_equal(err.text, text);
	assert_int_equal(err.status, STATUS_BAD_REQUEST);
	assert_memory_equal(&spec, &good, sizeof spec);
	assert_int_equal(read_with(first, second, &spec, NULL), STATUS_BAD_REQUEST);
}

static void a_spec_comes_back(void **state)
{
	(void)state;
	struct wire_writer writer = {0};
	wire_write_map(&writer, spec_fields(&good));
	spec_write(&writer, &good);
	struct wire_message *message = NULL;
	assert_int_equal(wire_open(writer.data, writer.len, &message), STATUS_OK);
	assert_int_equal(wire_size(wire_root(message)), spec_fields(&good));
	struct table_spec spec = {0};
	assert_int_equal(spec_read(wire_root(message), SPEC_WANTED, &spec, NULL), STATUS_OK);
	assert_string_equal(spec.name.text, good.name.text);
	assert_int_equal(spec.entity, good.entity);
	assert_int_equal(spec.kind, good.kind);
	assert_int_equal(spec.dtype, good.dtype);
	assert_int_equal(spec.key_type, good.key_type);
	assert_int_equal(spec.dim, good.dim);
	assert_int_equal(spec.views, good.views);
	assert_int_equal(spec.ttl_ms, good.ttl_ms);
	assert_true(spec.tags);
	assert_int_equal(spec_row_bytes(&spec), 2304);
	wire_close(message);
	wire_writer_fini(&writer);
}

static void words_have_names(void **state)
{
	(void)state;
	assert_string_equal(entity_name(ENTITY_USER), "user");
	assert_string_equal(entity_name(ENTITY_ITEM), "item");
	assert_string_equal(entity_name(ENTITY_NONE), "none");
	assert_string_equal(kind_name(KIND_UR), "ur");
	assert_string_equal(kind_name(KIND_IR), "ir");
	assert_string_equal(kind_name(KIND_CR), "cr");
	assert_string_equal(kind_name(KIND_NONE), "none");
	assert_string_equal(reading_name(READING_SUM), "sum");
	assert_string_equal(reading_name(READING_MEAN), "mean");
	assert_string_equal(reading_name(READING_LAYER_NORM), "layer_norm");
	assert_string_equal(reading_name(READING_NONE), "none");
}

static void what_is_left_out_has_a_default(void **state)
{
	(void)state;
	struct table_spec spec = {0};
	assert_int_equal(read_with(no_field, no_field, &spec, NULL), STATUS_OK);
	assert_int_equal(spec.dtype, DTYPE_F32);
	assert_int_equal(spec.key_type, KEY_U64);
	assert_int_equal(spec.views, 1);
	assert_int_equal(spec.ttl_ms, 0);
	assert_false(spec.tags);
}

static void numbers_have_bounds(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint64_t least;
		uint64_t most;
	} cases[] = {{"dim", 1, LIMIT_DIM}, {"views", 1, LIMIT_VIEWS}, {"ttl_ms", 0, LIMIT_TTL_MS}};
	struct field bits = {"dtype", put_str, "bit"};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct table_spec spec;
		const char *name = cases[i].name;
		struct field least = {name, UINT(cases[i].least)};
		struct field most = {name, UINT(cases[i].most)};
		struct field above = {name, UINT(cases[i].most + 1)};
		assert_int_equal(read_with(least, bits, &spec, NULL), STATUS_OK);
		assert_int_equal(read_with(most, bits, &spec, NULL), STATUS_OK);
		assert_int_equal(read_with(above, bits, &spec, NULL), STATUS_BAD_REQUEST);
	}
	expect_error((struct field){"dim", UINT(0)}, no_field, "dim: 0 given, 1..65536 allowed");
	expect_error((struct field){"dim", UINT(UINT64_MAX)}, no_field,
		"dim: 18446744073709551615 given, 1..65536 allowed");
	expect_error((struct field){"dim", put_int, &(const int64_t){-3}}, no_field,
		"dim: -3 given, 1..65536 allowed");
	expect_error((struct field){"dim", put_float, &(const double){1.5}}, no_field,
		"dim: float given, 1..65536 allowed");
	expect_error((struct field){"views", UINT(0)}, no_field, "views: 0 given, 1..1024 allowed");
	expect_error((struct field){"ttl_ms", UINT(UINT64_C(315619200001))}, no_field,
		"ttl_ms: 315619200001 given, 0..315619200000 allowed");
}

static void what_is_needed_is_named(void **state)
{
	(void)state;
	static const char *const texts[][2] = {
		{"table", "table: nothing given, str allowed"},
		{"entity", "entity: nothing given, one of user, item allowed"},
		{"kind", "kind: nothing given, one of ur, ir, cr allowed"},
		{"dim", "dim: nothing given, 1..65536 allowed"},
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		expect_error((struct field){texts[i][0], NULL, NULL}, no_field, texts[i][1]);
	}
}

static void what_is_nil_is_not_given(void **state)
{
	(void)state;
	static const char *const optional[] = {"views", "dtype", "key", "ttl_ms", "tags", "index",
		"history", "decay_events", "half_life_ms", "read", "default"};
	struct table_spec plain;
	assert_int_equal(read_with(no_field, no_field, &plain, NULL), STATUS_OK);
	for (size_t i = 0; i < sizeof optional / sizeof *optional; i++) {
		struct table_spec spec;
		assert_int_equal(read_with((struct field){optional[i], put_nil, NULL}, no_field,
					 &spec, NULL),
			STATUS_OK);
		assert_memory_equal(&spec, &plain, sizeof spec);
	}
	expect_error((struct field){"dim", put_nil, NULL}, no_field,
		"dim: nothing given, 1..65536 allowed");
}

static void a_whole_float_is_an_integer(void **state)
{
	(void)state;
	struct table_spec spec;
	assert_int_equal(read_with((struct field){"dim", put_float, &(const double){48}},
				 (struct field){"ttl_ms", put_float, &(const double){5e9}}, &spec,
				 NULL),
		STATUS_OK);
	assert_int_equal(spec.dim, 48);
	assert_int_equal(spec.ttl_ms, 5000000000);
}

static void wrong_types_are_named(void **state)
{
	(void)state;
	static const char *const texts[][2] = {
		{"table", "table: map given, str allowed"},
		{"entity", "entity: map given, one of user, item allowed"},
		{"kind", "kind: map given, one of ur, ir, cr allowed"},
		{"dim", "dim: map given, 1..65536 allowed"},
		{"views", "views: map given, 1..1024 allowed"},
		{"dtype", "dtype: map given, one of f32, f16, bf16, i8, bit allowed"},
		{"key", "key: map given, one of u64, bytes allowed"},
		{"ttl_ms", "ttl_ms: map given, 0..315619200000 allowed"},
		{"tags", "tags: map given, true or false allowed"},
		{"default", "default: map given, one of none, zeros, mean, row allowed"},
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		expect_error((struct field){texts[i][0], put_map, NULL}, no_field, texts[i][1]);
	}
	expect_error((struct field){"dim", put_true, NULL}, no_field,
		"dim: bool given, 1..65536 allowed");
	expect_error((struct field){"tags", UINT(1)}, no_field,
		"tags: uint given, true or false allowed");
}

static void wrong_words_are_quoted(void **state)
{
	(void)state;
	expect_error((struct field){"dtype", put_str, "f8"}, no_field,
		"dtype: 'f8' given, one of f32, f16, bf16, i8, bit allowed");
	expect_error((struct field){"kind", put_str, "ad"}, no_field,
		"kind: 'ad' given, one of ur, ir, cr allowed");
	expect_error((struct field){"entity", put_str, ""}, no_field,
		"entity: '' given, one of user, item allowed");
	expect_error((struct field){"key", put_str, "u32\n"}, no_field,
		"key: 'u32?' given, one of u64, bytes allowed");
	expect_error((struct field){"table", put_str, "a/b"}, no_field,
		"table: 'a/b' given, NAME or NAME@LAYER allowed, each "
		"[A-Za-z0-9][A-Za-z0-9._-]{0,63}");
	char long_word[2000];
	memset(long_word, 'x', sizeof long_word - 1);
	long_word[sizeof long_word - 1] = '\0';
	struct table_spec spec;
	struct error err;
	read_with((struct field){"dtype", put_str, long_word}, no_field, &spec, &err);
	assert_non_null(strstr(err.text, "x...' given, one of f32, f16, bf16, i8, bit allowed"));
}

static void a_default_is_one_of_four(void **state)
{
	(void)state;
	static const char *const words[] = {"none", "zeros", "mean", "row"};
	for (size_t i = 0; i < 4; i++) {
		struct table_spec spec;
		assert_int_equal(read_with((struct field){"default", put_str, words[i]}, no_field,
					 &spec, NULL),
			STATUS_OK);
		assert_int_equal(spec.default_kind, i);
		assert_string_equal(default_kind_name(spec.default_kind), words[i]);
		/* None is not written, so that what a table without one is said to be stays. */
		assert_int_equal(spec_fields(&spec), i == 0 ? 10 : 11);
	}
	struct field mean = {"default", put_str, "mean"};
	struct field row = {"default", put_str, "row"};
	struct field zeros = {"default", put_str, "zeros"};
	expect_error((struct field){"default", put_str, "zero"}, no_field,
		"default: 'zero' given, one of none, zeros, mean, row allowed");
	expect_error(mean, (struct field){"dtype", put_str, "bit"},
		"default: 'mean' given, zeros or row allowed for bit: a mean of bits is no row of "
		"bits");
	expect_error(mean, (struct field){"dim", UINT(16385)},
		"default: 'mean' given, which takes 65540 bytes here, up to 65536 allowed; zeros "
		"take none");
	expect_error(row, (struct field){"dim", UINT(16385)},
		"default: 'row' given, which takes 65540 bytes here, up to 65536 allowed; zeros "
		"take none");
	struct table_spec spec;
	assert_int_equal(read_with(mean, (struct field){"dim", UINT(16384)}, &spec, NULL), 0);
	assert_int_equal(read_with(zeros, (struct field){"dim", UINT(65536)}, &spec, NULL), 0);
	struct field bits = {"dtype", put_str, "bit"};
	assert_int_equal(read_with(row, bits, &spec, NULL), STATUS_OK);
}

static void an_entity_has_its_own_kind(void **state)
{
	(void)state;
	struct field item = {"entity", put_str, "item"};
	struct field ir = {"kind", put_str, "ir"};
	struct table_spec spec;
	assert_int_equal(read_with(item, ir, &spec, NULL), STATUS_OK);
	assert_int_equal(spec.entity, ENTITY_ITEM);
	assert_int_equal(spec.kind, KIND_IR);
	expect_error(item, no_field, "entity: 'item' given, user allowed for kind ur");
	expect_error(ir, no_field, "entity: 'user' given, item allowed for kind ir");
}

/* Reads a good spec of kind cr with one more field. */
static enum status read_cr(struct field more, struct table_spec *out, struct error *err)
{
	const struct field fields[] = {{"table", put_str, "cr_user@fm"},
		{"entity", put_str, "user"}, {"kind", put_str, "cr"}, {"dim", UINT(64)}, more};
	const size_t count = sizeof fields / sizeof *fields - (more.write == NULL ? 1 : 0);
	struct wire_writer writer = {0};
	wire_write_map(&writer, count);
	for (size_t i = 0; i < count; i++) {
		wire_write_str(&writer, fields[i].name);
		fields[i].write(&writer, fields[i].value);
	}
	struct wire_message *message = NULL;
	assert_int_equal(wire_open(writer.data, writer.len, &message), STATUS_OK);
	enum status status = spec_read(wire_root(message), SPEC_WANTED, out, err);
	wire_close(message);
	wire_writer_fini(&writer);
	return status;
}

static void an_aggregating_table_decays_as_the_authors_do(void **state)
{
	(void)state;
	struct table_spec spec;
	struct field half_life = {"half_life_ms", UINT(604800000)};
	assert_int_equal(read_cr(no_field, &spec, NULL), STATUS_OK);
	assert_true(spec_aggregates(&spec));
	assert_float_equal(spec.decay_events, 0.99, 0);
	assert_int_equal(spec.half_life_ms, 0);
	assert_int_equal(spec.reading, READING_LAYER_NORM);
	assert_int_equal(spec_row_bytes(&spec), 64 * 4 + 8);
	assert_int_equal(spec_stored_bytes(&spec), 64 * 4 + 8 + 64 * 4);
	assert_int_equal(read_cr(half_life, &spec, NULL), STATUS_OK);
	assert_float_equal(spec.decay_events, 1, 0);
	assert_int_equal(read_cr((struct field){"read", put_str, "mean"}, &spec, NULL), STATUS_OK);
	assert_int_equal(spec.reading, READING_MEAN);
	assert_int_equal(read_cr((struct field){"decay_events", UINT(1)}, &spec, NULL), STATUS_OK);
	assert_float_equal(spec.decay_events, 1, 0);
}

static void an_aggregating_spec_comes_back(void **state)
{
	(void)state;
	struct table_spec given;
	struct table_spec spec;
	assert_int_equal(read_cr((struct field){"decay_events", put_float, &(const double){0.1}},
				 &given, NULL),
		STATUS_OK);
	struct wire_writer writer = {0};
	wire_write_map(&writer, spec_fields(&given));
	spec_write(&writer, &given);
	struct wire_message *message = NULL;
	assert_int_equal(wire_open(writer.data, writer.len, &message), STATUS_OK);
	assert_int_equal(wire_size(wire_root(message)), spec_fields(&given));
	assert_int_equal(spec_read(wire_root(message), SPEC_WANTED, &spec, NULL), STATUS_OK);
	assert_float_equal(spec.decay_events, 0.1, 0);
	assert_int_equal(spec.reading, given.reading);
	wire_close(message);
	wire_writer_fini(&writer);
}

static void a_decay_that_means_nothing_is_refused(void **state)
{
	(void)state;
	const struct {
		struct field field;
		const char *text;
	} cases[] = {
		{{"decay_events", put_float, &(const double){0}},
			"decay_events: 0 given, above 0, up to 1 allowed"},
		{{"decay_events", put_float, &(const double){1.5}},
			"decay_events: 1.5 given, above 0, up to 1 allowed"},
		{{"decay_events", put_float, &(const double){(double)NAN}},
			"decay_events: nan given, above 0, up to 1 allowed"},
		{{"decay_events", put_str, "much"},
			"decay_events: str given, above 0, up to 1 allowed"},
		{{"half_life_ms", put_int, &(const int64_t){-1}},
			"half_life_ms: -1 given, 0..315619200000 allowed"},
		{{"read", put_str, "max"},
			"read: 'max' given, one of sum, mean, layer_norm allowed"},
		{{"read", put_map, NULL}, "read: map given, one of sum, mean, layer_norm allowed"},
		{{"dtype", put_str, "f64"},
			"dtype: 'f64' given, one of f32, f16, bf16, i8, bit allowed"},
		{{"dtype", put_str, "f16"},
			"dtype: f16 given, f32 allowed for kind cr: sums are kept in it, and read in any"},
		{{"table", put_str, "cr_user"},
			"table: 'cr_user' given, name@layer allowed for kind cr"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct table_spec spec;
		struct error err = {0};
		assert_int_equal(read_cr(cases[i].field, &spec, &err), STATUS_BAD_REQUEST);
		assert_string_equal(err.text, cases[i].text);
	}
	expect_error((struct field){"read", put_str, "sum"}, no_field,
		"read: given, allowed for kind cr only, not for ur");
	expect_error((struct field){"state", put_str, "f32"}, no_field,
		"state: given, allowed for kind cr only, not for ur");
	expect_error((struct field){"half_life_ms", UINT(1)}, no_field,
		"half_life_ms: given, allowed for kind cr only, not for ur");
}

static void a_row_has_a_largest_size(void **state)
{
	(void)state;
	struct field dim = {"dim", UINT(65536)};
	struct field four = {"views", UINT(4)};
	struct field five = {"views", UINT(5)};
	struct table_spec spec;
	assert_int_equal(read_with(dim, four, &spec, NULL), STATUS_OK);
	assert_int_equal(spec_row_bytes(&spec), LIMIT_ROW_BYTES);
	expect_error(dim, five,
		"dim: 65536 of 5 views given, a row of 1310720 bytes in f32, up to 1048576 "
		"allowed");
}

static void what_is_no_map_has_no_fields(void **state)
{
	(void)state;
	struct table_spec spec;
	struct error err;
	assert_int_equal(spec_read((struct wire_value){0}, SPEC_WANTED, &spec, &err),
		STATUS_BAD_REQUEST);
	assert_string_equal(err.text, "table: nothing given, str allowed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_spec_comes_back),
		cmocka_unit_test(words_have_names),
		cmocka_unit_test(what_is_left_out_has_a_default),
		cmocka_unit_test(numbers_have_bounds),
		cmocka_unit_test(what_is_needed_is_named),
		cmocka_unit_test(what_is_nil_is_not_given),
		cmocka_unit_test(a_whole_float_is_an_integer),
		cmocka_unit_test(wrong_types_are_named),
		cmocka_unit_test(wrong_words_are_quoted),
		cmocka_unit_test(a_default_is_one_of_four),
		cmocka_unit_test(an_entity_has_its_own_kind),
		cmocka_unit_test(an_aggregating_table_decays_as_the_authors_do),
		cmocka_unit_test(an_aggregating_spec_comes_back),
		cmocka_unit_test(a_decay_that_means_nothing_is_refused),
		cmocka_unit_test(a_row_has_a_largest_size),
		cmocka_unit_test(what_is_no_map_has_no_fields),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
