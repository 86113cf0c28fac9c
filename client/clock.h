/* clock.h - the monotonic clock, and deadlines on it.
 *
 * Threads: any; there is no state.
 */
#ifndef CLIENT_CLOCK_H
#define CLIENT_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CLOCK_NEVER_MS INT64_MAX
#define CLOCK_NEVER_US INT64_MAX

static inline int64_t clock_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline int64_t clock_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline int64_t clock_now_us(void)
{
	return clock_now_ns() / 1000;
}

/* timeout_ms 0: there is no deadline. */
static inline int64_t clock_deadline_ms(unsigned timeout_ms)
{
	return timeout_ms == 0 ? CLOCK_NEVER_MS : clock_now_ms() + timeout_ms;
}

#endif
