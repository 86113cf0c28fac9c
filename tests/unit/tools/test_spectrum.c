/* test_spectrum.c - singular values of matrices whose values are known. */
#include "tests/unit/alloc_fail.h"
#include "tools/statistics/spectrum.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_near(double value, double expected)
{
	if (fabs(value - expected) > 1e-6 * (1 + fabs(expected))) {
		fail_msg("%.17g instead of %.17g", value, expected);
	}
}

static struct spectrum spectrum_made(const float *data, size_t rows, size_t columns)
{
	const struct matrix matrix = {data, rows, columns, columns};
	struct spectrum spectrum = {0};
	assert_int_equal(spectrum_of(&matrix, &spectrum), STATUS_OK);
	assert_int_equal(spectrum.count, rows < columns ? rows : columns);
	return spectrum;
}

/* Columns of lengths 4, 3, 2, 1, at right angles, in `rows` rows: Hadamard's signs. */
static void values_are_the_lengths_of_orthogonal_columns(void **state)
{
	(void)state;
	enum { ROWS = 64, COLUMNS = 4 };
	float data[ROWS * COLUMNS];
	float turned[COLUMNS * ROWS];
	for (unsigned row = 0; row < ROWS; row++) {
		for (unsigned column = 0; column < COLUMNS; column++) {
			const float sign = __builtin_parity(row & (column + 1)) ? -1 : 1;
			const float element = sign * (float)(COLUMNS - column) / 8;
			data[row * COLUMNS + column] = element;
			turned[column * ROWS + row] = element;
		}
	}
	struct spectrum tall = spectrum_made(data, ROWS, COLUMNS);
	struct spectrum wide = spectrum_made(turned, COLUMNS, ROWS);
	for (size_t i = 0; i < COLUMNS; i++) {
		assert_near(tall.values[i], (double)(COLUMNS - i));
		assert_near(wide.values[i], (double)(COLUMNS - i));
	}
	assert_near(tall.information_abundance, 10.0 / 4);
	assert_near(wide.information_abundance, 10.0 / 4);
	/* 16 + 9 + 4 of 30 are 96.7 %. */
	assert_int_equal(tall.effective_rank, 4);
	spectrum_fini(&tall);
	spectrum_fini(&wide);
}

static void rows_on_a_line_have_one_value(void **state)
{
	(void)state;
	float data[100][7];
	for (unsigned row = 0; row < 100; row++) {
		for (unsigned column = 0; column < 7; column++) {
			data[row][column] = (float)row * ((float)column - 2);
		}
	}
	struct spectrum spectrum = spectrum_made(data[0], 100, 7);
	assert_near(spectrum.information_abundance, 1);
	assert_int_equal(spectrum.effective_rank, 1);
	spectrum_fini(&spectrum);
}

static void a_small_direction_is_not_counted(void **state)
{
	(void)state;
	/* 100 and 1 of 101, 1 of 101 is below 1 %; 10 and 1 of 11 is not. */
	const float little[] = {10, 0, 0, 1};
	const float much[] = {3, 0, 0, 1};
	struct spectrum spectrum = spectrum_made(little, 2, 2);
	assert_int_equal(spectrum.effective_rank, 1);
	assert_near(spectrum.information_abundance, 1.1);
	spectrum_fini(&spectrum);
	spectrum = spectrum_made(much, 2, 2);
	assert_int_equal(spectrum.effective_rank, 2);
	spectrum_fini(&spectrum);
}

static void zeros_have_no_abundance(void **state)
{
	(void)state;
	const float data[12] = {0};
	struct spectrum spectrum = spectrum_made(data, 4, 3);
	assert_true(spectrum.values[0] == 0);
	assert_true(spectrum.information_abundance == 0);
	assert_int_equal(spectrum.effective_rank, 0);
	spectrum_fini(&spectrum);
}

static void one_row_and_one_column_are_their_lengths(void **state)
{
	(void)state;
	const float data[] = {3, 4, 12};
	struct spectrum row = spectrum_made(data, 1, 3);
	struct spectrum column = spectrum_made(data, 3, 1);
	assert_near(row.values[0], 13);
	assert_near(column.values[0], 13);
	assert_near(row.information_abundance, 1);
	spectrum_fini(&row);
	spectrum_fini(&column);
}

/* The extremes of f32, whose squares f32 does not hold. */
static void elements_may_be_huge_or_tiny(void **state)
{
	(void)state;
	const float huge[] = {3e38F, 0, 0, 3e38F};
	const float tiny[] = {1e-44F, 0, 0, 1e-44F};
	struct spectrum spectrum = spectrum_made(huge, 2, 2);
	assert_near(spectrum.information_abundance, 2);
	assert_near(spectrum.values[0] / 3e38, 1);
	spectrum_fini(&spectrum);
	spectrum = spectrum_made(tiny, 2, 2);
	assert_near(spectrum.information_abundance, 2);
	assert_int_equal(spectrum.effective_rank, 2);
	spectrum_fini(&spectrum);
}

static void a_view_is_its_columns_alone(void **state)
{
	(void)state;
	const float data[] = {9, 1, 0, 9, 9, 0, 2, 9};
	const struct matrix whole = {data, 2, 4, 4};
	const struct matrix view = matrix_columns(&whole, 1, 2);
	struct spectrum spectrum = {0};
	assert_int_equal(spectrum_of(&view, &spectrum), STATUS_OK);
	assert_near(spectrum.values[0], 2);
	assert_near(spectrum.values[1], 1);
	spectrum_fini(&spectrum);
	spectrum_fini(&spectrum);
}

static bool attempt(void *arg)
{
	(void)arg;
	const float data[] = {1, 2, 3, 4, 5, 6};
	const struct matrix matrix = {data, 3, 2, 2};
	struct spectrum spectrum = {0};
	const enum status status = spectrum_of(&matrix, &spectrum);
	assert_true(status == STATUS_OK || status == STATUS_NO_MEMORY);
	spectrum_fini(&spectrum);
	return status == STATUS_OK;
}

static void refused_memory_is_told(void **state)
{
	(void)state;
	assert_int_equal(alloc_fail_each(attempt, NULL), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_the_lengths_of_orthogonal_columns),
		cmocka_unit_test(rows_on_a_line_have_one_value),
		cmocka_unit_test(a_small_direction_is_not_counted),
		cmocka_unit_test(zeros_have_no_abundance),
		cmocka_unit_test(one_row_and_one_column_are_their_lengths),
		cmocka_unit_test(elements_may_be_huge_or_tiny),
		cmocka_unit_test(a_view_is_its_columns_alone),
		cmocka_unit_test(refused_memory_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
