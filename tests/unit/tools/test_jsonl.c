/* test_jsonl.c - rows as JSON lines: the same bits back, and what is refused. */
#include "schema/dtype.h"
#include "tests/unit/seed.h"
#include "tools/format/json.h"
#include "tools/format/jsonl_row.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct rep_table_spec spec_of(enum rep_dtype dtype, uint32_t dim, uint32_t views)
{
	return (struct rep_table_spec){.name = "t",
		.entity = REP_USER,
		.kind = REP_UR,
		.dtype = dtype,
		.key_type = REP_KEY_U64,
		.dim = dim,
		.views = views,
		.tags = true};
}

/* Writes a row, reads it back. The caller frees the line and ends the batch. */
static char *round_trip(const struct rep_table_spec *spec, const struct jsonl_row *row,
	struct jsonl_batch *batch)
{
	char *line = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&line, &len);
	assert_non_null(out);
	jsonl_write(out, row);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(line[len - 1], '\n');
	assert_null(memchr(line, '\n', len - 1));
	struct jsonl_reader *reader = NULL;
	struct error err = {0};
	assert_int_equal(jsonl_reader_open(spec, &reader, NULL), STATUS_OK);
	enum status status = jsonl_read(reader, line, len - 1, batch, &err);
	if (status != STATUS_OK) {
		fail_msg("%s: %s", err.text, line);
	}
	jsonl_reader_close(reader);
	return line;
}

static void every_float_comes_back_with_its_bits(void **state)
{
	(void)state;
	const uint32_t bits[] = {0x00000000, 0x80000000, 0x00000001, 0x807fffff, 0x00800000,
		0x3f800000, 0xbf800000, 0x3dcccccd, 0x7f7fffff, 0xff7fffff, 0x4b800001, 0x3eaaaaab,
		0x7f800000, 0xff800000, 0x501502f9, 0x0000ffff};
	enum { COUNT = sizeof bits / sizeof bits[0] };
	const struct rep_table_spec spec = spec_of(REP_F32, COUNT, 1);
	const uint64_t key = 7;
	const struct jsonl_row row = {.key_type = REP_KEY_U64,
		.key = (const uint8_t *)&key,
		.key_len = 8,
		.dtype = REP_F32,
		.dim = COUNT,
		.views = 1,
		.values = bits};
	struct jsonl_batch batch = {0};
	free(round_trip(&spec, &row, &batch));
	assert_int_equal(batch.dtype, REP_F32);
	assert_memory_equal(batch.rows.data, bits, sizeof bits);
	jsonl_batch_fini(&batch);
}

static void random_floats_come_back_with_their_bits(void **state)
{
	(void)state;
	enum { COUNT = 5000 };
	uint32_t *bits = malloc(COUNT * sizeof *bits);
	uint64_t random = seed_from(1);
	for (size_t i = 0; i < COUNT; i++) {
		do {
			random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
			bits[i] = (uint32_t)(random >> 32);
		} while ((bits[i] & 0x7f800000) == 0x7f800000);
	}
	const struct rep_table_spec spec = spec_of(REP_F32, COUNT / 10, 10);
	const uint64_t key = UINT64_MAX;
	const struct jsonl_row row = {.key_type = REP_KEY_U64,
		.key = (const uint8_t *)&key,
		.key_len = 8,
		.dtype = REP_F32,
		.dim = COUNT / 10,
		.views = 10,
		.values = bits};
	struct jsonl_batch batch = {0};
	free(round_trip(&spec, &row, &batch));
	assert_memory_equal(batch.rows.data, bits, COUNT * sizeof *bits);
	assert_memory_equal(batch.keys.data, &key, 8);
	jsonl_batch_fini(&batch);
	free(bits);
}

