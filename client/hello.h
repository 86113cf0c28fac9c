/* hello.h - the first request of each connection: do both sides speak the same protocol?
 *
 * Threads: one at a time.
 */
#ifndef CLIENT_HELLO_H
#define CLIENT_HELLO_H

#include "client/transport.h"

#include <stdbool.h>
#include <stdint.h>

/* What a daemon says of itself. */
struct hello {
	bool can_limit; /* it takes timeout_ms of every method */
};

/* Sends hello over a connection that has just been made, and reads the answer. It has a writer of
 * its own: the client may hold a request that waits for this connection.
 *
 * Errors: those of transport_send and transport_receive, and of hello_read. */
enum status hello_say(struct transport *transport, int64_t deadline_ms, struct hello *out,
	struct error *err);

/* The halves of it. hello_read errors: PROTOCOL  the peer is no repstored; UNSUPPORTED  it speaks another
 * version of the protocol; NO_MEMORY; what it answers. */
enum status hello_write(struct wire_writer *writer, struct error *err);
enum status hello_read(struct wire_bytes bytes, const char *address, struct hello *out,
	struct error *err);

#endif
