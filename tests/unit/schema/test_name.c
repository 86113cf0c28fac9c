/* test_name.c - names are safe as part of a file name, and errors say what a name is. */
#include "schema/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void good_names_pass(void **state)
{
	(void)state;
	static const char *const good[] = {"a", "Z9", "0", "2026-10-01.v2_final", "live2", "LIVE",
		"a23456789012345678901234567890123456789012345678901234567890abcd"};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct name name;
		struct table_name table;
		size_t len = strlen(good[i]);
		assert_int_equal(name_check(good[i], len, "load", &name, NULL), STATUS_OK);
		assert_string_equal(name.text, good[i]);
		assert_int_equal(release_name_check(good[i], len, &name, NULL), STATUS_OK);
		assert_int_equal(table_name_check(good[i], len, "table", &table, NULL), STATUS_OK);
		assert_string_equal(table.text, good[i]);
	}
}

static void bad_names_do_not(void **state)
{
	(void)state;
	static const char *const bad[] = {"", ".", "..", "-a", "_a", "a/b", "a b", "a\n",
		"\xc3\xa4", "a\xff", "a@", "@a", "a@b@c", "a@-b", "a@@b", "@",
		"a23456789012345678901234567890123456789012345678901234567890abcde"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct name name = {"kept"};
		struct table_name table = {"kept"};
		struct error err;
		size_t len = strlen(bad[i]);
		assert_int_equal(name_check(bad[i], len, "load", &name, &err), STATUS_BAD_REQUEST);
		assert_non_null(strstr(err.text, "load: '"));
		assert_non_null(strstr(err.text, "[A-Za-z0-9]"));
		assert_int_equal(table_name_check(bad[i], len, "table", &table, &err),
			STATUS_BAD_REQUEST);
		assert_non_null(strstr(err.text, "table: '"));
		assert_string_equal(name.text, "kept");
		assert_string_equal(table.text, "kept");
	}
}

static void a_name_may_stand_in_a_longer_text(void **state)
{
	(void)state;
	struct name name;
	assert_int_equal(name_check("abc/def", 3, "load", &name, NULL), STATUS_OK);
	assert_string_equal(name.text, "abc");
}

static void a_nul_is_no_part_of_a_name(void **state)
{
	(void)state;
	struct name name;
	struct error err;
	assert_int_equal(name_check("a\0b", 3, "load", &name, &err), STATUS_BAD_REQUEST);
	assert_non_null(strstr(err.text, "'a?b'"));
}

static void a_table_may_name_its_layer(void **state)
{
	(void)state;
	char longest[LIMIT_TABLE_NAME_BYTES + 1];
	memset(longest, 'x', sizeof longest);
	longest[LIMIT_NAME_BYTES] = '@';
	struct table_name table;
	assert_int_equal(table_name_check("ir@mlp2", 7, "table", &table, NULL), STATUS_OK);
	assert_string_equal(table.text, "ir@mlp2");
	assert_int_equal(table_name_check(longest, LIMIT_TABLE_NAME_BYTES, "table", &table, NULL),
		STATUS_OK);
	assert_int_equal(strlen(table.text), LIMIT_TABLE_NAME_BYTES);
	struct error err;
	assert_int_equal(table_name_check(longest, LIMIT_TABLE_NAME_BYTES + 1, "table", &table,
				 &err),
		STATUS_BAD_REQUEST);
	assert_true(strlen(err.text) < ERROR_TEXT_BYTES - 1);
}

static void live_is_no_name_of_a_release(void **state)
{
	(void)state;
	struct name name;
	struct error err;
	assert_int_equal(release_name_check("live", 4, &name, &err), STATUS_BAD_REQUEST);
	assert_non_null(strstr(err.text, "release: 'live'"));
	assert_int_equal(release_name_check("a/", 2, &name, &err), STATUS_BAD_REQUEST);
	assert_non_null(strstr(err.text, "release: 'a/'"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_names_pass),
		cmocka_unit_test(bad_names_do_not),
		cmocka_unit_test(a_name_may_stand_in_a_longer_text),
		cmocka_unit_test(a_nul_is_no_part_of_a_name),
		cmocka_unit_test(a_table_may_name_its_layer),
		cmocka_unit_test(live_is_no_name_of_a_release),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
