/* test_safetensors.c - safetensors files in memory: what is read of them, each way in which a header can
 * be wrong, and that what is written is read again. */
#include "tests/unit/alloc_fail.h"
#include "tests/unit/tools/table_fixture.h"
#include "tools/format/columns.h"
#include "tools/format/little.h"
#include "tools/format/output.h"
#include "tools/format/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FILE_BYTES_MAX = 8192 };

struct file {
	uint8_t bytes[FILE_BYTES_MAX];
	size_t len;
};

static void build(struct file *file, const char *header, size_t data_len)
{
	const size_t len = strlen(header);
	assert_true(8 + len + data_len <= sizeof file->bytes);
	little_write(file->bytes, 8, len);
	memcpy(file->bytes + 8, header, len);
	memset(file->bytes + 8 + len, 7, data_len);
	file->len = 8 + len + data_len;
}

/* Reads from memory that is as large as the file, so that a read behind it is seen. */
static enum status read_copy(const uint8_t *bytes, size_t len, struct error *err)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	struct safetensors read = {0};
	assert_non_null(copy);
	memcpy(copy, bytes, len);
	const enum status status = safetensors_read(copy, len, "t.safetensors", &read, err);
	safetensors_fini(&read);
	free(copy);
	return status;
}

#define ENTRY(dtype, shape, offsets)                                                               \
	"{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" offsets "]}"

static void tensors_are_found(void **state)
{
	(void)state;
	struct file file;
	struct safetensors read = {0};
	struct error err = {0};
	build(&file,
		"{\"__metadata__\":{\"format\":\"pt\"},\"b\\u002eweight\":" ENTRY("BF16", "2,3",
			"4,16") ", \"s\" : " ENTRY("F32", "", "0,4") ",\"none\":" ENTRY("I64",
			"0,5", "16,16") "}   ",
		16);
	if (safetensors_read(file.bytes, file.len, "t", &read, &err) != STATUS_OK) {
		fail_msg("%s", err.text);
	}
	assert_int_equal(read.count, 3);
	assert_string_equal(read.tensors[0].name, "s");
	assert_int_equal(read.tensors[0].dims, 0);
	assert_int_equal(read.tensors[0].bytes, 4);
	assert_string_equal(read.tensors[1].name, "b.weight");
	assert_string_equal(read.tensors[1].type->name, "BF16");
	assert_int_equal(read.tensors[1].shape[1], 3);
	assert_ptr_equal(read.tensors[1].data, file.bytes + file.len - 12);
	assert_string_equal(read.tensors[2].name, "none");
	assert_int_equal(read.tensors[2].bytes, 0);
	safetensors_fini(&read);
}