/* Every f16 and bf16 that is finite, by way of f32. */
static void every_half_comes_back_with_its_bits(void **state)
{
	(void)state;
	enum { COUNT = 65536 };
	uint16_t *bits = malloc(COUNT * sizeof *bits);
	for (int kind = 0; kind < 2; kind++) {
		enum rep_dtype dtype = kind == 0 ? REP_F16 : REP_BF16;
		unsigned exponent = kind == 0 ? 0x7c00 : 0x7f80;
		for (unsigned i = 0; i < COUNT; i++) {
			bits[i] = (i & exponent) == exponent ? 0 : (uint16_t)i;
		}
		const struct rep_table_spec spec = spec_of(dtype, 256, 256);
		const uint64_t key = 0;
		const struct jsonl_row row = {.key_type = REP_KEY_U64,
			.key = (const uint8_t *)&key,
			.key_len = 8,
			.dtype = dtype,
			.dim = 256,
			.views = 256,
			.values = bits};
		struct jsonl_batch batch = {0};
		free(round_trip(&spec, &row, &batch));
		assert_int_equal(batch.dtype, REP_F32);
		for (size_t i = 0; i < COUNT; i++) {
			float value = 0;
			memcpy(&value, batch.rows.data + i * 4, 4);
			assert_int_equal(kind == 0 ? dtype_f16_of_f32(value)
						   : dtype_bf16_of_f32(value),
				bits[i]);
		}
		jsonl_batch_fini(&batch);
	}
	free(bits);
}

static void codes_bits_and_columns_come_back(void **state)
{
	(void)state;
	const int8_t codes[6] = {-128, -127, -1, 0, 1, 127};
	const uint64_t key = 5;
	const float scale = 0.1F;
	const int64_t time = 1700000000123;
	const uint64_t tags = UINT64_MAX;
	struct rep_table_spec spec = spec_of(REP_I8, 3, 2);
	struct jsonl_row row = {.key_type = REP_KEY_U64,
		.key = (const uint8_t *)&key,
		.key_len = 8,
		.dtype = REP_I8,
		.dim = 3,
		.views = 2,
		.values = codes,
		.scale = &scale,
		.time = &time,
		.tags = &tags};
	struct jsonl_batch batch = {0};
	char *line = round_trip(&spec, &row, &batch);
	assert_string_equal(line, "{\"key\": 5, \"vector\": [[-128, -127, -1], [0, 1, 127]], "
				  "\"time\": 1700000000123, \"tags\": 18446744073709551615, "
				  "\"scale\": 0.100000001}\n");
	struct rep_rows rows;
	jsonl_batch_rows(&batch, &rows);
	assert_int_equal(rows.dtype, REP_I8);
	assert_memory_equal(rows.rows, codes, 6);
	assert_memory_equal(rows.scales, &scale, 4);
	assert_true(rows.times[0] == time);
	assert_true(rows.tags[0] == tags);
	free(line);
	jsonl_batch_fini(&batch);

	const uint8_t packed[4] = {0xa5, 0x80, 0x5a, 0x00}; /* 9 bits a view */
	spec = spec_of(REP_BIT, 9, 2);
	row = (struct jsonl_row){.key_type = REP_KEY_U64,
		.key = (const uint8_t *)&key,
		.key_len = 8,
		.dtype = REP_BIT,
		.dim = 9,
		.views = 2,
		.values = packed};
	line = round_trip(&spec, &row, &batch);
	assert_int_equal(batch.dtype, REP_BIT);
	assert_memory_equal(batch.rows.data, packed, 4);
	free(line);
	jsonl_batch_fini(&batch);
}

