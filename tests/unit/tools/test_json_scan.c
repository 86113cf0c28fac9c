/* test_json_scan.c - JSON text is taken as RFC 8259 has it, and nothing else is. */
#include "tools/format/json_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Reads a document out of memory of just its size, so that a sanitizer sees a step too far. */
static bool is_document(const char *text, enum json_kind *kind, const char **wrong)
{
	const size_t len = strlen(text);
	char *exact = malloc(len > 0 ? len : 1);
	assert_non_null(exact);
	for (size_t i = 0; i < len; i++) {
		exact[i] = text[i];
	}
	struct json_scan scan = {.text = exact, .len = len};
	struct json_value value = {0};
	const bool whole = json_scan_value(&scan, &value) && json_scan_ended(&scan);
	*kind = value.kind;
	*wrong = scan.wrong;
	free(exact);
	return whole;
}

static void documents_are_taken(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum json_kind kind;
	} rows[] = {
		{"null", JSON_NULL},
		{" true\t", JSON_BOOL},
		{"false", JSON_BOOL},
		{"0", JSON_NUMBER},
		{"-0.5e-10", JSON_NUMBER},
		{"NaN", JSON_NONFINITE},
		{"-Infinity", JSON_NONFINITE},
		{"\"a\\\"\\\\\\u00e9\\ud83d\\ude00\"", JSON_STRING},
		{"[]", JSON_ARRAY},
		{"[ [ ] , { } ]", JSON_ARRAY},
		{"{\"a\": [1, {\"b\": null}], \"\": 2}\r", JSON_OBJECT},
		{"[[[[[[[[]]]]]]]]", JSON_ARRAY},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		enum json_kind kind = JSON_ABSENT;
		const char *wrong = NULL;
		if (!is_document(rows[i].text, &kind, &wrong)) {
			fail_msg("%s: %s", rows[i].text, wrong);
		}
		assert_int_equal(kind, rows[i].kind);
	}
}

static void other_text_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *says;
	} rows[] = {
		{"", "too early"},
		{"[1, 2", "too early"},
		{"[1,", "too early"},
		{"{\"a\"", "too early"},
		{"{\"a\":", "too early"},
		{"\"a", "too early"},
		{"\"a\\", "too early"},
		{"\"\\u12", "escape"},
		{"-", "too early"},
		{"1.", "too early"},
		{"1e", "too early"},
		{"[01]", "begins with 0"},
		{"[1 2]", "comma"},
		{"[1,]", "unexpected"},
		{"{1: 2}", "double quotes"},
		{"{'a': 2}", "double quotes"},
		{"{\"a\" 2}", "colon"},
		{"{\"a\": 2,}", "double quotes"},
		{"[+1]", "unexpected"},
		{"[.5]", "unexpected"},
		{"[-x]", "digit"},
		{"[1]]", NULL},
		{"[1}", "comma"},
		{"nul", "unexpected"},
		{"[nan]", "unexpected"},
		{"\"\t\"", "control"},
		{"\"\\x41\"", "escape"},
		{"\"\\ud800\"", "surrogate"},
		{"\"\\udc00\\ud800\"", "surrogate"},
		{"\"\xff\"", "UTF-8"},
		{"[[[[[[[[[]]]]]]]]]", "nested"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		enum json_kind kind = JSON_ABSENT;
		const char *wrong = NULL;
		assert_false(is_document(rows[i].text, &kind, &wrong));
		if (rows[i].says != NULL &&
			(wrong == NULL || strstr(wrong, rows[i].says) == NULL)) {
			fail_msg("%s: %s", rows[i].text, wrong);
		}
	}
}

static struct json_value value_of(const char *text)
{
	struct json_scan scan = {.text = text, .len = strlen(text)};
	struct json_value value = {0};
	assert_true(json_scan_value(&scan, &value));
	return value;
}

static void integers_keep_their_value_or_are_refused(void **state)
{
	(void)state;
	uint64_t number = 0;
	int64_t negative = 0;
	struct json_value value = value_of("18446744073709551615");
	assert_true(json_value_u64(&value, &number));
	assert_true(number == UINT64_MAX);
	assert_false(json_value_i64(&value, &negative));
	value = value_of("-9223372036854775808");
	assert_true(json_value_i64(&value, &negative));
	assert_true(negative == INT64_MIN);
	static const char *const none[] = {"18446744073709551616", "184467440737095516150", "-1",
		"1.0", "1e3", "\"1\"", "NaN", "true", "null", "[1]"};
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
		value = value_of(none[i]);
		assert_false(json_value_u64(&value, &number));
	}
	value = value_of("-9223372036854775809");
	assert_false(json_value_i64(&value, &negative));
	assert_true(number == UINT64_MAX && negative == INT64_MIN);
}

static void a_number_beyond_f32_becomes_no_infinity(void **state)
{
	(void)state;
	static const char *const beyond[] = {"1e39", "-1e39", "1e400",
		"340282356779733661637539395458142568448"};
	float number = 7;
	for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
		const struct json_value value = value_of(beyond[i]);
		assert_false(json_value_float(&value, &number));
	}
	assert_true(number == 7);
	struct json_value value = value_of("-Infinity");
	assert_true(json_value_float(&value, &number) && number < -1e38F);
	value = value_of("\"Infinity\"");
	assert_true(json_value_float(&value, &number) && number > 1e38F);
	value = value_of("1e-60");
	assert_true(json_value_float(&value, &number) && number == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_are_taken),
		cmocka_unit_test(other_text_is_refused),
		cmocka_unit_test(integers_keep_their_value_or_are_refused),
		cmocka_unit_test(a_number_beyond_f32_becomes_no_infinity),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
