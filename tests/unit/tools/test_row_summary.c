/* test_row_summary.c - what single rows are: zero, not finite, tiny, huge, of the future. */
#include "tests/unit/alloc_fail.h"
#include "tools/statistics/row_summary.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { WIDTH = 5, NOW_MS = 1000 };

static void add(struct row_summary *summary, const float *row, int64_t time_ms, bool expected)
{
	bool finite = !expected;
	assert_int_equal(row_summary_add(summary, row, WIDTH, time_ms, &finite), STATUS_OK);
	assert_int_equal(finite, expected);
}

/* At every place of a row, so of every lane. */
static void one_element_makes_a_row_what_it_is(void **state)
{
	(void)state;
	for (size_t place = 0; place < WIDTH; place++) {
		struct row_summary summary;
		row_summary_init(&summary, NOW_MS, 100, 0);
		static const float elements[] = {0, -0.0F, FLT_TRUE_MIN, FLT_MAX, NAN, INFINITY,
			-INFINITY};
		for (size_t i = 0; i < sizeof elements / sizeof elements[0]; i++) {
			float row[WIDTH] = {0};
			row[place] = elements[i];
			add(&summary, row, 0, isfinite(elements[i]) != 0);
		}
		assert_int_equal(summary.rows, 7);
		assert_int_equal(summary.zero, 2);
		assert_int_equal(summary.nonfinite, 3);
		struct distribution_summary norms;
		assert_true(distribution_summarize(&summary.norms, &norms));
		assert_int_equal(summary.norms.values.count, 4);
		assert_true(norms.min == 0);
		assert_true(norms.max == FLT_MAX);
		row_summary_fini(&summary);
	}
}

static void norms_are_euclidean(void **state)
{
	(void)state;
	struct row_summary summary;
	const float row[WIDTH] = {1, -2, 3, -4, 5};
	row_summary_init(&summary, NOW_MS, 100, 0);
	for (size_t width = 1; width <= WIDTH; width++) {
		bool finite = false;
		row_summary_add(&summary, row, width, 0, &finite);
	}
	static const double squares[] = {1, 5, 14, 30, 55};
	const double *norms = summary.norms.values.items;
	for (size_t i = 0; i < WIDTH; i++) {
		assert_true(norms[i] == sqrt(squares[i]));
	}
	row_summary_fini(&summary);
}

static void ages_are_of_all_rows(void **state)
{
	(void)state;
	struct row_summary summary;
	struct distribution_summary ages;
	const float good[WIDTH] = {1};
	const float bad[WIDTH] = {NAN};
	row_summary_init(&summary, NOW_MS, 100, 0);
	add(&summary, good, NOW_MS, true);
	add(&summary, bad, NOW_MS + 1, false);
	add(&summary, good, 0, true);
	assert_int_equal(summary.future, 1);
	assert_true(row_summary_ages(&summary, &ages));
	assert_true(ages.min == -1 && ages.p50 == 0 && ages.max == NOW_MS);
	assert_true(ages.mean == (NOW_MS - 1) / 3.0);
	/* Time has passed: what was of the future when it was seen remains so, all are older. */
	summary.now_ms += 10;
	add(&summary, good, NOW_MS + 1, true);
	assert_int_equal(summary.future, 1);
	assert_true(row_summary_ages(&summary, &ages));
	assert_true(ages.min == 9 && ages.p50 == 9 && ages.max == NOW_MS + 10);
	/* Times that nobody has do not overflow. */
	add(&summary, good, INT64_MIN, true);
	add(&summary, good, INT64_MAX, true);
	assert_int_equal(summary.future, 2);
	row_summary_fini(&summary);
}

static bool attempt(void *arg)
{
	(void)arg;
	struct row_summary summary;
	const float row[WIDTH] = {1};
	bool finite;
	row_summary_init(&summary, NOW_MS, 1000, 0);
	enum status status = STATUS_OK;
	for (unsigned i = 0; i < 600 && status == STATUS_OK; i++) {
		status = row_summary_add(&summary, row, WIDTH, 0, &finite);
	}
	row_summary_fini(&summary);
	return status == STATUS_OK;
}

static void refused_memory_is_told(void **state)
{
	(void)state;
	assert_int_equal(alloc_fail_each(attempt, NULL), 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_element_makes_a_row_what_it_is),
		cmocka_unit_test(norms_are_euclidean),
		cmocka_unit_test(ages_are_of_all_rows),
		cmocka_unit_test(refused_memory_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
