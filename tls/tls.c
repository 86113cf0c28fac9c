/* tls.c - a connection: its handshake, and the bytes that are opened and sealed. */
#include "tls/tls_parts.h"

#include <arpa/inet.h>
#include <assert.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

static bool is_address(const char *name)
{
	struct in6_addr unused;
	return inet_pton(AF_INET, name, &unused) == 1 || inet_pton(AF_INET6, name, &unused) == 1;
}

/* The certificate must be of the one who was asked for. An address is not told to the peer: TLS
 * has names there only. */
static bool expect_server(SSL *ssl, const char *name)
{
	if (is_address(name)) {
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
	}
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

static enum status open_ssl(struct tls *tls, const char *server_name)
{
	tls->ssl = SSL_new(tls->context->ssl);
	if (tls->ssl == NULL || tls_attach_memory(tls) != STATUS_OK) {
		return STATUS_NO_MEMORY;
	}
	if (tls->context->side == TLS_SERVER) {
		SSL_set_accept_state(tls->ssl);
		return STATUS_OK;
	}
	SSL_set_connect_state(tls->ssl);
	return expect_server(tls->ssl, server_name) ? STATUS_OK : STATUS_BAD_REQUEST;
}

enum status tls_open(struct tls_context *context, const char *server_name, struct tls **out,
	struct error *err)
{
	struct tls *tls = calloc(1, sizeof *tls);
	assert((server_name != NULL) == (context->side == TLS_CLIENT));
	if (tls == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for a connection");
	}
	tls->context = tls_context_hold(context);
	const enum status status = open_ssl(tls, server_name);
	ERR_clear_error();
	if (status != STATUS_OK) {
		tls_close(tls);
		return status == STATUS_BAD_REQUEST
			       ? error_set(err, status,
					 "'%s' is no name that a certificate can have", server_name)
			       : error_set(err, status, "no memory for a connection");
	}
	*out = tls;
	return STATUS_OK;
}

void tls_close(struct tls *tls)
{
	if (tls == NULL) {
		return;
	}
	SSL_free(tls->ssl);
	tls_context_close(tls->context);
	free(tls->kept);
	free(tls->pending);
	free(tls);
}

/* ---- the handshake ---- */

/* What an alert of the peer means, for a person. */
static const char *alert_text(int alert)
{
	switch (alert) {
	case SSL_AD_BAD_CERTIFICATE:
		return "it found the certificate wrong";
	case SSL_AD_CERTIFICATE_REVOKED:
		return "the certificate was revoked";
	case SSL_AD_CERTIFICATE_EXPIRED:
		return "the certificate has expired";
	case SSL_AD_UNKNOWN_CA:
		return "the certificate is of an authority that it does not trust";
	case SSL_AD_CERTIFICATE_REQUIRED:
		return "it wants a certificate";
	case SSL_AD_PROTOCOL_VERSION:
		return "it wants another version of TLS";
	default:
		return SSL_alert_desc_string_long(alert);
	}
}

/* Fills err with why the last call failed, and notes that nothing works any more. */
static enum status fail(struct tls *tls, enum status status, struct error *err)
{
	const unsigned long code = ERR_peek_error();
	const int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
	const long verified = SSL_get_verify_result(tls->ssl);
	tls->is_broken = true;
	if (reason >= SSL_AD_REASON_OFFSET) {
		ERR_clear_error();
		return error_set(err, STATUS_DENIED, "the other side refused: %s",
			alert_text(reason - SSL_AD_REASON_OFFSET));
	}
	if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK) {
		ERR_clear_error();
		return error_set(err, STATUS_DENIED, "the certificate of the other side: %s",
			X509_verify_cert_error_string(verified));
	}
	return tls_fail(err, status, "TLS");
}

/* To be asked before the errors are forgotten. */
static enum tls_refusal why_refused(const struct tls *tls)
{
	const int reason = ERR_GET_REASON(ERR_peek_error());
	const long verified = SSL_get_verify_result(tls->ssl);
	switch (reason) {
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		return TLS_REFUSED_NO_CERTIFICATE;
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_VERSION_TOO_LOW:
		return TLS_REFUSED_VERSION;
	case SSL_R_CERTIFICATE_VERIFY_FAILED:
		return tls_refusal_of(verified);
	default:
		/* Before a cipher was agreed on it has said nothing that is TLS. */
		return SSL_get_current_cipher(tls->ssl) == NULL && reason < SSL_AD_REASON_OFFSET
			       ? TLS_REFUSED_NOT_TLS
			       : TLS_REFUSED_HANDSHAKE;
	}
}

enum status tls_handshake(struct tls *tls, struct error *err)
{
	if (tls->is_broken) {
		return error_set(err, STATUS_DENIED, "TLS: the connection is broken");
	}
	ERR_clear_error();
	const int done = SSL_do_handshake(tls->ssl);
	if (done == 1) {
		tls_peer_read(tls);
		return STATUS_OK;
	}
	if (SSL_get_error(tls->ssl, done) == SSL_ERROR_WANT_READ) {
		return STATUS_AGAIN;
	}
	tls->refusal = why_refused(tls);
	return fail(tls, STATUS_DENIED, err);
}

enum tls_refusal tls_refusal(const struct tls *tls)
{
	return tls->refusal;
}

const struct tls_peer *tls_peer(const struct tls *tls)
{
	return &tls->peer;
}

/* ---- bytes ---- */

enum status tls_read(struct tls *tls, uint8_t *out, size_t room, size_t *n, struct error *err)
{
	assert(room > 0);
	if (tls->is_broken) {
		return error_set(err, STATUS_PROTOCOL, "TLS: the connection is broken");
	}
	ERR_clear_error();
	if (SSL_read_ex(tls->ssl, out, room, n) == 1) {
		return STATUS_OK;
	}
	switch (SSL_get_error(tls->ssl, 0)) {
	case SSL_ERROR_WANT_READ:
		return STATUS_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return error_set(err, STATUS_CLOSED, "the other side has ended the connection");
	default:
		return fail(tls, STATUS_PROTOCOL, err);
	}
}

bool tls_has_more(const struct tls *tls)
{
	return tls->in_len > 0 || SSL_pending(tls->ssl) > 0;
}

enum status tls_seal(struct tls *tls, const uint8_t *data, size_t len, uint8_t *out, size_t *n)
{
	const uint8_t *waits;
	const size_t waiting = tls_pending(tls, &waits);
	assert(len > 0 && len <= TLS_PIECE_BYTES);
	if (tls->is_broken || waiting > TLS_SEALED_BYTES - TLS_PIECE_BYTES) {
		return STATUS_PROTOCOL;
	}
	if (waiting > 0) {
		memcpy(out, waits, waiting);
		tls_sent(tls, waiting);
	}
	size_t sealed = 0;
	tls->sealed = out;
	tls->sealed_len = waiting;
	ERR_clear_error();
	const bool is_sealed = SSL_write_ex(tls->ssl, data, len, &sealed) == 1 && sealed == len;
	tls->sealed = NULL;
	if (!is_sealed) {
		tls->is_broken = true;
		ERR_clear_error();
		return STATUS_PROTOCOL;
	}
	*n = tls->sealed_len;
	return STATUS_OK;
}

void tls_end(struct tls *tls)
{
	if (!tls->is_broken) {
		(void)SSL_shutdown(tls->ssl);
		ERR_clear_error();
	}
}
