/* test_covariance.c - covariances of two views against their definition, at widths around a
 * tile. */
#include "tests/unit/alloc_fail.h"
#include "tools/statistics/covariance.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { ROWS = 9, WIDTH = 300 };

static void assert_near(double value, double expected)
{
	if (fabs(value - expected) > 1e-12 * (1 + fabs(expected))) {
		fail_msg("%.17g instead of %.17g", value, expected);
	}
}

static void fill(float *data, size_t count)
{
	uint32_t state = 1;
	for (size_t i = 0; i < count; i++) {
		state = state * 1664525 + 1013904223;
		data[i] = (float)(state >> 8) / (1 << 22) + 5;
	}
}

static double mean_of(const struct matrix *matrix, size_t column)
{
	double sum = 0;
	for (size_t row = 0; row < matrix->rows; row++) {
		sum += matrix->data[row * matrix->stride + column];
	}
	return sum / (double)matrix->rows;
}

/* As the header says it, one element after the other. */
static double reference(const struct matrix *a, const struct matrix *b)
{
	double sum = 0;
	for (size_t i = 0; i < a->columns; i++) {
		const double mean_a = mean_of(a, i);
		for (size_t j = 0; j < b->columns; j++) {
			const double mean_b = mean_of(b, j);
			double covariance = 0;
			for (size_t row = 0; row < a->rows; row++) {
				covariance += (a->data[row * a->stride + i] - mean_a) *
					      (b->data[row * b->stride + j] - mean_b);
			}
			sum += fabs(covariance / (double)(a->rows - 1));
		}
	}
	return sum / (double)(a->columns * b->columns);
}

static void it_is_what_it_is_defined_to_be(void **state)
{
	(void)state;
	static const size_t widths[] = {1, 2, 63, 64, 65, 129};
	float data[ROWS * WIDTH];
	fill(data, sizeof data / sizeof data[0]);
	const struct matrix whole = {data, ROWS, WIDTH, WIDTH};
	for (size_t i = 0; i < 6; i++) {
		for (size_t j = 0; j < 6; j++) {
			const struct matrix a = matrix_columns(&whole, 0, widths[i]);
			const struct matrix b = matrix_columns(&whole, widths[i], widths[j]);
			double value = 0;
			assert_int_equal(covariance_mean_abs(&a, &b, &value), STATUS_OK);
			assert_near(value, reference(&a, &b));
		}
	}
}

static void two_rows_are_enough(void **state)
{
	(void)state;
	const float data[] = {1, 10, 3, 4};
	const struct matrix whole = {data, 2, 2, 2};
	const struct matrix a = matrix_columns(&whole, 0, 1);
	const struct matrix b = matrix_columns(&whole, 1, 1);
	double value = 0;
	assert_int_equal(covariance_mean_abs(&a, &b, &value), STATUS_OK);
	/* (-1 x 3 + 1 x -3) / 1 */
	assert_near(value, 6);
}

static void a_constant_view_repeats_nothing(void **state)
{
	(void)state;
	float data[ROWS * 2];
	for (size_t row = 0; row < ROWS; row++) {
		data[2 * row] = (float)row;
		data[2 * row + 1] = 7;
	}
	const struct matrix whole = {data, ROWS, 2, 2};
	const struct matrix a = matrix_columns(&whole, 0, 1);
	const struct matrix b = matrix_columns(&whole, 1, 1);
	double value = 1;
	assert_int_equal(covariance_mean_abs(&a, &b, &value), STATUS_OK);
	assert_true(value == 0);
}

static bool attempt(void *arg)
{
	(void)arg;
	const float data[] = {1, 10, 3, 4};
	const struct matrix whole = {data, 2, 2, 2};
	double value = -1;
	const enum status status = covariance_mean_abs(&whole, &whole, &value);
	assert_true(status == STATUS_OK || (status == STATUS_NO_MEMORY && value == -1));
	return status == STATUS_OK;
}

static void refused_memory_is_told(void **state)
{
	(void)state;
	assert_int_equal(alloc_fail_each(attempt, NULL), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_what_it_is_defined_to_be),
		cmocka_unit_test(two_rows_are_enough),
		cmocka_unit_test(a_constant_view_repeats_nothing),
		cmocka_unit_test(refused_memory_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
