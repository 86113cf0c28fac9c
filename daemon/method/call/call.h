/* call.h - what one call of a method is given, and what it leaves behind.
 *
 * Threads: one at a time: the one that runs the method.
 */
#ifndef DAEMON_METHOD_CALL_CALL_H
#define DAEMON_METHOD_CALL_CALL_H

#include "daemon/method/call/cost.h"
#include "daemon/store/system/stop.h"
#include "schema/status.h"
#include "schema/wire.h"

#include <stdbool.h>
#include <stdint.h>

struct peer_identity;
struct service;
struct write_ticket;

struct call {
	struct service *service;          /* borrowed */
	struct wire_value params;         /* a map, or absent */
	const struct peer_identity *peer; /* borrowed: who calls */
	const char *client;               /* borrowed: what its hello said; "": nothing */
	unsigned roles;                   /* of the peer; the method's is one of them */
	struct wire_writer *out;          /* run() writes one value: the result */
	bool may_block;                   /* false on a loop */
	struct cost cost;                 /* what its steps take; begins with its parse */
	struct stop stop;                 /* long work that may block asks call_stopped */
	struct error error;               /* filled by a run() that fails */
	/* Of a METHOD_WRITE: the answer waits for this write, also if the answer could not be
	 * written. NULL: it waits for nothing. Whoever runs the call passes it to
	 * method_write_then. */
	struct write_ticket *ticket;
};

/* For what is called with a stop: on a loop nothing is long enough to be stopped. */
static inline const struct stop *call_stop(const struct call *call)
{
	return call->may_block ? &call->stop : NULL;
}

/* May the call go on? To be asked between blocks of long work. Errors: as stop_check; call->error is
 * set. */
static inline enum status call_stopped(struct call *call)
{
	return stop_check(&call->stop, &call->error);
}

#endif