static void keys_of_any_bytes_come_back(void **state)
{
	(void)state;
	static const struct {
		const char *key;
		size_t len;
		const char *begins;
	} rows[] = {
		{"user-1", 6, "{\"key\": \"user-1\""},
		{"a\"b\\c\n\t\x01\x7f", 9, "{\"key\": \"a\\\"b\\\\c\\n\\t\\u0001\\u007f\""},
		{"a\0b", 3, "{\"key\": \"a\\u0000b\""},
		{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9,
			"{\"key\": \"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
		{"\xff\x00z", 3, "{\"key_hex\": \"ff007a\""},
		{"\xc0\x80", 2, "{\"key_hex\": \"c080\""},             /* overlong */
		{"\xed\xa0\x80", 3, "{\"key_hex\": \"eda080\""},       /* a surrogate */
		{"\xf4\x90\x80\x80", 4, "{\"key_hex\": \"f4908080\""}, /* above U+10FFFF */
		{"\xe2\x82", 2, "{\"key_hex\": \"e282\""},             /* cut */
	};
	struct rep_table_spec spec = spec_of(REP_F32, 1, 1);
	spec.key_type = REP_KEY_BYTES;
	const float value = 1;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct jsonl_row row = {.key_type = REP_KEY_BYTES,
			.key = (const uint8_t *)rows[i].key,
			.key_len = rows[i].len,
			.dtype = REP_F32,
			.dim = 1,
			.views = 1,
			.values = &value};
		struct jsonl_batch batch = {0};
		char *line = round_trip(&spec, &row, &batch);
		if (strncmp(line, rows[i].begins, strlen(rows[i].begins)) != 0) {
			fail_msg("%s", line);
		}
		assert_int_equal(batch.keys.len, rows[i].len + 1);
		assert_int_equal(batch.keys.data[0], rows[i].len);
		assert_memory_equal(batch.keys.data + 1, rows[i].key, rows[i].len);
		free(line);
		jsonl_batch_fini(&batch);
	}
}

/* Reads `first`, which must pass, then `line`. */
static enum status read_two(const struct rep_table_spec *spec, const char *first, const char *line,
	struct error *err)
{
	struct jsonl_reader *reader = NULL;
	struct jsonl_batch batch = {0};
	assert_int_equal(jsonl_reader_open(spec, &reader, NULL), STATUS_OK);
	if (first != NULL) {
		assert_int_equal(jsonl_read(reader, first, strlen(first), &batch, err), STATUS_OK);
	}
	enum status status = jsonl_read(reader, line, strlen(line), &batch, err);
	jsonl_batch_fini(&batch);
	jsonl_reader_close(reader);
	return status;
}

static void wrong_lines_are_refused_by_member(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		const char *says;
	} rows[] = {
		{"{", "too early"},
		{"{\"key\": 1, \"vector\": [1, 2]", "too early"},
		{"[]", "not a JSON object"},
		{"{\"key\": 1, \"key\": 1, \"vector\": [1, 2]}", "given twice"},
		{"{\"key\": 1, \"vector\": [1, 2], \"k\\u0065y\": 2}", "given twice"},
		{"{\"key\": 1, \"a:\\\"{:\": [1, 2]}", "is not a member"},
		{"{\"key\": 1, \"vector\": {\"a\": 1}}", "vector: not an array"},
		{"7", "not a JSON object"},
		{"nonsense", "not JSON"},
		{"{\"key\": 1, \"vector\": [1, 2]} {}", "not JSON"},
		{"{\"key\": 1, \"vector\": [1, 2], }", "not JSON"},
		{"{\"key\": 1, \"vector\": [[[[[1]]]]]}", "element 0"},
		{"{\"vector\": [1, 2]}", "key"},
		{"{\"key\": 1}", "vector: not an array"},
		{"{\"key\": 1, \"vector\": {}}", "vector: not an array"},
		{"{\"key\": 1, \"vector\": [1]}", "2 elements"},
		{"{\"key\": 1, \"vector\": [1, 2, 3]}", "2 elements"},
		{"{\"key\": 1, \"vector\": [[1, 2], [1, 2]]}", "1 views"},
		{"{\"key\": 1, \"vector\": [1, \"2\"]}", "element 1"},
		{"{\"key\": 1, \"vector\": [1, null]}", "element 1"},
		{"{\"key\": 1, \"vector\": [true, 1]}", "element 0"},
		{"{\"key\": 1, \"vector\": [1, 1e39]}", "element 1 of view 0, 1e39, is not"},
		{"{\"key\": 1, \"vector\": [1, \"NaN\\u0000\"]}", "element 1"},
		{"{\"key\": 1, \"vector\": [1, 1.]}", "not JSON"},
		{"{\"key\": 1, \"vector\": [1, 01]}", "not JSON"},
		{"{'key': 1, 'vector': [1, 2]}", "double quotes"},
		{"{\"key\": 1, \"vector\": [1, 2]}//x", "not JSON"},
		{"{\"key\\u0000x\": 1, \"vector\": [1, 2]}", "is not a member"},
		{"{\"key\": -1, \"vector\": [1, 2]}", "key"},
		{"{\"key\": 1.5, \"vector\": [1, 2]}", "key"},
		{"{\"key\": 18446744073709551616, \"vector\": [1, 2]}", "key"},
		{"{\"key\": 118446744073709551615, \"vector\": [1, 2]}", "key"},
		{"{\"key\": \"1\", \"vector\": [1, 2]}", "key"},
		{"{\"key_hex\": \"01\", \"vector\": [1, 2]}", "key"},
		{"{\"key\": 1, \"vector\": [1, 2], \"time\": 1.5}", "time"},
		{"{\"key\": 1, \"vector\": [1, 2], \"time\": 9223372036854775808}", "time"},
		{"{\"key\": 1, \"vector\": [1, 2], \"time\": \"now\"}", "time"},
		{"{\"key\": 1, \"vector\": [1, 2], \"tags\": -1}", "tags"},
		{"{\"key\": 1, \"vector\": [1, 2], \"tags\": 18446744073709551616}", "tags"},
		{"{\"key\": 1, \"vector\": [1, 2], \"scale\": \"x\"}", "scale"},
		{"{\"key\": 1, \"vector\": [1, 128], \"scale\": 1}", "element 1"},
		{"{\"key\": 1, \"vector\": [1, 1.5], \"scale\": 1}", "element 1"},
		{"{\"key\": 1, \"row\": [1, 2]}", "'row'"},
	};
	const struct rep_table_spec spec = spec_of(REP_F32, 2, 1);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct error err = {0};
		assert_int_equal(read_two(&spec, NULL, rows[i].line, &err), STATUS_BAD_REQUEST);
		if (strstr(err.text, rows[i].says) == NULL) {
			fail_msg("%s: %s", rows[i].line, err.text);
		}
	}
}

