/* test_status.c - outcomes have names, errors have texts that a terminal survives. */
#include "schema/status.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void every_status_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (unsigned i = 0; i < STATUS_COUNT; i++) {
		const char *name = status_name((enum status)i);
		assert_non_null(name);
		assert_int_equal(status_of_name(name, strlen(name)), i);
	}
}

static void numbers_that_are_not_on_the_wire_are_internal(void **state)
{
	(void)state;
	assert_string_equal(status_name(STATUS_AGAIN), "INTERNAL");
	assert_string_equal(status_name(STATUS_COUNT), "INTERNAL");
	assert_string_equal(status_name((enum status)12345), "INTERNAL");
}

static void unknown_names_are_internal(void **state)
{
	(void)state;
	assert_int_equal(status_of_name("", 0), STATUS_INTERNAL);
	assert_int_equal(status_of_name("NOT_FOUN", 8), STATUS_INTERNAL);
	assert_int_equal(status_of_name("NOT_FOUNDX", 10), STATUS_INTERNAL);
	assert_int_equal(status_of_name("NOT_FOUNDX", 9), STATUS_NOT_FOUND);
	assert_int_equal(status_of_name("not_found", 9), STATUS_INTERNAL);
	assert_int_equal(status_of_name("AGAIN", 5), STATUS_INTERNAL);
}

static void system_errors_become_ours(void **state)
{
	(void)state;
	assert_int_equal(status_of_errno(ENOSPC), STATUS_DISK_FULL);
	assert_int_equal(status_of_errno(EDQUOT), STATUS_DISK_FULL);
	assert_int_equal(status_of_errno(EFBIG), STATUS_DISK_FULL);
	assert_int_equal(status_of_errno(ENOMEM), STATUS_NO_MEMORY);
	assert_int_equal(status_of_errno(ENOENT), STATUS_NOT_FOUND);
	assert_int_equal(status_of_errno(EIO), STATUS_IO);
	assert_int_equal(status_of_errno(0), STATUS_IO);
}

static void an_error_may_be_left_out(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, STATUS_BUSY, "%d", 1), STATUS_BUSY);
}

static void an_error_keeps_status_and_text(void **state)
{
	(void)state;
	struct error err;
	assert_int_equal(error_set(&err, STATUS_IO, "open '%s': %d", "a", 2), STATUS_IO);
	assert_int_equal(err.status, STATUS_IO);
	assert_string_equal(err.text, "open 'a': 2");
}

static void an_error_can_be_built_from_itself(void **state)
{
	(void)state;
	struct error err;
	error_set(&err, STATUS_IO, "inner");
	error_set(&err, STATUS_BUSY, "outer: %s", err.text);
	assert_string_equal(err.text, "outer: inner");
	assert_int_equal(err.status, STATUS_BUSY);
}

static void what_cannot_be_printed_becomes_a_question_mark(void **state)
{
	(void)state;
	struct error err;
	error_set(&err, STATUS_IO, "a%cb%cc%cd%ce", '\n', 27, 127, 200);
	assert_string_equal(err.text, "a?b?c?d?e");
}

static void too_long_a_text_is_cut(void **state)
{
	(void)state;
	char long_text[2 * ERROR_TEXT_BYTES];
	memset(long_text, 'x', sizeof long_text - 1);
	long_text[sizeof long_text - 1] = '\0';
	struct error err;
	error_set(&err, STATUS_IO, "%s", long_text);
	assert_int_equal(strlen(err.text), ERROR_TEXT_BYTES - 1);
	error_set(&err, STATUS_IO, "%.*s", ERROR_TEXT_BYTES - 1, long_text);
	assert_int_equal(strlen(err.text), ERROR_TEXT_BYTES - 1);
}

static void a_quote_is_cut_and_printable(void **state)
{
	(void)state;
	char out[ERROR_QUOTE_BYTES];
	assert_string_equal(error_quote(out, NULL, 0), "");
	assert_string_equal(error_quote(out, "a\0b\n\x80", 5), "a?b??");
	char text[ERROR_QUOTE_BYTES];
	memset(text, 'y', sizeof text);
	assert_int_equal(strlen(error_quote(out, text, ERROR_QUOTE_BYTES - 4)),
		ERROR_QUOTE_BYTES - 4);
	assert_null(strchr(out, '.'));
	assert_int_equal(strlen(error_quote(out, text, ERROR_QUOTE_BYTES - 3)),
		ERROR_QUOTE_BYTES - 1);
	assert_string_equal(out + ERROR_QUOTE_BYTES - 4, "...");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_status_has_a_name_of_its_own),
		cmocka_unit_test(numbers_that_are_not_on_the_wire_are_internal),
		cmocka_unit_test(unknown_names_are_internal),
		cmocka_unit_test(system_errors_become_ours),
		cmocka_unit_test(an_error_may_be_left_out),
		cmocka_unit_test(an_error_keeps_status_and_text),
		cmocka_unit_test(an_error_can_be_built_from_itself),
		cmocka_unit_test(what_cannot_be_printed_becomes_a_question_mark),
		cmocka_unit_test(too_long_a_text_is_cut),
		cmocka_unit_test(a_quote_is_cut_and_printable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
