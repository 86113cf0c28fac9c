/* test_alarm.c - a flag is raised at its time, and not when the alarm is called off before. */
#include "daemon/store/system/alarm.h"
#include "daemon/store/system/clock.h"
#include "tests/unit/wait.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static uint64_t now_ms(void)
{
	return (uint64_t)clock_monotonic_ms();
}

static void it_raises_the_flag_at_its_time(void **state)
{
	(void)state;
	struct alarm alarm;
	atomic_bool flag = false;
	const uint64_t at_ms = now_ms() + 20;
	assert_int_equal(alarm_begin(&alarm, &flag, at_ms, NULL), STATUS_OK);
	struct wait wait = {0};
	while (!atomic_load(&flag)) {
		wait_a_moment(&wait);
	}
	assert_true(now_ms() >= at_ms);
	alarm_end(&alarm);
	assert_true(atomic_load(&flag));
}

static void it_does_not_when_it_is_called_off(void **state)
{
	(void)state;
	struct alarm alarm;
	atomic_bool flag = false;
	assert_int_equal(alarm_begin(&alarm, &flag, now_ms() + 3600000, NULL), STATUS_OK);
	alarm_end(&alarm); /* would take an hour if it were not heard */
	assert_false(atomic_load(&flag));
	assert_int_equal(alarm_begin(&alarm, &flag, CONDITION_NEVER, NULL), STATUS_OK);
	alarm_end(&alarm);
	assert_false(atomic_load(&flag));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_raises_the_flag_at_its_time),
		cmocka_unit_test(it_does_not_when_it_is_called_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
