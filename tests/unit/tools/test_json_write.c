/* test_json_write.c - commas, colons, brackets and escapes of documents that a program writes. */
#include "tools/format/json_write.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What was written: a stream in memory. */
struct page {
	char *text;
	size_t len;
	struct json_writer writer;
};

static struct json_writer *page_open(struct page *page)
{
	*page = (struct page){0};
	page->writer.out = open_memstream(&page->text, &page->len);
	assert_non_null(page->writer.out);
	return &page->writer;
}

static void page_must_hold(struct page *page, const char *expected)
{
	assert_int_equal(fclose(page->writer.out), 0);
	assert_string_equal(page->text, expected);
	free(page->text);
}

static void objects_and_arrays_nest(void **state)
{
	(void)state;
	struct page page;
	struct json_writer *json = page_open(&page);
	json_write_object(json, NULL);
	json_write_u64(json, "a", UINT64_MAX);
	json_write_object(json, "b");
	json_write_object_end(json);
	json_write_array(json, "c");
	json_write_array(json, NULL);
	json_write_array_end(json);
	json_write_object(json, NULL);
	json_write_i64(json, "d", INT64_MIN);
	json_write_null(json, "e");
	json_write_object_end(json);
	json_write_bool(json, NULL, true);
	json_write_bool(json, NULL, false);
	json_write_array_end(json);
	json_write_u64(json, "f", 0);
	json_write_object_end(json);
	json_write_line(json);
	page_must_hold(&page,
		"{\"a\": 18446744073709551615, \"b\": {}, \"c\": [[], "
		"{\"d\": -9223372036854775808, \"e\": null}, true, false], \"f\": 0}\n");
}

static void each_document_begins_anew(void **state)
{
	(void)state;
	struct page page;
	struct json_writer *json = page_open(&page);
	for (uint64_t i = 0; i < 2; i++) {
		json_write_object(json, NULL);
		json_write_u64(json, "i", i);
		json_write_object_end(json);
		json_write_line(json);
	}
	json_write_u64(json, NULL, 7);
	json_write_line(json);
	json_write_array(json, NULL);
	json_write_array_end(json);
	json_write_line(json);
	page_must_hold(&page, "{\"i\": 0}\n{\"i\": 1}\n7\n[]\n");
}

static void the_deepest_document_is_whole(void **state)
{
	(void)state;
	char expected[2 * JSON_WRITE_DEPTH_MAX + 2];
	struct page page;
	struct json_writer *json = page_open(&page);
	for (size_t i = 0; i < JSON_WRITE_DEPTH_MAX; i++) {
		json_write_array(json, NULL);
		expected[i] = '[';
		expected[JSON_WRITE_DEPTH_MAX + i] = ']';
	}
	for (size_t i = 0; i < JSON_WRITE_DEPTH_MAX; i++) {
		json_write_array_end(json);
	}
	json_write_line(json);
	memcpy(expected + sizeof expected - 2, "\n", 2);
	page_must_hold(&page, expected);
}

static void names_and_strings_are_escaped(void **state)
{
	(void)state;
	const uint8_t bytes[] = {0x00, 0xff, 0x1a};
	struct page page;
	struct json_writer *json = page_open(&page);
	json_write_object(json, NULL);
	json_write_text(json, "\"\\", "a\"b\\c\n\t\x01\x1f\x7f\xc3\xa9");
	json_write_text(json, "empty", "");
	json_write_text(json, "none", NULL);
	json_write_string(json, "part", (const uint8_t *)"abcdef", 3);
	json_write_hex(json, "hex", bytes, sizeof bytes);
	json_write_object_end(json);
	page_must_hold(&page,
		"{\"\\\"\\\\\": \"a\\\"b\\\\c\\n\\t\\u0001\\u001f\\u007f\xc3\xa9\", \"empty\": \"\", "
		"\"none\": null, \"part\": \"abc\", \"hex\": \"00ff1a\"}");
}

