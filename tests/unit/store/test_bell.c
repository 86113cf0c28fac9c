/* test_bell.c - no ring is lost, and a wait ends in time. */
#include "daemon/store/system/bell.h"
#include "daemon/store/system/clock.h"
#include "tests/unit/wait.h"

#include <stdatomic.h>

static uint64_t now_ms(void)
{
	return (uint64_t)clock_monotonic_ms();
}

static void a_ring_while_nobody_waits_is_not_lost(void **state)
{
	struct bell bell;
	(void)state;
	bell_init(&bell);
	bell_ring(&bell);
	assert_true(bell.rung);
	bell_wait(&bell, CONDITION_NEVER); /* would never return if the ring were lost */
	assert_false(bell.rung);
	bell_fini(&bell);
}

/* Whoever waits looks itself what there is to do, so one return is enough for any number. */
static void several_rings_are_one(void **state)
{
	struct bell bell;
	(void)state;
	bell_init(&bell);
	bell_ring(&bell);
	bell_ring(&bell);
	bell_wait(&bell, CONDITION_NEVER);
	const uint64_t until_ms = now_ms() + 20;
	bell_wait(&bell, until_ms);
	assert_true(now_ms() >= until_ms); /* the second ring did not end this wait */
	bell_fini(&bell);
}

static void a_deadline_ends_a_wait(void **state)
{
	struct bell bell;
	(void)state;
	bell_init(&bell);
	const uint64_t until_ms = now_ms() + 20;
	bell_wait(&bell, until_ms);
	assert_true(now_ms() >= until_ms);
	bell_wait(&bell, until_ms); /* a time that has passed */
	bell_wait(&bell, 0);
	assert_false(bell.rung);
	bell_fini(&bell);
}

static void a_ring_is_heard_when_the_deadline_has_passed(void **state)
{
	struct bell bell;
	(void)state;
	bell_init(&bell);
	bell_ring(&bell);
	bell_wait(&bell, 0);
	assert_false(bell.rung);
	bell_fini(&bell);
}

/* ---- two threads ---- */

/* Each number that is asked for is answered by the other thread. */
struct errand {
	struct bell there;
	struct bell back;
	atomic_uint asked;
	atomic_uint answered;
};

enum { ERRANDS = 2000 };

static void *answer(void *arg)
{
	struct errand *errand = arg;
	unsigned done = 0;
	while (done < ERRANDS) {
		bell_wait(&errand->there, CONDITION_NEVER);
		done = atomic_load_explicit(&errand->asked, memory_order_relaxed);
		atomic_store_explicit(&errand->answered, done, memory_order_relaxed);
		bell_ring(&errand->back);
	}
	return NULL;
}

/* What was written before a ring is seen after it, and no ring is lost: else this would not end. */
static void every_ring_wakes_the_waiter(void **state)
{
	static struct errand errand;
	pthread_t thread;
	(void)state;
	bell_init(&errand.there);
	bell_init(&errand.back);
	assert_int_equal(pthread_create(&thread, NULL, answer, &errand), 0);
	for (unsigned i = 1; i <= ERRANDS; i++) {
		atomic_store_explicit(&errand.asked, i, memory_order_relaxed);
		bell_ring(&errand.there);
		bell_wait(&errand.back, CONDITION_NEVER);
		assert_int_equal(atomic_load_explicit(&errand.answered, memory_order_relaxed), i);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	bell_fini(&errand.there);
	bell_fini(&errand.back);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ring_while_nobody_waits_is_not_lost),
		cmocka_unit_test(several_rings_are_one),
		cmocka_unit_test(a_deadline_ends_a_wait),
		cmocka_unit_test(a_ring_is_heard_when_the_deadline_has_passed),
		cmocka_unit_test(every_ring_wakes_the_waiter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