static void rows_of_a_file_are_alike(void **state)
{
	(void)state;
	static const char plain[] = "{\"key\": 1, \"vector\": [1, 2]}";
	static const struct {
		const char *line;
		const char *says;
	} rows[] = {
		{"{\"key\": 1, \"vector\": [1, 2], \"time\": 5}", "time"},
		{"{\"key\": 1, \"vector\": [1, 2], \"tags\": 5}", "tags"},
		{"{\"key\": 1, \"vector\": [1, 2], \"scale\": 5}", "scale"},
	};
	struct rep_table_spec spec = spec_of(REP_F32, 2, 1);
	for (size_t i = 0; i < 3; i++) {
		struct error err = {0};
		assert_int_equal(read_two(&spec, plain, rows[i].line, &err), STATUS_BAD_REQUEST);
		assert_non_null(strstr(err.text, rows[i].says));
		assert_int_equal(read_two(&spec, rows[i].line, plain, &err), STATUS_BAD_REQUEST);
		assert_non_null(strstr(err.text, rows[i].says));
	}
	spec.tags = false;
	assert_int_equal(read_two(&spec, NULL, rows[1].line, NULL), STATUS_BAD_REQUEST);
	spec = spec_of(REP_BIT, 2, 1);
	assert_int_equal(read_two(&spec, NULL, rows[2].line, NULL), STATUS_BAD_REQUEST);
	struct error err = {0};
	assert_int_equal(read_two(&spec, NULL, plain, &err), STATUS_BAD_REQUEST);
	assert_non_null(strstr(err.text, "element 1"));
}