static const struct wrong {
	const char *header;
	size_t data_len;
	const char *says;
} wrongs[] = {
	{"", 0, "not a JSON object"},
	{" {}", 0, "not a JSON object"},
	{"[]", 0, "not a JSON object"},
	{"{", 0, "too early"},
	{"{}x", 0, "behind the object"},
	{"{\"a\"}", 0, "not a name and a colon"},
	{"{1:2}", 0, "not a name and a colon"},
	{"{\"a\":1}", 0, "not an object"},
	{"{\"a\":\"\xff\"}", 0, "not UTF-8"},
	{"{\"a\":{}\"b\":{}}", 0, "'a': it has no dtype"},
	{"{\"\":" ENTRY("U8", "0", "0,0") "}", 0, "empty"},
	{"{\"a\\u0000b\":" ENTRY("U8", "0", "0,0") "}", 0, "a NUL"},
	{"{\"a\":" ENTRY("U8", "0", "0,0") " \"b\":" ENTRY("U8", "0", "0,0") "}", 0,
		"a comma is missing"},
	{"{\"a\":" ENTRY("U8", "0", "0,0") ",\"\\u0061\":" ENTRY("U8", "0", "0,0") "}", 0,
		"'a': it is in the file twice"},
	{"{\"a\":" ENTRY("F4", "2", "0,1") "}", 1, "dtype: \"F4\" given"},
	{"{\"a\":" ENTRY("f32", "1", "0,4") "}", 4, "dtype: \"f32\" given"},
	{"{\"a\":" ENTRY("F32", "1", "0,8") "}", 8, "0 to 8 given, F32 [1] has 4 bytes"},
	{"{\"a\":" ENTRY("F32", "1", "4,0") "}", 4, "4 to 0 given"},
	{"{\"a\":" ENTRY("F32", "4294967296,4294967296", "0,0") "}", 0, "over 2^64"},
	{"{\"a\":" ENTRY("U8", "1,1,1,1,1,1,1,1,1", "0,1") "}", 1, "at most 8 numbers"},
	{"{\"a\":" ENTRY("U8", "-1", "0,1") "}", 1, "shape"},
	{"{\"a\":" ENTRY("U8", "1.0", "0,1") "}", 1, "shape"},
	{"{\"a\":" ENTRY("U8", "18446744073709551616", "0,1") "}", 1, "shape"},
	{"{\"a\":" ENTRY("U8", "1", "0") "}", 1, "not two numbers"},
	{"{\"a\":" ENTRY("U8", "1", "0,1,2") "}", 1, "not two numbers"},
	{"{\"a\":" ENTRY("U8", "1", "\"0\",1") "}", 1, "not two numbers"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":1,\"data_offsets\":[0,1]}}", 1, "shape"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "not two numbers"},
	{"{\"a\":{\"dtype\":8,\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "dtype: 8 given"},
	{"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\"}}", 0, "is there twice"},
	{"{\"a\":{\"dtype\":\"U8\",\"stride\":[1]}}", 0, "a member that is not"},
	{"{\"a\":" ENTRY("U8", "4", "0,4") ",\"b\":" ENTRY("U8", "4", "2,6") "}", 6,
		"'b' begins at byte 2 of the data, the one before ends at 4"},
	{"{\"a\":" ENTRY("U8", "4", "0,4") ",\"b\":" ENTRY("U8", "4", "0,4") "}", 4,
		"'b' begins at byte 0"},
	{"{\"a\":" ENTRY("U8", "4", "0,4") ",\"b\":" ENTRY("U8", "4", "5,9") "}", 9,
		"'b' begins at byte 5"},
	{"{\"a\":" ENTRY("U8", "4", "1,5") "}", 5, "'a' begins at byte 1"},
	{"{\"a\":" ENTRY("U8", "4", "0,4") "}", 3, "of which the file has 3; it is cut"},
	{"{\"a\":" ENTRY("U8", "4", "0,4") "}", 5, "4 bytes of data, the file has 5"},
	{"{\"a\":" ENTRY("U8", "4", "18446744073709551612,18446744073709551616") "}", 4,
		"not two numbers"},
	{"{\"a\":" ENTRY("U8", "3", "18446744073709551612,18446744073709551615") "}", 3,
		"it is cut"},
	{"{}", 1, "0 bytes of data, the file has 1"},
};

static void what_is_wrong_with_a_header_is_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
		struct file file;
		struct error err = {0};
		build(&file, wrongs[i].header, wrongs[i].data_len);
		const enum status status = read_copy(file.bytes, file.len, &err);
		if (status != STATUS_BAD_REQUEST || strstr(err.text, wrongs[i].says) == NULL ||
			strstr(err.text, "'t.safetensors'") == NULL) {
			fail_msg("%zu: %s: %s", i, status_name(status), err.text);
		}
	}
}

static void the_length_of_the_header_is_checked(void **state)
{
	(void)state;
	static const struct {
		uint64_t len;
		const char *says;
	} rows[] = {{3, "it is cut"}, {100000000, "it is cut"}, {100000001, "at most 100000000"},
		{UINT64_MAX, "at most 100000000"}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct file file;
		struct error err = {0};
		build(&file, "{}", 0);
		little_write(file.bytes, 8, rows[i].len);
		assert_int_equal(read_copy(file.bytes, file.len, &err), STATUS_BAD_REQUEST);
		if (strstr(err.text, rows[i].says) == NULL) {
			fail_msg("%zu: %s", i, err.text);
		}
	}
}

static void what_is_no_header_is_told_from_one_that_is_too_long(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t len;
		const char *says;
	} rows[] = {
		{"\1\341\365\5\0\0\0\0{\"a\"", 12,
			"'t.safetensors': a header of 100000001 bytes given, at most 100000000 allowed"},
		{"PAR1\25\4\25\20\25xx", 11,
			"'t.safetensors': not a safetensors file, but Parquet: in Python "
			"np.savez('rows.npz', keys=table['key'].to_numpy(), "
			"rows=np.stack(table['vector']).astype('f4'))"},
		{"anything", 8,
			"'t.safetensors': not a safetensors file: a header of 7453010330696380001 bytes "
			"given, at most 100000000 allowed"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct error err = {0};
		assert_int_equal(read_copy((const uint8_t *)rows[i].bytes, rows[i].len, &err),
			STATUS_BAD_REQUEST);
		assert_string_equal(err.text, rows[i].says);
	}
}

