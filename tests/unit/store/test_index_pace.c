/* test_index_pace.c - what searches by an index are expected to take. */
#include "daemon/store/index/index_pace.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void nothing_is_expected_at_first(void **state)
{
	(void)state;
	const struct index_pace pace = {0};
	assert_int_equal(index_pace_expect(&pace, BALLS_COSINE, 10000, 1), 0);
}

static void the_first_is_taken_as_it_is_and_later_ones_by_parts(void **state)
{
	(void)state;
	struct index_pace pace = {0};
	index_pace_learn(&pace, BALLS_L2, 100, 1, 8000);
	assert_int_equal(index_pace_expect(&pace, BALLS_L2, 100, 1), 8000);
	index_pace_learn(&pace, BALLS_L2, 100, 1, 16000);
	assert_int_equal(index_pace_expect(&pace, BALLS_L2, 100, 1), 9000);
	index_pace_learn(&pace, BALLS_L2, 100, 1, 1000);
	assert_int_equal(index_pace_expect(&pace, BALLS_L2, 100, 1), 8000);
}

static void it_follows_what_changes(void **state)
{
	(void)state;
	struct index_pace pace = {0};
	index_pace_learn(&pace, BALLS_INNER_PRODUCT, 10, 0.5f, 1000000000);
	for (int i = 0; i < 200; i++) {
		index_pace_learn(&pace, BALLS_INNER_PRODUCT, 10, 0.5f, 50000);
	}
	assert_in_range(index_pace_expect(&pace, BALLS_INNER_PRODUCT, 10, 0.5f), 50000, 51000);
	index_pace_learn(&pace, BALLS_INNER_PRODUCT, 10, 0.5f, UINT64_MAX);
	assert_in_range(index_pace_expect(&pace, BALLS_INNER_PRODUCT, 10, 0.5f), 500000000,
		UINT32_MAX);
}

static void kinds_are_apart(void **state)
{
	(void)state;
	struct index_pace pace = {0};
	index_pace_learn(&pace, BALLS_L2, 100, 0.3f, 7);
	assert_int_equal(index_pace_expect(&pace, BALLS_L2, 11, 0.26f), 7);
	assert_int_equal(index_pace_expect(&pace, BALLS_COSINE, 100, 0.3f), 0);
	assert_int_equal(index_pace_expect(&pace, BALLS_L2, 101, 0.3f), 0);
	assert_int_equal(index_pace_expect(&pace, BALLS_L2, 10, 0.3f), 0);
	assert_int_equal(index_pace_expect(&pace, BALLS_L2, 100, 0.2f), 0);
	assert_int_equal(index_pace_expect(&pace, BALLS_L2, 100, 1), 0);
}

static void rows_that_may_not_be_found_are_expected_as_they_came(void **state)
{
	(void)state;
	struct index_pace pace = {0};
	assert_int_equal(index_pace_hits(&pace, 100), 100);
	for (int i = 0; i < 200; i++) {
		index_pace_learn_hits(&pace, 100, 105);
	}
	/* The average, and as much as it may be off. */
	assert_in_range(index_pace_hits(&pace, 100), 106, 110);
	assert_in_range(index_pace_hits(&pace, 1000), 1051, 1065);
	index_pace_learn_hits(&pace, 10, UINT64_MAX);
	assert_in_range(index_pace_hits(&pace, 100), 120, 130);
	for (int i = 0; i < 200; i++) {
		index_pace_learn_hits(&pace, 1000, 1000);
	}
	assert_int_equal(index_pace_hits(&pace, 10), 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_expected_at_first),
		cmocka_unit_test(the_first_is_taken_as_it_is_and_later_ones_by_parts),
		cmocka_unit_test(it_follows_what_changes),
		cmocka_unit_test(kinds_are_apart),
		cmocka_unit_test(rows_that_may_not_be_found_are_expected_as_they_came),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
