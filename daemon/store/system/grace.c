/* grace.c - grace periods by epochs.
 *
 * A grace period begins a new epoch, and ends when no reader is inside that has entered in an older one. A
 * reader stores its epoch and then loads what it reads; who waits has taken something out of sight and then looks at
 * the epochs. Between the two steps stands a full barrier on each side, so at least one of them sees the other: the
 * reader does not find what was taken out, or is waited for.
 */
#include "daemon/store/system/grace.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <time.h>

/* ThreadSanitizer does not know fences, and runs on processors where an exchange is one. */
#if defined(__SANITIZE_THREAD__)
#define GRACE_WITHOUT_FENCES 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define GRACE_WITHOUT_FENCES 1
#endif
#endif

enum {
	/* Most readers leave within microseconds. A batch of samples is inside for milliseconds, and a look at
	 * all readers costs as many cache misses as there are threads: pauses grow. */
	SPIN_TRIES = 20,
	YIELD_TRIES = 5,
	PAUSE_NS = 50 * 1000,
	PAUSE_MAX_NS = 1000 * 1000,
};

static _Atomic uint64_t epoch = 1;
static pthread_mutex_t readers_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list */
static struct link readers = {&readers, &readers};
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static _Thread_local struct grace_reader of_thread; /* once it is registered */
static _Thread_local struct grace_reader *own;      /* NULL: it may not read */
static _Thread_local enum { UNREGISTERED, OUTSIDE, INSIDE, PINNED } place;

/* ---- readers ---- */

static void list_reader(struct grace_reader *reader)
{
	atomic_init(&reader->entered, 0);
	link_init(&reader->all);
	(void)pthread_mutex_lock(&readers_lock);
	link_append(&readers, &reader->all);
	(void)pthread_mutex_unlock(&readers_lock);
}

static void before_fork(void)
{
	(void)pthread_mutex_lock(&readers_lock);
}

static void after_fork(void)
{
	(void)pthread_mutex_unlock(&readers_lock);
}

/* The other threads are not there, and neither is the memory of their readers for long. */
static void in_child(void)
{
	link_init(&readers);
	if (own == &of_thread) {
		link_init(&own->all);
		link_append(&readers, &own->all);
	}
	(void)pthread_mutex_unlock(&readers_lock);
}

static void prepare_for_forks(void)
{
	(void)pthread_atfork(before_fork, after_fork, in_child);
}

void grace_reader_init(struct grace_reader *reader)
{
	(void)pthread_once(&fork_once, prepare_for_forks);
	list_reader(reader);
}

void grace_reader_fini(struct grace_reader *reader)
{
	assert(atomic_load(&reader->entered) == 0);
	(void)pthread_mutex_lock(&readers_lock);
	link_remove(&reader->all);
	(void)pthread_mutex_unlock(&readers_lock);
}

struct grace_reader *grace_lend(struct grace_reader *reader)
{
	struct grace_reader *before = own;
	assert(place == UNREGISTERED || place == OUTSIDE);
	own = reader;
	place = reader == NULL ? UNREGISTERED : OUTSIDE;
	return before;
}

void grace_register(void)
{
	assert(place == UNREGISTERED);
	grace_reader_init(&of_thread);
	own = &of_thread;
	place = OUTSIDE;
}

void grace_unregister(void)
{
	assert(place == OUTSIDE);
	assert(own == &of_thread);
	grace_reader_fini(&of_thread);
	own = NULL;
	place = UNREGISTERED;
}

/* ---- inside ---- */

static void barrier(void)
{
#ifndef GRACE_WITHOUT_FENCES
	atomic_thread_fence(memory_order_seq_cst);
#endif
}

void grace_enter(void)
{
	assert(place == OUTSIDE);
	const uint64_t now = atomic_load_explicit(&epoch, memory_order_acquire);
#ifdef GRACE_WITHOUT_FENCES
	(void)atomic_exchange(&own->entered, now);
#else
	atomic_store_explicit(&own->entered, now, memory_order_release);
#endif
	barrier();
	place = INSIDE;
}

static void go_outside(void)
{
	atomic_store_explicit(&own->entered, 0, memory_order_release);
}

void grace_leave(void)
{
	assert(place == INSIDE);
	place = OUTSIDE;
	go_outside();
}

void grace_pin(void)
{
	assert(place == INSIDE);
	place = PINNED;
	go_outside();
}

void grace_unpin(void)
{
	assert(place == PINNED);
	place = OUTSIDE;
}

uint64_t grace_begin(void)
{
	barrier();
	const uint64_t begun = atomic_fetch_add(&epoch, 1) + 1;
	barrier();
	return begun;
}

bool grace_is_over(uint64_t begun)
{
	bool found = false;
	(void)pthread_mutex_lock(&readers_lock);
	for (const struct link *at = readers.next; at != &readers && !found; at = at->next) {
		struct grace_reader *reader = LINK_OWNER(at, struct grace_reader, all);
		const uint64_t entered = atomic_load(&reader->entered);
		found = entered != 0 && entered < begun;
	}
	(void)pthread_mutex_unlock(&readers_lock);
	return !found;
}

void grace_wait(void)
{
	struct timespec pause = {.tv_nsec = PAUSE_NS};
	assert(place != INSIDE); /* it would wait for itself */
	const uint64_t begun = grace_begin();
	for (unsigned tries = 0; !grace_is_over(begun); tries++) {
		if (tries >= SPIN_TRIES + YIELD_TRIES) {
			(void)nanosleep(&pause, NULL);
			pause.tv_nsec =
				2 * pause.tv_nsec < PAUSE_MAX_NS ? 2 * pause.tv_nsec : PAUSE_MAX_NS;
		} else if (tries >= SPIN_TRIES) {
			(void)sched_yield();
		}
	}
}

int grace_alone_begin(void)
{
	const int before = (int)place;
	assert(place == UNREGISTERED || place == OUTSIDE);
	place = INSIDE;
	return before;
}

void grace_alone_end(int before)
{
	assert(place == INSIDE);
	place = before == UNREGISTERED ? UNREGISTERED : OUTSIDE;
}

bool grace_is_inside(void)
{
	return place == INSIDE || place == PINNED;
}
