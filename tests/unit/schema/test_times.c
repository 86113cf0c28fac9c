/* test_times.c - times up to an hour ahead are taken, and the first that is not is named. */
#include "schema/times.h"

#include "schema/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS INT64_C(1795860003000)

/* Checks 0, 1 and `third`, from an odd address. */
static enum status check(int64_t third, enum times_rule rule, struct error *err)
{
	const int64_t times[3] = {0, 1, third};
	uint8_t bytes[1 + sizeof times];
	memcpy(bytes + 1, times, sizeof times);
	return times_check(bytes + 1, 3, rule, NOW_MS, "row", err);
}

static void times_have_a_first_and_a_last(void **state)
{
	(void)state;
	static const struct {
		int64_t time_ms;
		bool of_now;
		bool any;
	} cases[] = {
		{0, true, true},
		{NOW_MS, true, true},
		{NOW_MS + LIMIT_TIME_AHEAD_MS, true, true},
		{NOW_MS + LIMIT_TIME_AHEAD_MS + 1, false, true},
		{LIMIT_TIME_MS, false, true},
		{LIMIT_TIME_MS + 1, false, false},
		{NOW_MS * 1000, false, false}, /* microseconds */
		{-1, false, false},
		{INT64_MIN, false, false},
		{INT64_MAX, false, false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(check(cases[i].time_ms, TIMES_OF_NOW, NULL),
			cases[i].of_now ? STATUS_OK : STATUS_BAD_REQUEST);
		assert_int_equal(check(cases[i].time_ms, TIMES_ANY, NULL),
			cases[i].any ? STATUS_OK : STATUS_BAD_REQUEST);
	}
}

static void the_first_wrong_time_is_named(void **state)
{
	(void)state;
	struct error err;
	assert_int_equal(check(INT64_C(16725225600000), TIMES_OF_NOW, &err), STATUS_BAD_REQUEST);
	assert_string_equal(err.text,
		"times: row 2 has 16725225600000, 0..1795863603000 allowed (Unix milliseconds, up "
		"to an hour ahead of the clock; any_time takes later ones)");
	assert_int_equal(check(-5, TIMES_ANY, &err), STATUS_BAD_REQUEST);
	assert_string_equal(err.text,
		"times: row 2 has -5, 0..16725225600000 allowed (Unix milliseconds)");
	assert_int_equal(times_check(NULL, 0, TIMES_OF_NOW, NOW_MS, "row", &err), STATUS_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_have_a_first_and_a_last),
		cmocka_unit_test(the_first_wrong_time_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
