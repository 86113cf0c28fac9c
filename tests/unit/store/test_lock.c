/* test_lock.c - a lock knows who holds it, and its misuse ends the process. */
#include "daemon/store/system/clock.h"
#include "daemon/store/system/lock.h"
#include "tests/unit/wait.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t now_ms(void)
{
	return (uint64_t)clock_monotonic_ms();
}

/* ---- who holds it ---- */

static void a_lock_is_held_between_take_and_release(void **state)
{
	struct lock lock;
	(void)state;
	lock_init(&lock);
	assert_false(lock_is_held(&lock));
	for (int i = 0; i < 3; i++) {
		lock_take(&lock);
		assert_true(lock_is_held(&lock));
		lock_assert_held(&lock);
		lock_release(&lock);
		assert_false(lock_is_held(&lock));
	}
	lock_fini(&lock);
}

/* A lock, and what another thread says of it. */
struct shared {
	struct lock lock;
	struct condition changed;
	unsigned step; /* guarded by lock */
	bool seen_held;
	unsigned count; /* guarded by lock */
};

static void shared_init(struct shared *shared)
{
	*shared = (struct shared){0};
	lock_init(&shared->lock);
	condition_init(&shared->changed);
}

static void shared_fini(struct shared *shared)
{
	condition_fini(&shared->changed);
	lock_fini(&shared->lock);
}

static pthread_t start(void *(*run)(void *), struct shared *shared)
{
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, run, shared), 0);
	return thread;
}

static void *look(void *arg)
{
	struct shared *shared = arg;
	shared->seen_held = lock_is_held(&shared->lock);
	return NULL;
}

static void who_holds_it_is_asked_of_the_thread(void **state)
{
	struct shared shared;
	(void)state;
	shared_init(&shared);
	lock_take(&shared.lock);
	shared.seen_held = true;
	assert_int_equal(pthread_join(start(look, &shared), NULL), 0);
	assert_false(shared.seen_held); /* this thread holds it, not that one */
	assert_true(lock_is_held(&shared.lock));
	lock_release(&shared.lock);
	shared_fini(&shared);
}

enum { THREADS = 4, COUNTS = 20000 };

static void *count(void *arg)
{
	struct shared *shared = arg;
	for (unsigned i = 0; i < COUNTS; i++) {
		lock_take(&shared->lock);
		shared->count++;
		lock_release(&shared->lock);
	}
	return NULL;
}

static void one_thread_at_a_time_holds_it(void **state)
{
	struct shared shared;
	pthread_t threads[THREADS];
	(void)state;
	shared_init(&shared);
	for (unsigned i = 0; i < THREADS; i++) {
		threads[i] = start(count, &shared);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	}
	assert_int_equal(shared.count, THREADS * COUNTS);
	shared_fini(&shared);
}

/* ---- conditions ---- */

static void *step_on(void *arg)
{
	struct shared *shared = arg;
	lock_take(&shared->lock); /* who waits has let go of it */
	shared->step = 1;
	condition_signal(&shared->changed);
	while (shared->step != 2) {
		condition_wait(&shared->changed, &shared->lock);
	}
	shared->seen_held = lock_is_held(&shared->lock);
	lock_release(&shared->lock);
	return NULL;
}

static void a_wait_lets_go_of_the_lock_and_takes_it_again(void **state)
{
	struct shared shared;
	(void)state;
	shared_init(&shared);
	lock_take(&shared.lock);
	const pthread_t thread = start(step_on, &shared);
	while (shared.step != 1) {
		condition_wait(&shared.changed, &shared.lock);
		assert_true(lock_is_held(&shared.lock));
	}
	shared.step = 2;
	condition_broadcast(&shared.changed);
	lock_release(&shared.lock);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(shared.seen_held);
	shared_fini(&shared);
}

static void a_deadline_ends_a_wait(void **state)
{
	struct shared shared;
	(void)state;
	shared_init(&shared);
	lock_take(&shared.lock);
	const uint64_t until_ms = now_ms() + 20;
	while (condition_wait_until(&shared.changed, &shared.lock, until_ms)) {
		assert_true(lock_is_held(&shared.lock)); /* it may return for no reason */
	}
	assert_true(now_ms() >= until_ms);
	assert_true(lock_is_held(&shared.lock));
	assert_false(condition_wait_until(&shared.changed, &shared.lock, 0));
	lock_release(&shared.lock);
	shared_fini(&shared);
}

/* ---- misuse ---- */

static void take_twice(struct lock *lock)
{
	lock_take(lock);
	lock_take(lock);
}

static void release_what_is_not_held(struct lock *lock)
{
	lock_release(lock);
}

static void *take_and_end(void *arg)
{
	lock_take(arg);
	return NULL;
}

static void release_what_another_holds(struct lock *lock)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, take_and_end, lock) == 0) {
		(void)pthread_join(thread, NULL);
		lock_release(lock);
	}
}

static void say_it_is_held(struct lock *lock)
{
	lock_assert_held(lock);
}

static void wait_without_it(struct lock *lock)
{
	struct condition condition;
	condition_init(&condition);
	(void)condition_wait_until(&condition, lock, 0);
}

static void take_and_release(struct lock *lock)
{
	lock_take(lock);
	lock_release(lock);
}

/* The signal that ended a process of its own which has used a lock like this; 0: none did. */
static int end_of(void (*use)(struct lock *))
{
	const pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		const struct rlimit none = {0, 0};
		struct lock lock;
		(void)setrlimit(RLIMIT_CORE, &none);
		(void)signal(SIGABRT, SIG_DFL); /* cmocka took it */
		(void)close(STDERR_FILENO);
		lock_init(&lock);
		use(&lock);
		_exit(0);
	}
	int how;
	assert_int_equal(waitpid(child, &how, 0), child);
	return WIFSIGNALED(how) ? WTERMSIG(how) : 0;
}

static void misuse_ends_the_process(void **state)
{
	static void (*const misuses[])(struct lock *) = {take_twice, release_what_is_not_held,
		release_what_another_holds, say_it_is_held, wait_without_it};
	(void)state;
	assert_int_equal(end_of(take_and_release), 0);
	for (size_t i = 0; i < sizeof misuses / sizeof *misuses; i++) {
		assert_int_equal(end_of(misuses[i]), SIGABRT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lock_is_held_between_take_and_release),
		cmocka_unit_test(who_holds_it_is_asked_of_the_thread),
		cmocka_unit_test(one_thread_at_a_time_holds_it),
		cmocka_unit_test(a_wait_lets_go_of_the_lock_and_takes_it_again),
		cmocka_unit_test(a_deadline_ends_a_wait),
		cmocka_unit_test(misuse_ends_the_process),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
