/* hello.h - the first request of each connection: do both sides speak the same protocol?
 *
 * Threads: one at a time.
 */
#ifndef CLIENT_HELLO_H
#define CLIENT_HELLO_H

#include "client/transport.h"

#include <stdbool.h>
#include <stdint.h>

/* What a daemon may lack that speaks the protocol: what came after its first version. */
enum hello_feature {
	HELLO_TIMEOUT_MS = 1u, /* of every method */
	HELLO_SCAN_SHARD = 2u,
	HELLO_DEFAULT_ROW = 4u,
	HELLO_FROM_MISSING = 8u, /* of retrieve and score */
	HELLO_TRACE = 16u,       /* of every method */
	HELLO_HISTORY = 32u,     /* tables with a history */
};

/* What a daemon says of itself. */
struct hello {
	unsigned features; /* of enum hello_feature */
	char version[32];  /* for a person; "" if it does not say */
};

/* Sends hello over a connection that has just been made, and reads the answer. It has a writer of
 * its own: the client may hold a request that waits for this connection. client: what the daemon shows
 * the connection as; NULL: the program's name and the library's.
 *
 * Errors: those of transport_send and transport_receive, and of hello_read. */
enum status hello_say(struct transport *transport, const char *client, int64_t deadline_ms,
	struct hello *out, struct error *err);

/* The halves of it. hello_read errors: PROTOCOL  the peer is no repstored; UNSUPPORTED  it speaks another
 * version of the protocol; NO_MEMORY; what it answers. */
enum status hello_write(struct wire_writer *writer, const char *client, struct error *err);
enum status hello_read(struct wire_bytes bytes, const char *address, struct hello *out,
	struct error *err);

/* Fails unless the daemon has said that it has all of `features`. Errors: UNSUPPORTED, naming the first one
 * that it lacks, and its version. */
enum status hello_need(const struct hello *hello, unsigned features, struct error *err);

#endif
