/* stop.h - may work that takes long go on?
 *
 * Long work of a request asks between its blocks, on a thread where it may block. It ends early when
 * the time of the request is over, when its peer has left, and when the daemon stops and its grace
 * is over. A change that was begun does not ask: it is made, and then answered.
 *
 * Threads: any.
 */
#ifndef DAEMON_STORE_SYSTEM_STOP_H
#define DAEMON_STORE_SYSTEM_STOP_H

#include "schema/status.h"

#include <stdatomic.h>
#include <stdint.h>

/* Zeroed, it never stops anything. */
struct stop {
	/* When either is set, nobody waits for the result any more. NULL: it is never set. */
	const atomic_bool *gone;
	const atomic_bool *cut;
	uint64_t read_ms;    /* monotonic clock: when the request was read */
	uint64_t waited_ms;  /* since then, until it began to run */
	uint64_t timeout_ms; /* from read_ms on; 0: it may take any time */
};

/* NULL is as a zeroed one. Errors: TIMEOUT; CLOSED  nobody waits. */
enum status stop_check(const struct stop *stop, struct error *err);

/* The moment at which it will answer TIMEOUT, of the monotonic clock; UINT64_MAX: never. */
uint64_t stop_ends_ns(const struct stop *stop);

#endif
