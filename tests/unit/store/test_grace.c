/* test_grace.c - a grace period ends when every reader that was inside has left, and not before. */
#include "daemon/store/system/grace.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/fixture.h"
#include "tests/unit/wait.h"

/* A reader that is inside until it is let go. */
struct stay {
	pthread_t thread;
	atomic_bool is_inside;
	atomic_bool let_go;
	bool pins;
};

static void *stay_inside(void *arg)
{
	struct stay *stay = arg;
	grace_register();
	grace_enter();
	if (stay->pins) {
		grace_pin();
	}
	atomic_store(&stay->is_inside, true);
	while (!atomic_load(&stay->let_go)) {
		(void)poll(NULL, 0, 1);
	}
	if (stay->pins) {
		grace_unpin();
	} else {
		grace_leave();
	}
	grace_unregister();
	return NULL;
}

static void begin_stay(struct stay *stay)
{
	struct wait wait = {0};
	assert_int_equal(pthread_create(&stay->thread, NULL, stay_inside, stay), 0);
	while (!atomic_load(&stay->is_inside)) {
		wait_a_moment(&wait);
	}
}

static void end_stay(struct stay *stay)
{
	atomic_store(&stay->let_go, true);
	assert_int_equal(pthread_join(stay->thread, NULL), 0);
}

static void a_grace_period_waits_for_who_was_inside(void **state)
{
	struct stay before = {0};
	struct stay after = {0};
	(void)state;
	begin_stay(&before);
	const uint64_t begun = grace_begin();
	begin_stay(&after);
	assert_false(grace_is_over(begun));
	end_stay(&before);
	assert_true(grace_is_over(begun)); /* who entered later does not count */
	assert_false(grace_is_over(grace_begin()));
	end_stay(&after);
	grace_wait();
}

static void nobody_waits_for_a_reader_that_has_pinned(void **state)
{
	struct stay stay = {.pins = true};
	(void)state;
	begin_stay(&stay);
	grace_wait();
	end_stay(&stay);
}

static void a_reader_may_be_lent_to_one_thread_after_the_other(void **state)
{
	struct grace_reader *reader = aligned_alloc(64, sizeof *reader);
	(void)state;
	assert_non_null(reader);
	grace_reader_init(reader);
	for (unsigned i = 0; i < 2; i++) {
		struct grace_reader *before = grace_lend(reader);
		grace_enter();
		assert_true(grace_is_inside());
		assert_false(grace_is_over(grace_begin()));
		grace_leave();
		assert_ptr_equal(grace_lend(before), reader);
		assert_true(grace_is_over(grace_begin()));
		if (i == 0) {
			grace_register(); /* now there is one to go back to */
		}
	}
	grace_unregister();
	grace_reader_fini(reader);
	free(reader);
}

/* A thread that was inside at the fork is not there in the child. */
static void a_child_waits_for_none_of_its_parents_threads(void **state)
{
	struct stay stay = {0};
	int status = 0;
	(void)state;
	begin_stay(&stay);
	grace_register();
	const pid_t child = fork();
	if (child == 0) {
		grace_wait();
		grace_enter();
		const bool is_seen = !grace_is_over(grace_begin());
		grace_leave();
		grace_wait();
		_exit(is_seen ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	grace_unregister();
	end_stay(&stay);
}

/* ---- what a grace period is for ---- */

enum { SWAPS = 2000, READERS = 4 };

struct box {
	_Atomic(uint64_t *) value;
	atomic_bool stop;
};

static void *read_values(void *arg)
{
	struct box *box = arg;
	uint64_t wrong = 0;
	grace_register();
	while (!atomic_load(&box->stop)) {
		grace_enter();
		const uint64_t *value = atomic_load_explicit(&box->value, memory_order_acquire);
		wrong += value[0] != value[1];
		grace_leave();
	}
	grace_unregister();
	return wrong == 0 ? NULL : box;
}

static void what_was_taken_out_of_sight_is_not_read_after_a_grace_period(void **state)
{
	struct box box = {.stop = false};
	pthread_t readers[READERS];
	uint64_t *value = calloc(2, sizeof *value);
	(void)state;
	atomic_init(&box.value, value);
	for (size_t i = 0; i < READERS; i++) {
		assert_int_equal(pthread_create(&readers[i], NULL, read_values, &box), 0);
	}
	for (uint64_t i = 1; i <= SWAPS; i++) {
		uint64_t *next = malloc(2 * sizeof *next);
		assert_non_null(next);
		next[0] = next[1] = i;
		value = atomic_exchange(&box.value, next);
		grace_wait();
		value[0] = UINT64_MAX;
		free(value);
	}
	atomic_store(&box.stop, true);
	for (size_t i = 0; i < READERS; i++) {
		void *wrong;
		assert_int_equal(pthread_join(readers[i], &wrong), 0);
		assert_null(wrong);
	}
	free(atomic_load(&box.value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_grace_period_waits_for_who_was_inside),
		cmocka_unit_test(nobody_waits_for_a_reader_that_has_pinned),
		cmocka_unit_test(a_reader_may_be_lent_to_one_thread_after_the_other),
		cmocka_unit_test(a_child_waits_for_none_of_its_parents_threads),
		cmocka_unit_test(what_was_taken_out_of_sight_is_not_read_after_a_grace_period),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
