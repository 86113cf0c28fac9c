/* embedded.h - a peer in this process: what librepstore-local gives librepstore in place of a socket.
 *
 * A client asks it as it asks a daemon, in whole requests and responses of MessagePack-RPC. So what is above the
 * transport is the same for both, and librepstore needs nothing of what reads the files.
 *
 * The two libraries are of one build: this is no part of the ABI, and its symbols have a version of their own
 * (REPSTORE_PRIVATE in librepstore.map).
 *
 * Threads: of a client, one at a time; of several, at once.
 */
#ifndef CLIENT_EMBEDDED_H
#define CLIENT_EMBEDDED_H

#include "repstore.h"
#include "schema/status.h"
#include "schema/wire.h"

#include <stddef.h>
#include <stdint.h>

/* What a peer does. */
struct embedded {
	const char *version; /* REPSTORE_VERSION, as it was built */
	size_t bytes;        /* of this struct */
	/* Answers one whole request within so much time (0: without end). The response is valid until the next
	 * call. An error of what was asked is a response, too; after a failure the client takes all answers that
	 * it waits for as lost. */
	enum status (*call)(void *context, struct wire_bytes request, unsigned timeout_ms,
		struct wire_bytes *response, struct error *err);
	/* How old the last response may be; UINT64_MAX: nobody knows. */
	uint64_t (*lag_ms)(const void *context);
	void (*close)(void *context);
};

/* Makes a client of a peer.
 *
 *   context  of the peer's functions; the client's, which closes it, if this succeeds
 *   name     what errors call the peer
 *
 * Errors: UNSUPPORTED  the libraries are of two builds; NO_MEMORY; those of hello. */
REP_API enum status repstore_embedded_open(const struct embedded *embedded, void *context,
	const char *name, rep_client **out, struct error *err);

/* The context of a client's peer; NULL: it has another peer, or a socket. */
REP_API void *repstore_embedded_context(const rep_client *client, const struct embedded *embedded);

/* Whether it is an address of a daemon; nothing is looked up. Errors: BAD_REQUEST. */
REP_API enum status repstore_embedded_check_address(const char *address, struct error *err);

#endif
