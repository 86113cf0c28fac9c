/* tls_parts.h - the insides of a context and a connection. For the .c files of this folder alone.
 *
 * Threads: as tls.h.
 */
#ifndef TLS_TLS_PARTS_H
#define TLS_TLS_PARTS_H

#include "tls/tls.h"

#include <stdatomic.h>

struct ssl_ctx_st;
struct ssl_st;
struct x509_st;
struct x509_store_ctx_st;

struct tls_context {
	struct ssl_ctx_st *ssl; /* owned */
	enum tls_side side;
	atomic_uint holders;
	int64_t not_after_ms;
	int64_t crl_next_ms; /* 0: there is no list */
};

struct tls {
	struct ssl_st *ssl;          /* owned */
	struct tls_context *context; /* held */
	const uint8_t *in; /* borrowed, or within `kept`: in_len bytes were not read yet */
	size_t in_len;
	uint8_t *kept; /* owned; or NULL */
	/* owned: pending[pending_at, pending_len) is to be sent */
	uint8_t *pending;
	size_t pending_at;
	size_t pending_len;
	size_t pending_cap;
	uint8_t *sealed; /* borrowed while tls_seal runs: where records go; else NULL */
	size_t sealed_len;
	bool is_broken;
	enum tls_refusal refusal;
	struct tls_peer peer;
};

/* How a refusal by the code of a check of certificates is called. */
enum tls_refusal tls_refusal_of(long verified);

/* Reads the names of one certificate. */
void tls_peer_read_names(struct x509_st *certificate, struct tls_peer *peer);

/* Reads the names and the end of the peer's certificates, which were found valid. */
void tls_peer_read(struct tls *tls);

/* OpenSSL asks it of each certificate of a peer, and whether to go on: it keeps the names for the log where
 * one is not valid. */
int tls_peer_on_verified(int is_valid, struct x509_store_ctx_st *check);

/* The connection that OpenSSL has in hand. */
struct tls *tls_of(struct ssl_st *ssl);

/* Fills err with `what` and what OpenSSL says of the last failure on this thread, and forgets that. */
enum status tls_fail(struct error *err, enum status status, const char *what);

/* Makes `tls` the two ends of its own connection. Errors: NO_MEMORY. */
enum status tls_attach_memory(struct tls *tls);

#endif