static void fractions_have_the_digits_that_were_asked_for(void **state)
{
	(void)state;
	struct page page;
	struct json_writer *json = page_open(&page);
	json_write_array(json, NULL);
	json_write_float(json, NULL, 0.1f);
	json_write_float(json, NULL, -0.0f);
	json_write_float(json, NULL, NAN);
	json_write_double(json, NULL, 0.1);
	json_write_double(json, NULL, 1.0 / 3);
	json_write_double_17(json, NULL, 0.1);
	json_write_double_17(json, NULL, 0.5);
	json_write_fixed(json, NULL, 2.0 / 3, 3);
	json_write_fixed(json, NULL, 1234567.5, 0);
	json_write_array_end(json);
	page_must_hold(&page,
		"[0.100000001, -0.0, \"NaN\", 0.1, 0.3333333333333333, 0.10000000000000001, 0.5, "
		"0.667, 1234568]");
}

static void what_is_not_finite_is_null(void **state)
{
	(void)state;
	struct page page;
	struct json_writer *json = page_open(&page);
	json_write_array(json, NULL);
	json_write_double(json, NULL, NAN);
	json_write_double(json, NULL, INFINITY);
	json_write_double_17(json, NULL, -INFINITY);
	json_write_fixed(json, NULL, NAN, 1);
	json_write_array_end(json);
	page_must_hold(&page, "[null, null, null, null]");
}

static void a_message_is_written_as_it_nests(void **state)
{
	(void)state;
	struct wire_writer message = {0};
	wire_write_map(&message, 5);
	wire_write_uint(&message, 1);
	wire_write_str_len(&message, "no name", 7);
	wire_write_str_len(&message, "list", 4);
	wire_write_array(&message, 3);
	wire_write_bool(&message, true);
	wire_write_int(&message, -3);
	wire_write_map(&message, 0);
	wire_write_str_len(&message, "bin", 3);
	wire_write_bin(&message, "\x01\xff", 2);
	wire_write_str_len(&message, "bad", 3);
	wire_write_str_len(&message, "\xff", 1);
	wire_write_str_len(&message, "nil", 3);
	wire_write_nil(&message);
	assert_int_equal(message.status, STATUS_OK);
	struct wire_message *opened = NULL;
	assert_int_equal(wire_open(message.data, message.len, &opened), STATUS_OK);
	struct page page;
	struct json_writer *json = page_open(&page);
	json_write_object(json, NULL);
	json_write_u64(json, "before", 1);
	json_write_wire(json, "answer", wire_root(opened));
	json_write_u64(json, "after", 2);
	json_write_object_end(json);
	page_must_hold(&page,
		"{\"before\": 1, \"answer\": {\"?\": \"no name\", \"list\": [true, -3, {}], "
		"\"bin\": \"01ff\", \"bad\": \"ff\", \"nil\": null}, \"after\": 2}");
	wire_close(opened);
	wire_writer_fini(&message);
}

static void an_error_of_the_stream_stays_in_the_stream(void **state)
{
	(void)state;
	char room[8];
	struct json_writer json = {.out = fmemopen(room, sizeof room, "w")};
	assert_non_null(json.out);
	setbuf(json.out, NULL);
	json_write_object(&json, NULL);
	json_write_text(&json, "name", "longer than the room");
	json_write_object_end(&json);
	assert_true(ferror(json.out) != 0);
	(void)fclose(json.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_and_arrays_nest),
		cmocka_unit_test(each_document_begins_anew),
		cmocka_unit_test(the_deepest_document_is_whole),
		cmocka_unit_test(names_and_strings_are_escaped),
		cmocka_unit_test(fractions_have_the_digits_that_were_asked_for),
		cmocka_unit_test(what_is_not_finite_is_null),
		cmocka_unit_test(a_message_is_written_as_it_nests),
		cmocka_unit_test(an_error_of_the_stream_stays_in_the_stream),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
