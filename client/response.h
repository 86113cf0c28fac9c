/* response.h - what a message of the daemon holds.
 *
 * Threads: any; there is no state.
 */
#ifndef CLIENT_RESPONSE_H
#define CLIENT_RESPONSE_H

#include "schema/rpc.h"
#include "schema/status.h"
#include "schema/wire.h"

/* Opens a response.
 *
 *   message   in, out: NULL, or one whose memory is used again; the caller closes it
 *   envelope  out: points into the message
 *
 * Errors: PROTOCOL, NO_MEMORY. */
enum status response_open(struct wire_bytes bytes, struct wire_message **message,
	struct rpc_envelope *envelope, struct error *err);

/* The daemon's error as a status, which is never STATUS_OK. text: "NOT_FOUND: why". */
enum status response_error(struct wire_bytes text, struct error *err);

#endif
