/* grace.c - grace periods by liburcu's QSBR flavour. */
#include "daemon/store/system/grace.h"

#include <urcu/urcu-qsbr.h>

/* ThreadSanitizer does not see the library's barriers: a reader that leaves hands over
 * to whoever waits. */
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

void grace_register(void)
{
	urcu_qsbr_register_thread();
	urcu_qsbr_thread_offline();
}

void grace_unregister(void)
{
	urcu_qsbr_unregister_thread();
}

void grace_enter(void)
{
	urcu_qsbr_thread_online();
}

void grace_leave(void)
{
#ifdef GRACE_ANNOTATE
	__tsan_release(&grace_token);
#endif
	urcu_qsbr_thread_offline();
}

void grace_wait(void)
{
	urcu_qsbr_synchronize_rcu();
#ifdef GRACE_ANNOTATE
	__tsan_acquire(&grace_token);
#endif
}
