/* stop.h - may work that takes long go on?
 *
 * Long work of a request asks between its blocks, on a thread where it may block. It ends early when
 * the time of the request is over, when its peer has left, and when the daemon stops: reads when its
 * grace is over, the work of the store at once. A change asks as long as nothing has changed. From
 * then on it is made, and answered.
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
	const atomic_bool *closing; /* set: the store is to close; NULL: it is never set */
	uint64_t read_ms;           /* monotonic clock: when the request was read */
	uint64_t waited_ms;         /* since then, until it began to run */
	uint64_t timeout_ms;        /* from read_ms on; 0: it may take any time */
};

/* NULL is as a zeroed one. Errors: TIMEOUT; CLOSED  nobody waits; BUSY  the store is to close. */
enum status stop_check(const struct stop *stop, struct error *err);

/* When a wait that is woken by something else should look at it again, of the monotonic clock; never if it
 * is NULL. */
uint64_t stop_look_ms(const struct stop *stop);

/* The moment at which it will answer TIMEOUT, of the monotonic clock; UINT64_MAX: never. */
uint64_t stop_ends_ns(const struct stop *stop);

#endif
