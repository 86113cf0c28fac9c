/* one_case.c - runs of a unit test only the cases that REPSTORE_CASE names: a name, or a pattern
 * with * and ?. A pattern that names none of the cases fails. Part of every unit test, since Debian
 * 12's cmocka has no such setting of its own.
 */
#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* What cmocka_run_group_tests calls; the linker sends the call here. */
int __real__cmocka_run_group_tests(const char *group, const struct CMUnitTest *tests, size_t count,
	CMFixtureFunction setup, CMFixtureFunction teardown);
int __wrap__cmocka_run_group_tests(const char *group, const struct CMUnitTest *tests, size_t count,
	CMFixtureFunction setup, CMFixtureFunction teardown);

int __wrap__cmocka_run_group_tests(const char *group, const struct CMUnitTest *tests, size_t count,
	CMFixtureFunction setup, CMFixtureFunction teardown)
{
	const char *pattern = getenv("REPSTORE_CASE");
	if (pattern != NULL) {
		bool is_named = false;
		for (size_t i = 0; i < count; i++) {
			is_named = is_named || fnmatch(pattern, tests[i].name, 0) == 0;
		}
		if (!is_named) {
			(void)fprintf(stderr, "REPSTORE_CASE=%s: no case of that name\n", pattern);
			return EXIT_FAILURE;
		}
		cmocka_set_test_filter(pattern);
	}
	return __real__cmocka_run_group_tests(group, tests, count, setup, teardown);
}
