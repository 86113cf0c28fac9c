/* backlog.h - how many bytes of applied frames may wait for the disk.
 *
 * While a group is committed the next one gathers, and a write waits for both. With more frames a
 * group the disk is used better, but from some milliseconds of its time on that gains nothing and makes
 * others wait. So as much may wait as it would take BACKLOG_MS for, by what the last group took.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_STORE_WRITE_BACKLOG_H
#define DAEMON_STORE_WRITE_BACKLOG_H

#include <stdint.h>

enum {
	BACKLOG_MS = 20,
	BACKLOG_BYTES_MIN = 2 << 20,
	BACKLOG_BYTES_MAX = 32 << 20,
};

/* `bytes` took `ns` until they were durable. */
static inline uint64_t backlog_max(uint64_t bytes, uint64_t ns)
{
	const double rate = (double)bytes / ((double)ns + 1);
	const double most = rate * BACKLOG_MS * 1e6;
	return most < BACKLOG_BYTES_MIN   ? BACKLOG_BYTES_MIN
	       : most < BACKLOG_BYTES_MAX ? (uint64_t)most
					  : BACKLOG_BYTES_MAX;
}

#endif
