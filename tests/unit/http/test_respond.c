/* test_respond.c - names of hosts that are this machine, and texts that others have chosen. */
#include "daemon/http/exposition.h"
#include "daemon/http/respond.h"
#include "daemon/http/series.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/alloc_fail.h"

static void this_machine_has_three_names(void **state)
{
	static const char *const good[] = {"localhost", "LocalHost:1", "127.0.0.1",
		"127.0.0.1:65535", "[::1]", "[::1]:80"};
	static const char *const bad[] = {"", "localhost.", "localhost:", "localhost:123456",
		"localhost:8o", "localhost@x", "127.0.0.10", "[::1]x", "::1", "x.localhost"};
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_true(host_is_local(good[i]));
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_false(host_is_local(bad[i]));
	}
}

static void a_label_cannot_end_its_line(void **state)
{
	struct text text = {0};
	(void)state;
	metric_uint(&text, "x", LABELS("a", "one\"two\\three\nfour", "b", "\xc3\xa4"), 7);
	assert_string_equal(text.data,
		"repstore_x{a=\"one\\\"two\\\\three\\nfour\",b=\"\xc3\xa4\"} 7\n");
	text_fini(&text);
}

static void a_json_string_cannot_end_its_script(void **state)
{
	struct text text = {0};
	(void)state;
	text_add_json(&text, "</script>&'\"\\\t\x7f \xc3\xa4");
	assert_string_equal(text.data,
		"\"\\u003c/script\\u003e\\u0026\\u0027\\u0022\\u005c\\u0009\\u007f \xc3\xa4\"");
	text_fini(&text);
	text_add_json(&text, "\xff\xc3"); /* no UTF-8 */
	assert_string_equal(text.data, "\"\\u00ff\\u00c3\"");
	text_fini(&text);
}

static void a_histogram_adds_up(void **state)
{
	struct text text = {0};
	struct histogram_figures figures = {.sum = 30015000};
	(void)state;
	figures.counts[0] = 2;
	figures.counts[1] = 1;
	figures.counts[HISTOGRAM_BOUNDS] = 1;
	metric_head(&text, "t_seconds", "histogram", "Help.");
	metric_histogram(&text, "t_seconds", NULL, &figures, HISTOGRAM_SHORT_NS, 1e9);
	assert_non_null(strstr(text.data, "# TYPE repstore_t_seconds histogram\n"
					  "repstore_t_seconds_bucket{le=\"1e-05\"} 2\n"
					  "repstore_t_seconds_bucket{le=\"2e-05\"} 3\n"));
	assert_non_null(strstr(text.data, "repstore_t_seconds_bucket{le=\"10\"} 3\n"
					  "repstore_t_seconds_bucket{le=\"+Inf\"} 4\n"
					  "repstore_t_seconds_sum 0.030015\n"
					  "repstore_t_seconds_count 4\n"));
	text_fini(&text);
}

static void a_quantile_is_within_its_bucket(void **state)
{
	struct histogram_figures figures = {0};
	(void)state;
	assert_true(isnan(series_quantile(&figures, 0.5, 10)));
	figures.counts[2] = 100; /* above 20 and at most 50 */
	assert_float_equal(series_quantile(&figures, 0.5, 10), 35, 0.01);
	assert_float_equal(series_quantile(&figures, 0.99, 10), 49.7, 0.01);
	figures.counts[0] = 100;
	assert_float_equal(series_quantile(&figures, 0.25, 10), 5, 0.01);
	assert_float_equal(series_quantile(&figures, 0.75, 10), 35, 0.01);
	figures.counts[HISTOGRAM_BOUNDS] = 1000; /* nobody knows how long */
	assert_float_equal(series_quantile(&figures, 0.5, 10), 1e7, 0.01);
}

static bool write_much(void *arg)
{
	struct text text = {0};
	(void)arg;
	for (unsigned i = 0; i < 20000; i++) {
		text_add(&text, "%u ", i);
	}
	const bool failed = text.failed;
	assert_true(failed || text.len == 108890);
	text_fini(&text);
	return !failed;
}

static void refused_memory_is_told(void **state)
{
	(void)state;
	assert_true(alloc_fail_each(write_much, NULL) >= 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(this_machine_has_three_names),
		cmocka_unit_test(a_label_cannot_end_its_line),
		cmocka_unit_test(a_json_string_cannot_end_its_script),
		cmocka_unit_test(a_histogram_adds_up),
		cmocka_unit_test(a_quantile_is_within_its_bucket),
		cmocka_unit_test(refused_memory_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
