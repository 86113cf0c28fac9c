/* test_spin.c - a loop looks while requests come close together, and leaves it else. */
#include "schema/spin.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { SPIN_US = 50, SPIN_NS = 50 * 1000 };

static void it_looks_until_that_was_in_vain_some_times(void **state)
{
	(void)state;
	struct spin spin = {.most_ns = SPIN_NS};
	for (unsigned i = 0; i < 2 * SPIN_VAIN_MAX; i++) {
		assert_true(spin_wanted(&spin));
		spin_note_look(&spin, i % 2 == 0); /* never so often in a row */
	}
	for (unsigned i = 0; i < SPIN_VAIN_MAX; i++) {
		assert_true(spin_wanted(&spin));
		spin_note_look(&spin, true);
	}
	assert_false(spin_wanted(&spin));
}

static void a_short_sleep_makes_it_look_again(void **state)
{
	(void)state;
	struct spin spin = {.most_ns = SPIN_NS, .vain = SPIN_VAIN_MAX};
	spin_note_sleep(&spin, SPIN_NS);
	assert_false(spin_wanted(&spin));
	spin_note_sleep(&spin, SPIN_NS - 1);
	assert_true(spin_wanted(&spin));
}

static void it_never_looks_unless_it_is_told(void **state)
{
	(void)state;
	struct spin spin = {0};
	assert_false(spin_wanted(&spin));
	spin_note_sleep(&spin, 0);
	assert_false(spin_wanted(&spin));
	spin_init(&spin, 0);
	assert_false(spin_wanted(&spin));
}

static void it_never_looks_on_one_processor(void **state)
{
	(void)state;
	cpu_set_t before;
	cpu_set_t one;
	struct spin spin;
	assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
	spin_init(&spin, SPIN_US);
	assert_int_equal(spin_wanted(&spin), CPU_COUNT(&before) > 1);
	CPU_ZERO(&one);
	for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++) {
		if (CPU_ISSET(i, &before)) {
			CPU_SET(i, &one);
		}
	}
	assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
	spin_init(&spin, SPIN_US);
	assert_false(spin_wanted(&spin));
	assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_looks_until_that_was_in_vain_some_times),
		cmocka_unit_test(a_short_sleep_makes_it_look_again),
		cmocka_unit_test(it_never_looks_unless_it_is_told),
		cmocka_unit_test(it_never_looks_on_one_processor),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
