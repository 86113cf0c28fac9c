/* test_sample_statistics.c - samples of every shape: none, one row, one view, several. */
#include "tests/unit/alloc_fail.h"
#include "tools/statistics/sample_statistics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Three views of two columns; the third repeats the first, and its last column is constant. */
static const float rows_of_views[] = {
	1,
	2,
	0,
	1,
	1,
	5, /**/
	3,
	1,
	1,
	0,
	3,
	5, /**/
	0,
	4,
	0,
	0,
	0,
	5, /**/
	2,
	2,
	1,
	1,
	2,
	5,
};

static void no_rows_say_nothing(void **state)
{
	(void)state;
	const struct matrix none = {NULL, 0, 6, 6};
	struct sample_statistics sample = {0};
	assert_int_equal(sample_statistics_of(&none, 3, SAMPLE_WHOLE, &sample), STATUS_OK);
	assert_int_equal(sample.rows, 0);
	assert_int_equal(sample.spectrum.count, 0);
	assert_null(sample.constant);
	assert_null(sample.each_view);
	assert_null(sample.pairs);
	sample_statistics_fini(&sample);
}

static void of_one_row_nothing_is_constant(void **state)
{
	(void)state;
	const struct matrix one = {rows_of_views, 1, 6, 6};
	struct sample_statistics sample = {0};
	assert_int_equal(sample_statistics_of(&one, 3, SAMPLE_WHOLE, &sample), STATUS_OK);
	assert_null(sample.constant);
	assert_int_equal(sample.constant_count, 0);
	assert_null(sample.pairs);
	assert_int_equal(sample.spectrum.count, 1);
	assert_true(sample.each_view[0].information_abundance == 1);
	assert_true(fabs(sample.mean_abs_mean - 10.0 / 6) < 1e-12);
	sample_statistics_fini(&sample);
}

static void views_are_looked_at_one_by_one(void **state)
{
	(void)state;
	const struct matrix rows = {rows_of_views, 4, 6, 6};
	struct sample_statistics sample = {0};
	assert_int_equal(sample_statistics_of(&rows, 3, SAMPLE_WHOLE, &sample), STATUS_OK);
	assert_int_equal(sample.rows, 4);
	assert_int_equal(sample.width, 6);
	assert_int_equal(sample.constant_count, 1);
	assert_true(sample.constant[5]);
	assert_int_equal(sample.spectrum.count, 4);
	/* Means: 1.5, 2.25, 0.5, 0.5, 1.5, 5. */
	assert_true(fabs(sample.mean_abs_mean - 11.25 / 6) < 1e-12);
	assert_int_equal(sample.pair_count, 3);
	static const uint32_t firsts[] = {0, 0, 1};
	static const uint32_t seconds[] = {1, 2, 2};
	double sum = 0;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(sample.pairs[i].first, firsts[i]);
		assert_int_equal(sample.pairs[i].second, seconds[i]);
		sum += sample.pairs[i].mean_abs_covariance;
	}
	/* Of columns 0 and 4: 5 / 3; of 1 and 4: -4.5 / 3; of both and 5: 0. */
	assert_true(fabs(sample.pairs[1].mean_abs_covariance - 9.5 / 3 / 4) < 1e-12);
	assert_true(fabs(sample.pairs_mean - sum / 3) < 1e-12);
	sample_statistics_fini(&sample);
	sample_statistics_fini(&sample);
}

static void one_view_has_no_pairs(void **state)
{
	(void)state;
	const struct matrix rows = {rows_of_views, 4, 6, 6};
	struct sample_statistics sample = {0};
	assert_int_equal(sample_statistics_of(&rows, 1, SAMPLE_WHOLE, &sample), STATUS_OK);
	assert_null(sample.each_view);
	assert_null(sample.pairs);
	sample_statistics_fini(&sample);
}

static void pairs_can_be_left_out(void **state)
{
	(void)state;
	const struct matrix rows = {rows_of_views, 4, 6, 6};
	struct sample_statistics sample = {0};
	assert_int_equal(sample_statistics_of(&rows, 3, SAMPLE_WITHOUT_PAIRS, &sample), STATUS_OK);
	assert_non_null(sample.each_view);
	assert_null(sample.pairs);
	sample_statistics_fini(&sample);
}

static void zeros_are_constant(void **state)
{
	(void)state;
	const float zeros[12] = {0};
	const struct matrix rows = {zeros, 3, 4, 4};
	struct sample_statistics sample = {0};
	assert_int_equal(sample_statistics_of(&rows, 2, SAMPLE_WHOLE, &sample), STATUS_OK);
	assert_int_equal(sample.constant_count, 4);
	assert_true(sample.spectrum.information_abundance == 0);
	assert_true(sample.pairs_mean == 0);
	sample_statistics_fini(&sample);
}

static bool attempt(void *arg)
{
	(void)arg;
	const struct matrix rows = {rows_of_views, 4, 6, 6};
	struct sample_statistics sample = {0};
	const enum status status = sample_statistics_of(&rows, 3, SAMPLE_WHOLE, &sample);
	assert_true(status == STATUS_OK || status == STATUS_NO_MEMORY);
	sample_statistics_fini(&sample);
	return status == STATUS_OK;
}

static void refused_memory_is_told(void **state)
{
	(void)state;
	alloc_fail_each(attempt, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_rows_say_nothing),
		cmocka_unit_test(of_one_row_nothing_is_constant),
		cmocka_unit_test(views_are_looked_at_one_by_one),
		cmocka_unit_test(one_view_has_no_pairs),
		cmocka_unit_test(pairs_can_be_left_out),
		cmocka_unit_test(zeros_are_constant),
		cmocka_unit_test(refused_memory_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
