/* test_distribution.c - nearest ranks at every count, and a sample of what is too many. */
#include "tests/unit/alloc_fail.h"
#include "tools/statistics/distribution.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void fill(struct distribution *distribution, uint64_t capacity, unsigned count)
{
	distribution_init(distribution, capacity, 3);
	/* 1..count in another order: 7919 is a prime above every count here. */
	for (unsigned i = 1; i < 7919; i++) {
		const unsigned value = i * 3571 % 7919;
		if (value <= count) {
			assert_int_equal(distribution_add(distribution, value), STATUS_OK);
		}
	}
}

/* The smallest of 1..count that at least `percent` of 100 do not exceed. */
static unsigned rank_of(unsigned count, unsigned percent)
{
	unsigned rank = 1;
	while (rank * 100 < count * percent) {
		rank++;
	}
	return rank;
}

static void percentiles_are_nearest_ranks(void **state)
{
	(void)state;
	for (unsigned count = 1; count <= 305; count++) {
		struct distribution distribution;
		struct distribution_summary summary;
		fill(&distribution, 1000, count);
		assert_true(distribution_summarize(&distribution, &summary));
		assert_true(summary.min == 1);
		assert_true(summary.max == count);
		assert_true(summary.mean == (count + 1) / 2.0);
		assert_true(summary.p1 == rank_of(count, 1));
		assert_true(summary.p50 == rank_of(count, 50));
		assert_true(summary.p99 == rank_of(count, 99));
		distribution_fini(&distribution);
	}
}

static void of_too_many_values_percentiles_are_sampled(void **state)
{
	(void)state;
	struct distribution distribution;
	struct distribution_summary summary;
	fill(&distribution, 1000, 7000);
	assert_int_equal(distribution.values.count, 1000);
	assert_true(distribution_summarize(&distribution, &summary));
	assert_true(summary.min == 1);
	assert_true(summary.max == 7000);
	assert_true(summary.mean == 3500.5);
	/* Five standard deviations of the rank are 8 %. */
	assert_true(summary.p50 > 3500 - 560 && summary.p50 < 3500 + 560);
	distribution_fini(&distribution);
}

static void of_no_values_there_is_nothing(void **state)
{
	(void)state;
	struct distribution distribution;
	struct distribution_summary summary;
	distribution_init(&distribution, 10, 0);
	assert_false(distribution_summarize(&distribution, &summary));
	distribution_fini(&distribution);
}

static void negative_values_are_values(void **state)
{
	(void)state;
	struct distribution distribution;
	struct distribution_summary summary;
	distribution_init(&distribution, 10, 0);
	for (int value = -3; value < 0; value++) {
		assert_int_equal(distribution_add(&distribution, value), STATUS_OK);
	}
	assert_true(distribution_summarize(&distribution, &summary));
	assert_true(summary.min == -3 && summary.p50 == -2 && summary.max == -1);
	assert_true(summary.mean == -2);
	distribution_fini(&distribution);
}

static bool attempt(void *arg)
{
	(void)arg;
	struct distribution distribution;
	distribution_init(&distribution, 1000, 0);
	enum status status = STATUS_OK;
	for (unsigned i = 0; i < 1500 && status == STATUS_OK; i++) {
		status = distribution_add(&distribution, i);
	}
	distribution_fini(&distribution);
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
		cmocka_unit_test(percentiles_are_nearest_ranks),
		cmocka_unit_test(of_too_many_values_percentiles_are_sampled),
		cmocka_unit_test(of_no_values_there_is_nothing),
		cmocka_unit_test(negative_values_are_values),
		cmocka_unit_test(refused_memory_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
