/* wait.h - waits for something that another thread or process does, within a limit.
 *
 *	struct wait wait = {0};
 *	while (!it_has_happened()) {
 *		wait_a_moment(&wait);
 *	}
 *
 * The test fails when the limit is over. The condition is never a time: ask a counter, a figure
 * or a file.
 *
 * Threads: the test's own, since cmocka fails a test from there alone.
 */
#ifndef TESTS_UNIT_WAIT_H
#define TESTS_UNIT_WAIT_H

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

/* Less than the time after which meson ends a test without a word. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { WAIT_SECONDS = 250 };
#else
enum { WAIT_SECONDS = 25 };
#endif

/* Zeroed, it has not begun to wait. */
struct wait {
	int64_t until_s; /* of the monotonic clock; 0: not set yet */
};

/* For a loop that has work to do itself meanwhile: without a pause. */
static inline void wait_busily(struct wait *wait)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	if (wait->until_s == 0) {
		wait->until_s = now.tv_sec + WAIT_SECONDS;
	}
	if (now.tv_sec >= wait->until_s) {
		fail_msg("waited %d s in vain", WAIT_SECONDS);
	}
}

static inline void wait_a_moment(struct wait *wait)
{
	wait_busily(wait);
	(void)poll(NULL, 0, 1);
}

#endif
