/* age.h - whether a row is too old to be served.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_STORE_ROW_AGE_H
#define DAEMON_STORE_ROW_AGE_H

#include <stdbool.h>
#include <stdint.h>

/* A row of time `time_ms` has lived for `age_ms` or longer. A row of this moment or of a later one has
 * not lived yet. */
static inline bool age_is_reached(int64_t time_ms, int64_t now_ms, uint64_t age_ms)
{
	return now_ms > time_ms && (uint64_t)now_ms - (uint64_t)time_ms >= age_ms;
}

/* The same of a ttl, where 0 is none. */
static inline bool age_is_over(int64_t time_ms, int64_t now_ms, uint64_t limit_ms)
{
	return limit_ms != 0 && age_is_reached(time_ms, now_ms, limit_ms);
}

#endif
