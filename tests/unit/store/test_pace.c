/* test_pace.c - bytes a second, with and without pauses. */
#include "daemon/store/merge/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)

enum { RATE = 1000000 /* so 1000 bytes take 1 ms */ };

/* Writes `count` times 1000 bytes, which take no time, and waits as told. When it is done. */
static uint64_t write_some(struct pace *pace, unsigned count, uint64_t now_ns)
{
	for (unsigned i = 0; i < count; i++) {
		const uint64_t until_ns = pace_add(pace, 1000, now_ns);
		now_ns = until_ns > now_ns ? until_ns : now_ns;
	}
	return now_ns;
}

static void bytes_take_their_time(void **state)
{
	struct pace pace;
	(void)state;
	pace_begin(&pace, RATE, 5000 * MS);
	assert_int_equal(pace_add(&pace, 1000, 5000 * MS), 5001 * MS);
	assert_int_equal(write_some(&pace, 99, 5001 * MS), 5100 * MS);
	assert_int_equal(pace_add(&pace, UINT64_C(3) << 30, 5100 * MS),
		5100 * MS + (UINT64_C(3) << 30) * 1000);
}

static void what_was_slow_is_made_up_for(void **state)
{
	struct pace pace;
	(void)state;
	pace_begin(&pace, RATE, 0);
	/* 10 ms late, then none of the next ten waits. */
	assert_int_equal(pace_add(&pace, 1000, 11 * MS), 1 * MS);
	assert_int_equal(write_some(&pace, 10, 11 * MS), 11 * MS);
	assert_int_equal(pace_add(&pace, 1000, 11 * MS), 12 * MS);
}

static void a_long_pause_is_not(void **state)
{
	struct pace pace;
	(void)state;
	pace_begin(&pace, RATE, 0);
	(void)pace_add(&pace, 1000, 0);
	uint64_t now_ns = UINT64_C(3600000) * MS;
	const uint64_t end_ns = write_some(&pace, 1000, now_ns);
	assert_in_range(end_ns - now_ns, (UINT64_C(999) - PACE_CREDIT_MS) * MS, 1000 * MS);
	/* Each of several pauses is one. */
	now_ns = end_ns + UINT64_C(3600000) * MS;
	assert_in_range(write_some(&pace, 1000, now_ns) - now_ns,
		(UINT64_C(999) - PACE_CREDIT_MS) * MS, 1000 * MS);
}

static void what_was_hurried_is_not_waited_for(void **state)
{
	struct pace pace;
	(void)state;
	pace_begin(&pace, RATE, 0);
	assert_int_equal(pace_add(&pace, 50000, 0), 50 * MS);
	pace_begin(&pace, RATE, 1 * MS);
	assert_int_equal(pace_add(&pace, 1000, 1 * MS), 2 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_take_their_time),
		cmocka_unit_test(what_was_slow_is_made_up_for),
		cmocka_unit_test(a_long_pause_is_not),
		cmocka_unit_test(what_was_hurried_is_not_waited_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