static const char two[] = "{\"__metadata__\":{\"a\":\"b\"},\"keys\":" ENTRY("U64", "2",
	"0,16") ",\"rows\":" ENTRY("F32", "2,1", "16,24") "}";

static void every_cut_is_refused_and_no_changed_byte_is_a_fault(void **state)
{
	(void)state;
	struct file file;
	struct error err = {0};
	build(&file, two, 24);
	assert_int_equal(read_copy(file.bytes, file.len, &err), STATUS_OK);
	for (size_t len = 0; len < file.len; len++) {
		assert_int_equal(read_copy(file.bytes, len, &err), STATUS_BAD_REQUEST);
	}
	for (size_t at = 0; at < file.len; at++) {
		for (unsigned bit = 1; bit < 256; bit *= 2) {
			file.bytes[at] ^= (uint8_t)bit;
			read_copy(file.bytes, file.len, &err);
			file.bytes[at] ^= (uint8_t)bit;
		}
	}
}

static bool read_columns(void *arg)
{
	const struct file *file = arg;
	struct columns columns = {0};
	const bool read = columns_read_safetensors(file->bytes, file->len, "t", false, &columns,
				  NULL) == STATUS_OK;
	columns_close(&columns);
	return read;
}

static void refused_memory_is_told(void **state)
{
	(void)state;
	struct file file;
	build(&file, two, 24);
	assert_true(alloc_fail_each(read_columns, &file) >= 2);
}

/* Tensors come in an order in which each is aligned, whatever they were given in. */
static void what_is_written_is_read(void **state)
{
	(void)state;
	struct fixture fixture;
	struct output output;
	struct error err = {0};
	struct safetensors read = {0};
	size_t len = 0;
	struct safetensor tensors[] = {
		{.name = "c",
			.type = safetensors_type_of('u', 1),
			.dims = 1,
			.shape = {3},
			.bytes = 3},
		{.name = "b",
			.type = safetensors_type_of('B', 2),
			.dims = 2,
			.shape = {1, 3},
			.bytes = 6},
		{.name = "a", .type = safetensors_type_of('f', 8), .bytes = 8},
		{.name = "d", .type = safetensors_type_of('f', 4), .dims = 2, .shape = {0, 9}},
	};
	const uint8_t data[17] = {1};
	fixture_init(&fixture);
	const char *path = fixture_path(&fixture, "t.safetensors");
	assert_int_equal(output_open(path, &output, &err), STATUS_OK);
	assert_int_equal(safetensors_write_header(tensors, 4, &output, &err), STATUS_OK);
	assert_int_equal(output_write(&output, data, sizeof data, &err), STATUS_OK);
	assert_int_equal(output_commit(&output, &err), STATUS_OK);
	uint8_t *bytes = fixture_read(path, &len);
	if (safetensors_read(bytes, len, "t", &read, &err) != STATUS_OK) {
		fail_msg("%s", err.text);
	}
	static const char *const names[] = {"a", "d", "b", "c"};
	assert_int_equal(read.count, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(read.tensors[i].name, names[i]);
		assert_int_equal(read.tensors[i].dims, tensors[i].dims);
		assert_ptr_equal(read.tensors[i].type, tensors[i].type);
		assert_int_equal((read.tensors[i].data - bytes) % (int)read.tensors[i].type->bytes,
			0);
	}
	safetensors_fini(&read);
	free(bytes);
	fixture_fini(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tensors_are_found),
		cmocka_unit_test(what_is_wrong_with_a_header_is_told),
		cmocka_unit_test(the_length_of_the_header_is_checked),
		cmocka_unit_test(what_is_no_header_is_told_from_one_that_is_too_long),
		cmocka_unit_test(every_cut_is_refused_and_no_changed_byte_is_a_fault),
		cmocka_unit_test(refused_memory_is_told),
		cmocka_unit_test(what_is_written_is_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
