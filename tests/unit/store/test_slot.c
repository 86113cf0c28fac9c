/* test_slot.c - a value falls into the first bucket whose bound is not below it; slots count apart. */
#include "daemon/store/system/slot.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { THREADS = 100, ROUNDS = 1000 };

static void bounds_belong_to_their_bucket(void **state)
{
	static const struct {
		uint64_t ns;
		unsigned bucket;
	} cases[] = {
		{0, 0},
		{1, 0},
		{10000, 0},
		{10001, 1},
		{20000, 1},
		{50000, 2},
		{50001, 3},
		{UINT64_C(5000000000), 17},
		{UINT64_C(10000000000), 18},
		{UINT64_C(10000000001), 19},
		{UINT64_MAX, 19},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(histogram_bucket(cases[i].ns, HISTOGRAM_SHORT_NS),
			cases[i].bucket);
	}
}

static void each_bound_is_above_the_one_before(void **state)
{
	(void)state;
	for (unsigned i = 1; i < HISTOGRAM_BOUNDS; i++) {
		assert_true(histogram_bounds[i] > histogram_bounds[i - 1]);
		assert_int_equal(histogram_bucket(histogram_bounds[i], 1), i);
		assert_int_equal(histogram_bucket(histogram_bounds[i] + 1, 1), i + 1);
	}
}

static void what_is_read_is_what_was_added(void **state)
{
	struct histogram histogram = {0};
	struct histogram_figures figures = {0};
	(void)state;
	histogram_add(&histogram, 3, 1);
	histogram_add_shared(&histogram, 4, 1);
	histogram_add(&histogram, 2000000, 1);
	histogram_read(&histogram, &figures);
	histogram_read(&histogram, &figures); /* it adds up */
	assert_int_equal(figures.counts[2], 4);
	assert_int_equal(figures.counts[HISTOGRAM_BOUNDS], 2);
	assert_int_equal(figures.sum, 2 * 2000007);
	assert_int_equal(histogram_count(&figures), 6);
}

static _Atomic uint64_t counters[SLOT_COUNT];
static _Atomic uint64_t holders[SLOT_COUNT];
static _Atomic uint64_t clashes;

static void *count(void *arg)
{
	(void)arg;
	slot_take();
	const unsigned slot = slot_own;
	if (slot != SLOT_SHARED && atomic_fetch_add(&holders[slot], 1) != 0) {
		atomic_fetch_add(&clashes, 1);
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		slot_add(slot, &counters[slot], 1);
	}
	atomic_fetch_sub(&holders[slot], slot == SLOT_SHARED ? 0 : 1);
	slot_give();
	return NULL;
}

static void no_count_is_lost_and_no_slot_has_two_threads(void **state)
{
	pthread_t threads[THREADS];
	uint64_t sum = 0;
	(void)state;
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	}
	for (unsigned i = 0; i < SLOT_COUNT; i++) {
		sum += counter_read(&counters[i]);
	}
	assert_int_equal(sum, THREADS * ROUNDS);
	assert_int_equal(atomic_load(&clashes), 0);
}

static void a_slot_that_was_given_is_taken_again(void **state)
{
	(void)state;
	assert_int_equal(slot_own, SLOT_SHARED);
	slot_take();
	const unsigned slot = slot_own;
	assert_int_not_equal(slot, SLOT_SHARED);
	slot_give();
	assert_int_equal(slot_own, SLOT_SHARED);
	slot_take();
	assert_int_equal(slot_own, slot);
	slot_give();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds_belong_to_their_bucket),
		cmocka_unit_test(each_bound_is_above_the_one_before),
		cmocka_unit_test(what_is_read_is_what_was_added),
		cmocka_unit_test(no_count_is_lost_and_no_slot_has_two_threads),
		cmocka_unit_test(a_slot_that_was_given_is_taken_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
