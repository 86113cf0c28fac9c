/* call.h - what one call of a method is given, and what it leaves behind.
 *
 * Threads: one at a time: the one that runs the method.
 */
#ifndef DAEMON_METHOD_CALL_CALL_H
#define DAEMON_METHOD_CALL_CALL_H

#include "daemon/method/call/cost.h"
#include "schema/status.h"
#include "schema/wire.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct service;
struct write_ticket;

struct call {
	struct service *service;  /* borrowed */
	struct wire_value params; /* a map, or absent */
	struct wire_writer *out;  /* run() writes one value: the result */
	bool may_block;           /* false on a loop */
	struct cost cost;         /* what its steps take; begins with its parse */
	/* When either is set, nobody waits for the result any more. NULL on a loop. */
	const atomic_bool *gone;
	const atomic_bool *cut;
	uint64_t waited_ms; /* from when the request was read until run() */
	struct error error; /* filled by a run() that fails */
	/* Of a METHOD_WRITE: the answer waits for this write, also if the answer could not be
	 * written. NULL: it waits for nothing. Whoever runs the call passes it to
	 * method_write_then. */
	struct write_ticket *ticket;
};

#endif
