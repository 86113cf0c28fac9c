/* test_backlog.c - as much may wait for the disk as it takes up in BACKLOG_MS, within bounds. */
#include "daemon/store/write/backlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const uint64_t ms = 1000000;

static void as_much_may_wait_as_the_disk_takes_up_soon(void **state)
{
	(void)state;
	const uint64_t bytes = 10 << 20;
	/* 10 MiB in 50 ms are 4 MiB in 20. */
	const uint64_t most = backlog_max(bytes, 50 * ms);
	assert_in_range(most, (4 << 20) - 16, 4 << 20);
	/* The same rate by another group. */
	assert_in_range(backlog_max(bytes / 2, 25 * ms), most - 16, most + 16);
}

static void a_slow_sync_or_an_empty_one_leaves_a_bound(void **state)
{
	(void)state;
	assert_int_equal(backlog_max(0, 0), BACKLOG_BYTES_MIN);
	assert_int_equal(backlog_max(300, 200000), BACKLOG_BYTES_MIN);
	assert_int_equal(backlog_max(1 << 20, 10000 * ms), BACKLOG_BYTES_MIN);
	assert_int_equal(backlog_max(64 << 20, ms), BACKLOG_BYTES_MAX);
	assert_int_equal(backlog_max(UINT64_MAX, 0), BACKLOG_BYTES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_much_may_wait_as_the_disk_takes_up_soon),
		cmocka_unit_test(a_slow_sync_or_an_empty_one_leaves_a_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
