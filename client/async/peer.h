/* peer.h - a daemon as seen over one connection that never blocks: dialled, greeted, lost, dialled again.
 *
 *              peer_dial              hello answered
 *   PEER_DOWN ----------> PEER_DIALLING -> PEER_GREETING ----------> PEER_UP
 *       ^                       |                |                      |
 *       +------- peer_lose: the next address, after a pause ------------+
 *
 * A peer knows bytes and messages, and nothing of calls.
 *
 * Threads: one at a time.
 */
#ifndef CLIENT_ASYNC_PEER_H
#define CLIENT_ASYNC_PEER_H

#include "client/address.h"
#include "client/hello.h"
#include "client/transport.h"
#include "schema/status.h"
#include "schema/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum peer_state { PEER_DOWN, PEER_DIALLING, PEER_GREETING, PEER_UP };

/* One of the addresses that serve the same data. */
struct peer_place {
	const char *text; /* borrowed */
	struct address address;
};

struct peer {
	enum peer_state state;
	struct transport transport;
	int epoll; /* borrowed: where the socket is watched */
	bool is_watched;
	uint32_t events; /* what it is watched for */
	/* The addresses, and of which the next dial is. */
	const struct peer_place *places; /* borrowed */
	size_t places_count;
	size_t place;
	size_t name;
	int64_t dial_us;    /* how long to dial and greet */
	const char *client; /* borrowed: what it says in hello; NULL: the library's own */
	int64_t give_up_at_us;
	int64_t retry_at_us;
	int64_t pause_us;
	struct wire_writer hello; /* what is still to be sent of it begins at hello_sent */
	size_t hello_sent;
	struct hello daemon; /* what it has answered */
	struct error error;  /* why it was lost */
	uint64_t losses;     /* of a connection that was up */
};

/* Nothing is dialled yet. dial_ms: how long one connection may take. */
void peer_init(struct peer *peer, int epoll, const struct peer_place *places, size_t count,
	unsigned dial_ms);
/* For addresses of tls:. Borrowed; to be called after peer_init. */
void peer_secure(struct peer *peer, const struct secure *secure);
void peer_fini(struct peer *peer);

/* Goes on with the connection of a peer that is not up, as far as it goes now: dials when its pause is
 * over, and greets. A failure is in peer->error, and another address is next. */
void peer_tend(struct peer *peer, int64_t now_us);

/* Closes the connection; error: why. */
void peer_lose(struct peer *peer, int64_t now_us, const struct error *error);

/* A daemon that answers is one to dial again at once. */
void peer_note_answer(struct peer *peer);

/* When peer_tend has something to do by itself. CLOCK_NEVER_US: never, or not before the socket. */
int64_t peer_due_us(const struct peer *peer);

/* Watches the socket for what is wanted of a peer that is up, or for what a dial waits for. Errors: IO. */
enum status peer_watch(struct peer *peer, bool want_read, bool want_write, struct error *err);

#endif
