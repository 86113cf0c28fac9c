/* clock.h - the wall clock in the unit of row times, and the clock of durations.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_STORE_SYSTEM_CLOCK_H
#define DAEMON_STORE_SYSTEM_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Unix milliseconds. */
static inline int64_t clock_unix_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Nanoseconds since a fixed moment that says nothing: only differences have a meaning. */
static inline uint64_t clock_monotonic_ns(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The same clock in milliseconds. */
static inline int64_t clock_monotonic_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
