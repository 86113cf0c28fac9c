/* test_row_time.c - times of any unit, and times that look like another one. */
#include "tools/format/row_time.h"

#include "schema/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const int64_t now_ms = INT64_C(1795896000123);
static const int64_t first_ms = INT64_C(631152000000); /* 1990 */
static const int64_t hour_ms = 3600000;

static void names_are_those_of_units(void **state)
{
	(void)state;
	enum row_time_unit unit = ROW_TIME_MS;
	assert_true(row_time_unit("ns", &unit));
	assert_int_equal(unit, ROW_TIME_NS);
	assert_true(row_time_unit("s", &unit));
	assert_int_equal(unit, ROW_TIME_S);
	assert_false(row_time_unit("sec", &unit));
	assert_false(row_time_unit("", &unit));
	assert_int_equal(unit, ROW_TIME_S);
}

static void times_of_every_unit_become_milliseconds(void **state)
{
	(void)state;
	const int64_t given[] = {now_ms, now_ms / 1000, now_ms * 1000 + 999,
		now_ms * 1000000 + 999999};
	const int64_t expected[] = {now_ms, now_ms / 1000 * 1000, now_ms, now_ms};
	for (int unit = ROW_TIME_MS; unit <= ROW_TIME_NS; unit++) {
		const struct row_time_rule rule = {.unit = (enum row_time_unit)unit,
			.now_ms = now_ms};
		int64_t times[2] = {given[unit], given[unit]};
		assert_int_equal(row_times_take(&rule, times, 2, "x", 0, NULL), STATUS_OK);
		assert_true(times[0] == expected[unit] && times[1] == expected[unit]);
	}
}

static void times_that_may_not_be_meant_are_refused_with_the_unit(void **state)
{
	(void)state;
	static const struct {
		enum row_time_unit unit;
		int64_t time;
		const char *says;
	} rows[] = {
		{ROW_TIME_MS, 1795896000,
			"in seconds it is 2026-11-28 20:00:00.000Z: --time-unit s"},
		{ROW_TIME_MS, 1795896000123000, "--time-unit us"},
		{ROW_TIME_MS, 1795896000123000000, "--time-unit ns"},
		{ROW_TIME_S, 1795896000123, "--time-unit ms"},
		{ROW_TIME_MS, 0, "1970-01-01 00:00:00.000Z; --any-time"},
		{ROW_TIME_MS, 631151999999, "--any-time"},
		{ROW_TIME_MS, 1795899600124, "--any-time"},
		{ROW_TIME_MS, -1, "x: the time of row 7 is -1, not Unix milliseconds"},
		{ROW_TIME_S, INT64_MAX, "not Unix seconds"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct row_time_rule rule = {.unit = rows[i].unit, .now_ms = now_ms};
		int64_t times[2] = {now_ms, rows[i].time};
		struct error err = {0};
		times[0] /= rows[i].unit == ROW_TIME_S ? 1000 : 1;
		assert_int_equal(row_times_take(&rule, times, 2, "x", 6, &err), STATUS_BAD_REQUEST);
		if (strstr(err.text, rows[i].says) == NULL ||
			strstr(err.text, "x: the time of row 7 is") == NULL) {
			fail_msg("%s", err.text);
		}
	}
}

static void the_bounds_are_taken_and_any_time_takes_more(void **state)
{
	(void)state;
	struct row_time_rule rule = {.now_ms = now_ms};
	int64_t times[2] = {first_ms, now_ms + hour_ms};
	assert_int_equal(row_times_take(&rule, times, 2, "x", 0, NULL), STATUS_OK);
	rule.any = true;
	times[0] = 0;
	times[1] = LIMIT_TIME_MS;
	assert_int_equal(row_times_take(&rule, times, 2, "x", 0, NULL), STATUS_OK);
	times[1]++;
	assert_int_equal(row_times_take(&rule, times, 2, "x", 0, NULL), STATUS_BAD_REQUEST);
	times[1] = -1;
	assert_int_equal(row_times_take(&rule, times, 2, "x", 0, NULL), STATUS_BAD_REQUEST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_those_of_units),
		cmocka_unit_test(times_of_every_unit_become_milliseconds),
		cmocka_unit_test(times_that_may_not_be_meant_are_refused_with_the_unit),
		cmocka_unit_test(the_bounds_are_taken_and_any_time_takes_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
