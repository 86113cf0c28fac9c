/* tls.h - TLS 1.3 from memory to memory: what came from a socket in, what the program reads out, and back.
 *
 * Whoever uses it has the socket, and waits. Both sides show a certificate. No session is resumed, since
 * that would pass by the peer's expiry and revocation.
 *
 * A build without OpenSSL has tls_absent.c: no context can be opened there.
 *
 * Threads: a context any, a connection one at a time.
 */
#ifndef TLS_TLS_H
#define TLS_TLS_H

#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	TLS_NAME_BYTES =
		256, /* of one of a peer's names, with its NUL; longer ones are passed over */
	TLS_NAMES_MAX = 8,
	/* So many bytes are sealed at once, and so many they can become. */
	TLS_PIECE_BYTES = 64 << 10,
	TLS_SEALED_BYTES = TLS_PIECE_BYTES + 1024,
};

enum tls_side { TLS_SERVER, TLS_CLIENT };

/* Why a peer was refused. */
enum tls_refusal {
	TLS_REFUSED_NOT_TLS,        /* what it sent is no TLS */
	TLS_REFUSED_VERSION,        /* it speaks no TLS 1.3 */
	TLS_REFUSED_NO_CERTIFICATE, /* it showed none */
	TLS_REFUSED_AUTHORITY,      /* of an authority that is not trusted */
	TLS_REFUSED_EXPIRED,        /* or not valid yet */
	TLS_REFUSED_REVOKED,
	TLS_REFUSED_LIST, /* whether it was revoked cannot be told: the list is out of date, or of others */
	TLS_REFUSED_CERTIFICATE, /* otherwise wrong: its name, its purpose, its signature */
	TLS_REFUSED_HANDSHAKE,   /* it broke off, or sent what TLS does not allow */
	TLS_REFUSED_TIMEOUT,     /* for who waits: it took too long */
	TLS_REFUSED_DISPLACED,   /* for who waits: too many others came after it */
	TLS_REFUSED_COUNT,
};

const char *tls_refusal_name(enum tls_refusal refusal); /* "no_certificate" */

/* ---- certificates and keys ---- */

/* Paths of PEM files. */
struct tls_files {
	const char *certificate; /* with those between it and its authority */
	const char *key;
	const char *authority; /* who signs the certificates of the other side */
	const char *crl;       /* what each authority has revoked; NULL: nothing */
};

struct tls_context;

/* Reads the files. Errors, which name the file: IO, BAD_REQUEST; NO_MEMORY; UNSUPPORTED  a build without
 * OpenSSL. */
enum status tls_context_open(const struct tls_files *files, enum tls_side side,
	struct tls_context **out, struct error *err);
/* One more, or one less, will close it. NULL is fine for close. */
struct tls_context *tls_context_hold(struct tls_context *context);
void tls_context_close(struct tls_context *context);

/* Until when its own certificate is valid, and until when the list of revoked ones says something (0: there
 * is none). Unix ms. */
int64_t tls_context_not_after_ms(const struct tls_context *context);
int64_t tls_context_crl_next_ms(const struct tls_context *context);

/* ---- a connection ---- */

struct tls;

enum tls_name_kind { TLS_NAME_URI, TLS_NAME_DNS, TLS_NAME_CN };

struct tls_name {
	enum tls_name_kind kind;
	char text[TLS_NAME_BYTES]; /* whoever asked for the certificate chose it */
};

/* Who the other side is, by its certificate: URIs first, then DNS names, then the common name. What a text
 * cannot hold is left out. */
struct tls_peer {
	struct tls_name names[TLS_NAMES_MAX];
	unsigned names_count;
	int64_t not_after_ms; /* of its chain, the earliest; Unix ms */
};

/* server_name: whom a client expects, a host name or an IP address; NULL on a server. */
enum status tls_open(struct tls_context *context, const char *server_name, struct tls **out,
	struct error *err);
void tls_close(struct tls *tls); /* NULL is fine */

/* Gives it what the socket has brought. The bytes are borrowed until tls_unread says 0, or tls_keep has
 * copied what is left. Not before all of what it had is read. */
void tls_feed(struct tls *tls, const uint8_t *data, size_t len);
size_t tls_unread(const struct tls *tls);
enum status tls_keep(struct tls *tls); /* Errors: NO_MEMORY */

/* Takes the handshake as far as it goes; then tls_pending has what is to be sent.
 * Errors: AGAIN  it needs more from the peer; DENIED  the peer is refused, or refuses; NO_MEMORY. */
enum status tls_handshake(struct tls *tls, struct error *err);
enum tls_refusal tls_refusal(const struct tls *tls); /* after DENIED */
/* After OK. After DENIED it is who the peer claims to be; no names, if it has shown no certificate. */
const struct tls_peer *tls_peer(const struct tls *tls);

/* Asks once more whether the peer's certificate is valid, now and by the files of `context`. Errors: DENIED,
 * with tls_refusal; NO_MEMORY. */
enum status tls_verify(struct tls *tls, struct tls_context *context);

/* Opens what has come, up to `room` bytes; n: at least 1.
 * Errors: AGAIN  all was read; CLOSED  the peer sends no more; PROTOCOL  the stream is broken; NO_MEMORY. */
enum status tls_read(struct tls *tls, uint8_t *out, size_t room, size_t *n, struct error *err);

/* Is there more to read than a part of a record? */
bool tls_has_more(const struct tls *tls);

/* Seals up to TLS_PIECE_BYTES into `out`, of TLS_SEALED_BYTES, behind what is pending, which is
 * gone from there then. Errors: PROTOCOL  the connection is broken. */
enum status tls_seal(struct tls *tls, const uint8_t *data, size_t len, uint8_t *out, size_t *n);

/* What is to be sent by itself: the handshake's messages and alerts. `n` bytes of it were sent. */
size_t tls_pending(const struct tls *tls, const uint8_t **data);
void tls_sent(struct tls *tls, size_t n);

/* Says that nothing more will be sent: puts an alert into what is pending. */
void tls_end(struct tls *tls);

#endif
