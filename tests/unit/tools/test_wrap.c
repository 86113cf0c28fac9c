/* test_wrap.c - help texts in lines of 80 columns. */
#include "tools/format/wrap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_wrapped(const char *text, size_t column, size_t hang, const char *expected)
{
	char *out = NULL;
	size_t len = 0;
	FILE *file = open_memstream(&out, &len);
	assert_non_null(file);
	wrap_print(file, text, column, hang);
	assert_int_equal(fclose(file), 0);
	assert_string_equal(out, expected);
	free(out);
}

#define TEN     "123456789 "
#define SEVENTY TEN TEN TEN TEN TEN TEN TEN

static void lines_have_at_most_80_columns(void **state)
{
	(void)state;
	assert_wrapped("", 0, 0, "");
	assert_wrapped("a\nb\n\nc\n", 0, 0, "a b\n\nc\n");
	assert_wrapped(SEVENTY "1234567890\n", 0, 0, SEVENTY "1234567890\n");
	assert_wrapped(SEVENTY "12345678901\n", 0, 0,
		"123456789 " TEN TEN TEN TEN TEN "123456789\n12345678901\n");
}

static void options_are_aligned(void **state)
{
	(void)state;
	assert_wrapped("  --a    x\n         y\n  --b    z\nplain\ntext\n", 0, 0,
		"  --a    x y\n  --b    z\nplain text\n");
	assert_wrapped("  --a  " SEVENTY TEN "end\n", 0, 0,
		"  --a  " TEN TEN TEN TEN TEN TEN "123456789\n       123456789 end\n");
}

static void brackets_are_kept_together(void **state)
{
	(void)state;
	assert_wrapped("x --a A " TEN TEN TEN TEN TEN "[--name NAME]\n         [--b]\n       y z\n",
		15, 9,
		"x --a A " TEN TEN TEN TEN "123456789\n         [--name NAME] [--b]\n       y z\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_have_at_most_80_columns),
		cmocka_unit_test(options_are_aligned),
		cmocka_unit_test(brackets_are_kept_together),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
