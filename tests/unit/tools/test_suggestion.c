/* test_suggestion.c - which word may be meant. */
#include "tools/command/suggestion.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const words[] = {"release", "retrieve", "raw", "rows", "k", "time", "time-unit",
	"times"};
enum { WORDS = sizeof words / sizeof words[0] };

static void near_words_are_found(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"relase", "release"},
		{"realese", "release"},
		{"retrive", "retrieve"},
		{"rel", "release"},
		{"time-unt=s", "time-unit"},
		{"tims", "time"},
		{"row", "rows"},
		{"xyzzy", NULL},
		{"k", NULL},
		{"", NULL},
		{"a-word-that-is-longer-than-any-word-could-be", NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *found = suggestion_of(rows[i][0], words, WORDS);
		if (rows[i][1] == NULL) {
			assert_null(found);
		} else {
			assert_non_null(found);
			assert_string_equal(found, rows[i][1]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(near_words_are_found)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
