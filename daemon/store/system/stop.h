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
#include <stdbool.h>
#include <stdint.h>

/* Of a reader in the process of its user: who waits is asked himself, in his own thread, four times a second. */
struct stop_asking {
	bool (*is_over)(void *context);
	void *context;
	uint64_t next_ns; /* when he is asked, of the monotonic clock */
	bool is_off;      /* he has said so: he is asked no more */
};

/* Zeroed, it never stops anything. */
struct stop {
	/* When either is set, nobody waits for the result any more. NULL: it is never set. */
	const atomic_bool *gone;
	const atomic_bool *cut;
	const atomic_bool *closing; /* set: the store is to close; NULL: it is never set */
	struct stop_asking *asking; /* NULL: nobody is asked */
	uint64_t read_ms;           /* monotonic clock: when the request was read */
	uint64_t waited_ms;         /* since then, until it began to run */
	uint64_t timeout_ms;        /* from read_ms on; 0: it may take any time */
};

/* How long after a moment who waits is asked. */
enum { STOP_ASK_NS = 250 * 1000 * 1000 };

/* NULL is as a zeroed one. Errors: TIMEOUT; CLOSED  nobody waits, or who waits has said so; BUSY  the store is to close. */
enum status stop_check(const struct stop *stop, struct error *err);

/* When a wait that is woken by something else should look at it again, of the monotonic clock; never if it
 * is NULL. */
uint64_t stop_look_ms(const struct stop *stop);

/* The moment at which it will answer TIMEOUT, of the monotonic clock; UINT64_MAX: never. */
uint64_t stop_ends_ns(const struct stop *stop);

#endif
