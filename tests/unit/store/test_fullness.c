/* test_fullness.c - where merges begin and hurry. */
#include "daemon/store/write/fullness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* With what comes while a merge runs seven tenths are used when it ends; but a merge begins neither before a quarter
 * nor after a half. */
static void a_merge_leaves_room_for_what_comes_meanwhile(void **state)
{
	(void)state;
	assert_int_equal(fullness_begin_after(0), 500);
	assert_int_equal(fullness_begin_after(200), 500);
	for (unsigned left = 200; left <= 450; left++) {
		assert_int_equal(fullness_begin_after(left) + left, 700);
	}
	assert_int_equal(fullness_begin_after(451), 250);
	assert_int_equal(fullness_begin_after(700), 250);
	assert_int_equal(fullness_begin_after(5000), 250);
}

static void it_hurries_before_writers_wait(void **state)
{
	(void)state;
	assert_int_equal(fullness_hurry_of(FULLNESS_BEGIN_MIN), 500);
	for (unsigned begin = FULLNESS_BEGIN_MIN; begin <= FULLNESS_BEGIN_MAX; begin++) {
		assert_true(fullness_hurry_of(begin) > begin);
		assert_true(fullness_hurry_of(begin) < FULLNESS_END);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_merge_leaves_room_for_what_comes_meanwhile),
		cmocka_unit_test(it_hurries_before_writers_wait),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
