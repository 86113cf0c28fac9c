/* test_histogram.c - percentiles out of buckets. */
#include "tools/bench/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a;
	uint64_t right = *(const uint64_t *)b;
	return (left > right) - (left < right);
}

static void percentiles_are_near_those_of_a_sort(void **state)
{
	(void)state;
	enum { COUNT = 20000 };
	const double shares[] = {0, 0.5, 0.9, 0.99, 0.999};
	uint64_t *values = malloc(COUNT * sizeof *values);
	struct histogram *halves = calloc(2, sizeof *halves);
	uint64_t random = 1;
	for (size_t i = 0; i < COUNT; i++) {
		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		values[i] = random >> 20 >> (random >> 59);
		histogram_add(&halves[i % 2], values[i]);
	}
	histogram_add(&halves[1], UINT64_MAX);
	histogram_merge(&halves[0], &halves[1]);
	assert_int_equal(halves[0].count, COUNT + 1);
	assert_true(halves[0].max == UINT64_MAX);
	qsort(values, COUNT, sizeof *values, compare);
	for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
		uint64_t exact = values[(size_t)(shares[i] * (COUNT + 1))];
		uint64_t near = histogram_at(&halves[0], shares[i]);
		assert_true(near >= exact);
		assert_true(near - exact <= exact / 64);
	}
	assert_true(histogram_at(&halves[0], 1) == UINT64_MAX);
	memset(halves, 0, sizeof *halves);
	assert_int_equal(histogram_at(halves, 0.5), 0);
	free(halves);
	free(values);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(percentiles_are_near_those_of_a_sort),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
