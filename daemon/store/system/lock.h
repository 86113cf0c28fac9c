/* lock.h - a mutex that knows who holds it, and a condition to wait for under it.
 *
 * A function whose callers must hold a lock asserts that with lock_assert_held; the check costs one
 * load. A lock is not recursive: to take it twice is a mistake, which is asserted too. Conditions
 * wait by the monotonic clock (clock.h).
 *
 * Threads: any.
 */
#ifndef DAEMON_STORE_SYSTEM_LOCK_H
#define DAEMON_STORE_SYSTEM_LOCK_H

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct lock {
	pthread_mutex_t mutex;
	_Atomic(pthread_t) holder; /* 0: nobody; written by who holds the mutex */
};

struct condition {
	pthread_cond_t cond;
};

/* The deadline of a wait without one. */
#define CONDITION_NEVER UINT64_MAX

static inline void lock_init(struct lock *lock)
{
	const int failed = pthread_mutex_init(&lock->mutex, NULL);
	assert(failed == 0);
	(void)failed;
	atomic_store_explicit(&lock->holder, 0, memory_order_relaxed);
}

static inline void lock_fini(struct lock *lock)
{
	const int failed = pthread_mutex_destroy(&lock->mutex);
	assert(failed == 0); /* somebody holds it */
	(void)failed;
}

/* Whether the calling thread holds it. */
static inline bool lock_is_held(const struct lock *lock)
{
	return atomic_load_explicit(&lock->holder, memory_order_relaxed) == pthread_self();
}

static inline void lock_assert_held(const struct lock *lock)
{
	assert(lock_is_held(lock));
	(void)lock;
}

static inline void lock_take(struct lock *lock)
{
	assert(!lock_is_held(lock));
	const int failed = pthread_mutex_lock(&lock->mutex);
	assert(failed == 0);
	(void)failed;
	atomic_store_explicit(&lock->holder, pthread_self(), memory_order_relaxed);
}

static inline void lock_release(struct lock *lock)
{
	lock_assert_held(lock);
	atomic_store_explicit(&lock->holder, 0, memory_order_relaxed);
	const int failed = pthread_mutex_unlock(&lock->mutex);
	assert(failed == 0);
	(void)failed;
}

static inline void condition_init(struct condition *condition)
{
	pthread_condattr_t attributes;
	(void)pthread_condattr_init(&attributes);
	/* Without it every deadline would be long past. */
	int failed = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	assert(failed == 0);
	failed = pthread_cond_init(&condition->cond, &attributes);
	assert(failed == 0);
	(void)failed;
	(void)pthread_condattr_destroy(&attributes);
}

static inline void condition_fini(struct condition *condition)
{
	(void)pthread_cond_destroy(&condition->cond);
}

static inline void condition_signal(struct condition *condition)
{
	(void)pthread_cond_signal(&condition->cond);
}

static inline void condition_broadcast(struct condition *condition)
{
	(void)pthread_cond_broadcast(&condition->cond);
}

/* Lets go of the lock until somebody signals, or until until_ms of clock_monotonic_ms has come. It
 * may also return for no reason, so the caller looks again. False: the time has come. */
static inline bool condition_wait_until(struct condition *condition, struct lock *lock,
	uint64_t until_ms)
{
	lock_assert_held(lock);
	atomic_store_explicit(&lock->holder, 0, memory_order_relaxed);
	int failed = 0;
	if (until_ms == CONDITION_NEVER) {
		failed = pthread_cond_wait(&condition->cond, &lock->mutex);
	} else {
		const struct timespec until = {
			.tv_sec = (time_t)(until_ms / 1000),
			.tv_nsec = (int64_t)(until_ms % 1000) * 1000000,
		};
		failed = pthread_cond_timedwait(&condition->cond, &lock->mutex, &until);
	}
	assert(failed == 0 || failed == ETIMEDOUT);
	atomic_store_explicit(&lock->holder, pthread_self(), memory_order_relaxed);
	return failed == 0;
}

/* The same, until somebody signals. */
static inline void condition_wait(struct condition *condition, struct lock *lock)
{
	(void)condition_wait_until(condition, lock, CONDITION_NEVER);
}

#endif
