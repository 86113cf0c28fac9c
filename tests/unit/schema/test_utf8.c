/* test_utf8.c - what is UTF-8 stays as it is, and of the rest each byte is found. */
#include "schema/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void text_is_told_from_other_bytes(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t valid;
		const char *repaired;
	} cases[] = {
		{"", 0, ""},
		{"ckpt-3", 6, "ckpt-3"},
		{"Gr\xc3\xb6\xc3\x9f"
		 "e \xe6\x97\xa5 \xf0\x9f\x98\x80",
			16,
			"Gr\xc3\xb6\xc3\x9f"
			"e \xe6\x97\xa5 \xf0\x9f\x98\x80"},
		{"\x7f\xc2\x80\xdf\xbf\xef\xbf\xbf\xf4\x8f\xbf\xbf", 12,
			"\x7f\xc2\x80\xdf\xbf\xef\xbf\xbf\xf4\x8f\xbf\xbf"},
		{"caf\xe9", 3, "caf?"}, /* latin-1 */
		{"\xff\xfe"
		 "a",
			0, "??a"},                    /* a byte order mark of UTF-16 */
		{"a\xed\xa0\x80", 1, "a???"},         /* a surrogate */
		{"\xc0\x80", 0, "??"},                /* NUL in two bytes */
		{"\xe0\x80\x80", 0, "???"},           /* and in three */
		{"\xf4\x90\x80\x80", 0, "????"},      /* beyond the last character */
		{"\xf8\x88\x80\x80\x80", 0, "?????"}, /* five bytes */
		{"ab\xe6\x97", 2, "ab??"},            /* cut */
		{"\x80", 0, "?"},
		{"\xe6\x97"
		 "a\xe6\x97\xa5",
			0, "??a\xe6\x97\xa5"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[32];
		const size_t len = strlen(cases[i].text);
		snprintf(text, sizeof text, "%s", cases[i].text);
		assert_int_equal(utf8_valid_bytes(text, len), cases[i].valid);
		utf8_repair(text, len);
		assert_string_equal(text, cases[i].repaired);
		assert_int_equal(utf8_valid_bytes(text, len), len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_told_from_other_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
