/* test_top_view.c - what repstore top makes of the counts of two moments. */
#include "tools/command/top_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_near(double found, double expected)
{
	if (found < expected - 1e-6 || found > expected + 1e-6) {
		fail_msg("%.9g found, %.9g expected", found, expected);
	}
}

static void quantiles_lie_within_their_buckets(void **state)
{
	(void)state;
	const struct top_times before = {.us = 100, .counts = {7}};
	/* Between the two: 900 of 10 to 20 us, 99 of 1 to 2 ms, one of over 10 s. */
	const struct top_times now = {.us = 100 + 1000 * 50,
		.counts = {[0] = 7, [1] = 900, [7] = 99, [19] = 1}};
	struct top_figures figures;
	top_quantiles(&before, &now, &figures);
	assert_near(figures.mean_us, 50);
	assert_near(figures.p50_us, 10 + 10 * 500.0 / 900);
	assert_near(figures.p99_us, 1000 + 1000 * 90.0 / 99);
	assert_near(figures.p999_us, 2000);
	const struct top_times longest = {.us = 100, .counts = {[19] = 1}};
	const struct top_times none = {.us = 0};
	top_quantiles(&none, &longest, &figures);
	assert_near(figures.p50_us, 10e6); /* at least: nothing more is known */
}

static void nothing_between_is_zero(void **state)
{
	(void)state;
	const struct top_times times = {.us = 100, .counts = {7, 8}};
	struct top_figures figures;
	top_quantiles(&times, &times, &figures);
	assert_near(figures.mean_us, 0);
	assert_near(figures.p50_us, 0);
	assert_near(figures.p999_us, 0);
}

/* The counters of a daemon that was started again are smaller: all that they have came since. */
static void a_daemon_that_was_started_again_counts_from_zero(void **state)
{
	(void)state;
	const struct top_times before = {.us = 100000, .counts = {70, 80}};
	const struct top_times now = {.us = 30, .counts = {2, 1}};
	struct top_figures figures;
	top_quantiles(&before, &now, &figures);
	assert_near(figures.mean_us, 10);
}

static struct top_sample *sample_of(uint64_t seconds, uint64_t fetches, uint64_t found)
{
	struct top_sample *sample = calloc(1, sizeof *sample);
	assert_non_null(sample);
	sample->taken_us = seconds * 1000000;
	sample->method_count = 1;
	strcpy(sample->methods[0].name, "fetch");
	sample->methods[0].count = fetches;
	sample->methods[0].times.us = fetches * 15;
	sample->methods[0].times.counts[1] = fetches;
	sample->table_count = 1;
	strcpy(sample->tables[0].name, "ir");
	sample->tables[0].results[0] = found;
	sample->tables[0].results[1] = fetches;
	return sample;
}

static void a_screen_has_rates_and_shares(void **state)
{
	(void)state;
	struct top_sample *before = sample_of(10, 1000, 500);
	struct top_sample *now = sample_of(12, 3000, 8500);
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	assert_non_null(out);
	top_view_write(out, "unix:/run/s", before, now);
	assert_int_equal(fclose(out), 0);
	assert_non_null(strstr(text, "repstore top  unix:/run/s "));
	assert_non_null(strstr(text, "fetch                    1000        0     15 us"));
	/* 8,000 found and 2,000 absent in two seconds. */
	assert_non_null(strstr(text, "ir                       5000   80.00%      1000"));
	assert_null(strstr(text, "SLOWEST")); /* the peer may not see them */
	assert_null(strchr(text, '\x1b'));
	free(text);
	free(before);
	free(now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quantiles_lie_within_their_buckets),
		cmocka_unit_test(nothing_between_is_zero),
		cmocka_unit_test(a_daemon_that_was_started_again_counts_from_zero),
		cmocka_unit_test(a_screen_has_rates_and_shares),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
