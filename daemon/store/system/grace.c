/* grace.c - grace periods by liburcu's QSBR flavour. */
#include "daemon/store/system/grace.h"

#include <assert.h>
#include <urcu/urcu-qsbr.h>

/* ThreadSanitizer does not see the library's barriers. It is told that a reader that leaves hands
 * over to whoever waits. */
#if defined(__SANITIZE_THREAD__)
#define GRACE_ANNOTATE 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define GRACE_ANNOTATE 1
#endif
#endif

#ifdef GRACE_ANNOTATE
#include <sanitizer/tsan_interface.h>
static char grace_token;
#endif

/* What the library knows of this thread too, but does not tell. */
static _Thread_local enum { UNREGISTERED, OUTSIDE, INSIDE, PINNED } place;

void grace_register(void)
{
	assert(place == UNREGISTERED);
	urcu_qsbr_register_thread();
	urcu_qsbr_thread_offline();
	place = OUTSIDE;
}

void grace_unregister(void)
{
	assert(place == OUTSIDE);
	urcu_qsbr_unregister_thread();
	place = UNREGISTERED;
}

void grace_enter(void)
{
	assert(place == OUTSIDE);
	urcu_qsbr_thread_online();
	place = INSIDE;
}

static void go_offline(void)
{
#ifdef GRACE_ANNOTATE
	__tsan_release(&grace_token);
#endif
	urcu_qsbr_thread_offline();
}

void grace_leave(void)
{
	assert(place == INSIDE);
	place = OUTSIDE;
	go_offline();
}

void grace_pin(void)
{
	assert(place == INSIDE);
	place = PINNED;
	go_offline();
}

void grace_unpin(void)
{
	assert(place == PINNED);
	place = OUTSIDE;
}

void grace_wait(void)
{
	assert(place != INSIDE); /* it would wait for itself */
	urcu_qsbr_synchronize_rcu();
#ifdef GRACE_ANNOTATE
	__tsan_acquire(&grace_token);
#endif
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
