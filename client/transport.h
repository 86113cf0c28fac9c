/* transport.h - a connected stream socket: gathered bytes out, whole messages in.
 *
 * The receive buffer is reused and grows to the largest message that has come. While bytes wait to
 * be sent, bytes that arrive are received too: two peers that only send would wait for each other
 * forever.
 *
 * Threads: one at a time.
 */
#ifndef CLIENT_TRANSPORT_H
#define CLIENT_TRANSPORT_H

#include "schema/spin.h"
#include "schema/status.h"
#include "schema/wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

/* A deadline that has always passed: only what has arrived already is taken. */
#define TRANSPORT_NOW_MS INT64_MIN

/* Where the rows of an answer go, past the receive buffer: the body of a bin of exactly so many bytes that is
 * the value of "rows". In the message that is handed out the bin is empty then. */
struct transport_place {
	uint8_t *memory; /* borrowed */
	size_t bytes;
	unsigned filled; /* of the places, it was filled as this one, from 1; 0: it was not */
};

/* Smaller bodies are received with all the rest. */
#define TRANSPORT_PLACE_MIN ((size_t)16 << 10)

struct embedded;
struct secure;
struct secure_records;
struct tls;

struct transport {
	const char *address; /* borrowed, for errors */
	int fd;              /* -1: not connected */
	/* Borrowed: the peer in this process, with its context, which is owned. NULL: there is a socket. */
	const struct embedded *embedded;
	void *embedded_context;
	bool is_embedded;               /* connected to it */
	const struct secure *secure;    /* borrowed: for addresses of tls: */
	struct tls *tls;                /* owned; NULL: the connection is plain, or there is none */
	struct secure_records *records; /* owned, beside tls */
	bool is_secured;                /* its handshake is done */
	/* [0, at) taken, [at, len) received, [len, cap) free */
	uint8_t *data; /* owned */
	size_t at;
	size_t len;
	size_t cap;
	struct wire_skim skim; /* of the message at `at` */
	/* borrowed: for the next message, in the order of its bins; NULL: none */
	struct transport_place *places;
	size_t places_count;
	unsigned places_filled;
	unsigned receive_timeout_ms; /* SO_RCVTIMEO of the socket; 0: none */
	/* Asked while a call waits; true ends it with CLOSED. NULL: none. */
	bool (*interrupted)(void *context);
	void *interrupted_context;
	bool was_interrupted; /* since it was connected */
	struct spin spin;     /* whether it looks for bytes before it sleeps */
};

/* Where `embedded` is set after that, there is no socket. */
void transport_init(struct transport *transport, const char *address);
void transport_fini(struct transport *transport);

/* secure is set before, where the address may be of tls:. Errors: those of address_connect, secure_begin and
 * secure_handshake. */
enum status transport_connect(struct transport *transport, int64_t deadline_ms, struct error *err);
/* Forgets what was received, and keeps the memory. */
void transport_disconnect(struct transport *transport);

bool transport_connected(const struct transport *transport);

/* Whether an idle connection's peer has left. */
bool transport_dead(struct transport *transport);

/* Sends everything; `parts` is changed.
 * Errors: CLOSED, TIMEOUT, NO_MEMORY; TOO_LARGE  too many bytes of answers wait to be taken. */
enum status transport_send(struct transport *transport, struct iovec *parts, size_t count,
	int64_t deadline_ms, struct error *err);

/* Hands out the next whole message; it is valid until the next call that receives.
 * Errors: AGAIN  (TRANSPORT_NOW_MS only) none is there yet; CLOSED, TIMEOUT, PROTOCOL, NO_MEMORY.
 */
enum status transport_receive(struct transport *transport, int64_t deadline_ms,
	struct wire_bytes *message, struct error *err);

/* How old the answer that was received last may be, as struct embedded has it; that of a daemon is as new as can be. */
uint64_t transport_lag_ms(const struct transport *transport);

/* Gives the rows of the next answer their places, or takes them back (NULL, 0). It must be the answer to
 * the only request that is under way. */
void transport_set_places(struct transport *transport, struct transport_place *places,
	size_t count);

/* ---- for who polls the descriptor: none of these waits ---- */

/* A socket that is connected, or is being connected, becomes the transport's. Where it is of tls:, what follows is
 * secure_begin, and secure_handshake until that is done. */
void transport_adopt(struct transport *transport, int fd);

/* Sends what the socket takes now; `parts` stays as it is. At TLS what is sent may wait still: secure_has_unsent.
 * Errors: AGAIN  it takes nothing; CLOSED, NO_MEMORY. */
enum status transport_try_send(struct transport *transport, const struct iovec *parts, size_t count,
	size_t *sent, struct error *err);

/* Receives what has come, some of it at least. Messages that were taken are gone then.
 * Errors: AGAIN  nothing has come; CLOSED, NO_MEMORY. */
enum status transport_fill(struct transport *transport, struct error *err);

/* Hands out the next whole message of what was received; it is valid until the next fill.
 * Errors: AGAIN  there is none; PROTOCOL. */
enum status transport_take(struct transport *transport, struct wire_bytes *message,
	struct error *err);

#endif
