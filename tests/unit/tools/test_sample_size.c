/* test_sample_size.c - the sample fits memory and time at every shape that a table may have. */
#include "schema/limits.h"
#include "tools/statistics/sample_size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void usual_tables_get_the_whole_sample(void **state)
{
	(void)state;
	static const uint32_t shapes[][2] = {{1, 1}, {64, 1}, {64, 4}, {360, 1}, {768, 1},
		{1024, 1}, {64, 16}, {1, 1024}};
	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
		assert_int_equal(sample_rows_default(shapes[i][0], shapes[i][1]),
			SAMPLE_ROWS_DEFAULT);
		assert_true(sample_affords_pairs(SAMPLE_ROWS_DEFAULT, shapes[i][0], shapes[i][1]));
	}
}

static void memory_bounds_every_sample(void **state)
{
	(void)state;
	for (uint32_t dim = 1; dim <= LIMIT_DIM; dim *= 2) {
		for (uint32_t views = 1; views <= LIMIT_VIEWS; views *= 2) {
			const uint64_t most = sample_rows_max(dim, views);
			const uint64_t given = sample_rows_default(dim, views);
			const uint64_t bytes = sample_row_bytes(dim, views);
			assert_in_range(given, 1, most);
			assert_true(most * bytes <= SAMPLE_BYTES_MAX);
			assert_true((most + 1) * bytes > SAMPLE_BYTES_MAX);
		}
	}
}

static void wide_rows_get_a_smaller_sample(void **state)
{
	(void)state;
	const uint64_t wide = sample_rows_default(4096, 1);
	const uint64_t views = sample_rows_default(4096, 4);
	assert_in_range(wide, SAMPLE_ROWS_FEW, SAMPLE_ROWS_DEFAULT - 1);
	assert_in_range(views, SAMPLE_ROWS_FEW, wide - 1);
	assert_true(sample_affords_pairs(views, 4096, 4));
	assert_false(sample_affords_pairs(SAMPLE_ROWS_DEFAULT, 4096, 4));
	assert_false(sample_affords_pairs(8, 8192, 1024));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usual_tables_get_the_whole_sample),
		cmocka_unit_test(memory_bounds_every_sample),
		cmocka_unit_test(wide_rows_get_a_smaller_sample),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