/* A larger one is refused, whatever other digits the line has. */
static void the_largest_key_is_told_from_larger_ones(void **state)
{
	(void)state;
	static const char *const larger[] = {
		"{\"key\": 18446744073709551616, \"vector\": [1], \"tags\": 18446744073709551615}",
		"{\"key\": 18446744073709551615, \"vector\": [1], \"tags\": 1180591620717411303424}",
		"{\"key\": 100000000000000000000, \"vector\": [18446744073709551615.0]}",
		"{\"key\": 18446744073709551615, \"vector\": [1], \"time\": 18446744073709551615}",
	};
	const struct rep_table_spec spec = spec_of(REP_F32, 1, 1);
	for (size_t i = 0; i < sizeof larger / sizeof larger[0]; i++) {
		assert_int_equal(read_two(&spec, NULL, larger[i], NULL), STATUS_BAD_REQUEST);
	}
	assert_int_equal(read_two(&spec, NULL, "{\"key\": 18446744073709551615, \"vector\": [1]}",
				 NULL),
		STATUS_OK);
	assert_int_equal(read_two(&spec, NULL, "{\"key\": 9223372036854775808, \"vector\": [1]}",
				 NULL),
		STATUS_OK);
}

static void elements_are_numbers_however_they_are_written(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		float value;
	} rows[] = {
		{"100000000000000000000", 1e20F},
		{"9223372036854775808", 9223372036854775808.0F},
		{"18446742974197923840", 18446742974197923840.0F},
		{"-10000000000000000000", -1e19F},
		{"1e20", 1e20F},
		{"1E+2", 100},
		{"-0", -0.0F},
		/* Halfway between two f32 and a little more: by way of f64 it would be rounded down. */
		{"1.00000005960464477540", 1.00000011920928955F},
		{"0.000000000000000000000000000000000000000000000000000000000000000000001e69", 1},
	};
	const struct rep_table_spec spec = spec_of(REP_F32, 1, 1);
	struct jsonl_reader *reader = NULL;
	assert_int_equal(jsonl_reader_open(&spec, &reader, NULL), STATUS_OK);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct jsonl_batch batch = {0};
		struct error err = {0};
		char line[160];
		snprintf(line, sizeof line, "{\"key\": 1, \"vector\": [%s]}", rows[i].text);
		if (jsonl_read(reader, line, strlen(line), &batch, &err) != STATUS_OK) {
			fail_msg("%s: %s", line, err.text);
		}
		assert_memory_equal(batch.rows.data, &rows[i].value, sizeof rows[i].value);
		jsonl_batch_fini(&batch);
	}
	jsonl_reader_close(reader);
}

/* Two keys that are no UTF-8 would become one if each wrong character became the same one. */
static void a_key_of_half_a_character_is_refused(void **state)
{
	(void)state;
	static const char *const keys[] = {"\\ud800", "\\udfff", "\\ud800\\ud800", "\\ud800x",
		"\xed\xa0\x80", "\xff", "\xc0\x80", "\\ud8"};
	struct rep_table_spec spec = spec_of(REP_F32, 1, 1);
	spec.key_type = REP_KEY_BYTES;
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		struct error err = {0};
		char line[80];
		snprintf(line, sizeof line, "{\"key\": \"%s\", \"vector\": [1]}", keys[i]);
		assert_int_equal(read_two(&spec, NULL, line, &err), STATUS_BAD_REQUEST);
		if (i < 6 && strstr(err.text, "key_hex") == NULL) {
			fail_msg("%s: %s", line, err.text);
		}
	}
	assert_int_equal(read_two(&spec, NULL, "{\"key\": \"\\ud83d\\ude00\", \"vector\": [1]}",
				 NULL),
		STATUS_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_float_comes_back_with_its_bits),
		cmocka_unit_test(random_floats_come_back_with_their_bits),
		cmocka_unit_test(every_half_comes_back_with_its_bits),
		cmocka_unit_test(codes_bits_and_columns_come_back),
		cmocka_unit_test(keys_of_any_bytes_come_back),
		cmocka_unit_test(wrong_lines_are_refused_by_member),
		cmocka_unit_test(rows_of_a_file_are_alike),
		cmocka_unit_test(the_largest_key_is_told_from_larger_ones),
		cmocka_unit_test(elements_are_numbers_however_they_are_written),
		cmocka_unit_test(a_key_of_half_a_character_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
