/* fixture.h - runs tests that all have the same setup and teardown. */
#ifndef TESTS_UNIT_FIXTURE_H
#define TESTS_UNIT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* As cmocka_run_group_tests, each test within a fixture of its own. */
static inline int fixture_run(struct CMUnitTest *tests, size_t count, CMFixtureFunction setup,
	CMFixtureFunction teardown)
{
	for (size_t i = 0; i < count; i++) {
		tests[i].setup_func = setup;
		tests[i].teardown_func = teardown;
	}
	return _cmocka_run_group_tests("tests", tests, count, NULL, NULL);
}

#endif
