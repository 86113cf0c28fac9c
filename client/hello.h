/* hello.h - the first request of each connection: do both sides speak the same protocol?
 *
 * Threads: one at a time.
 */
#ifndef CLIENT_HELLO_H
#define CLIENT_HELLO_H

#include "client/transport.h"

#include <stdbool.h>
#include <stdint.h>

/* Sends hello over a connection that has just been made, and reads the answer. It has a writer of
 * its own: the client may hold a request that waits for this connection.
 *
 *   can_limit  out: the daemon takes timeout_ms of every method
 *
 * Errors: those of transport_send and transport_receive; PROTOCOL  the peer is no repstored;
 *         UNSUPPORTED  it speaks another version of the protocol. */
enum status hello_say(struct transport *transport, int64_t deadline_ms, bool *can_limit,
	struct error *err);

#endif
