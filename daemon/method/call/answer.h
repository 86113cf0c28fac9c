/* answer.h - runs the method that a request names, and writes the reply.
 *
 * It takes the bytes of one request and makes the bytes of one reply. No other module runs a
 * method, on whichever thread.
 *
 * Threads: any after method_thread_begin.
 */
#ifndef DAEMON_METHOD_CALL_ANSWER_H
#define DAEMON_METHOD_CALL_ANSWER_H

#include "daemon/method/call/call.h"
#include "schema/rpc_head.h"

#include <stdint.h>

struct method;
struct peer_identity;
struct service;
struct write_ticket;

/* One request, as answer_run needs it. */
struct question {
	struct service *service;     /* borrowed */
	const struct method *method; /* borrowed */
	struct rpc_head head;
	struct wire_bytes message; /* borrowed: the whole message, which wire_skim has passed */
	uint32_t elements;         /* of the message */
	const struct peer_identity *peer; /* borrowed */
	const char *client;               /* borrowed: what the peer has called itself */
	unsigned roles;                   /* of the peer, when the message was read */
	uint64_t turn_ns; /* how long the turn of its loop has taken until now; 0 in a lane */
	struct stop stop; /* only set for a request that leaves its loop */
	/* Borrowed: memory for the parsed message, of a loop. NULL in a lane, whose requests have their own. */
	struct wire_message **parsed;
	/* Borrowed: whether the method is to be run again since what it reads is on the disk. NULL in a lane. */
	bool *is_cold;
};

/* Parses the message, runs the method, and appends the reply to `out`: the result, or the error
 * that is returned. A notification gets no reply.
 *
 * `ticket` is NULL on a loop, where nothing may block. Else *ticket is NULL before the call. If it
 * is set afterwards, the caller passes it to method_write_then, whatever was returned.
 *
 * Errors: AGAIN  nothing was written; the request is to be run again in a lane. Every other error
 * was answered, unless out->status says that there was no memory even for the error. */
enum status answer_run(const struct question *question, struct write_ticket **ticket,
	struct wire_writer *out);

/* Replaces what `out` holds from `start` on by the error; for a notification by nothing. */
void answer_error(const struct rpc_head *head, const struct error *err, struct wire_writer *out,
	size_t start);

#endif
