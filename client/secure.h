/* secure.h - a transport's way through TLS: its handshake, what it receives and what it sends.
 *
 * Addresses of tls:HOST:PORT alone have it. For transport*.c, and for who polls the descriptor.
 *
 * Threads: one at a time.
 */
#ifndef CLIENT_SECURE_H
#define CLIENT_SECURE_H

#include "client/transport_parts.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

/* Files of PEM, and whom to expect. Owned; each may be NULL. */
struct secure {
	char *authority;
	char *certificate;
	char *key;
	char *server_name; /* NULL: the host of the address */
};

/* Begins TLS over a socket that was just adopted, if its address asks for it. The files are read now, so
 * that a certificate that was renewed is used by the next connection. Errors: BAD_REQUEST, IO  of a file, which
 * the text names; UNSUPPORTED  the library was built without TLS; NO_MEMORY. */
enum status secure_begin(struct transport *transport, struct error *err);

/* Takes the handshake as far as it goes without waiting. A plain transport needs none.
 * Errors: AGAIN  it waits for the peer, or for the socket if secure_has_unsent; DENIED  the peer is not who it
 * should be, or refuses; CLOSED, NO_MEMORY. */
enum status secure_handshake(struct transport *transport, struct error *err);

/* As transport_receive_at. Also DENIED: what the daemon thinks of the certificate is known with its first
 * answer. */
enum status secure_receive(struct transport *transport, const struct transport_space *space,
	int flags, size_t *n, struct error *err);

/* Was more received than was handed out? Polling the socket would not tell. */
bool secure_has_more(const struct transport *transport);

/* As transport_try_send. What was sealed counts as sent: secure_flush sends what the socket did not take. */
enum status secure_try_send(struct transport *transport, const struct iovec *parts, size_t count,
	size_t *sent, struct error *err);

/* Sends what waits. Errors: AGAIN  the socket takes no more; CLOSED. */
enum status secure_flush(struct transport *transport, struct error *err);
bool secure_has_unsent(const struct transport *transport);

/* Has the peer of an idle connection left? */
bool secure_is_dead(struct transport *transport);

void secure_end(struct transport *transport);

#endif
