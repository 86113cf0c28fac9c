/* tls_peer.c - who a peer is by its certificate, and whether that is still valid. */
#include "tls/tls_parts.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

enum tls_refusal tls_refusal_of(long verified)
{
	switch (verified) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return TLS_REFUSED_EXPIRED;
	case X509_V_ERR_CERT_REVOKED:
		return TLS_REFUSED_REVOKED;
	case X509_V_ERR_UNABLE_TO_GET_CRL:
	case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
	case X509_V_ERR_CRL_NOT_YET_VALID:
	case X509_V_ERR_CRL_HAS_EXPIRED:
	case X509_V_ERR_CRL_SIGNATURE_FAILURE:
		return TLS_REFUSED_LIST;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_UNTRUSTED:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		return TLS_REFUSED_AUTHORITY;
	default:
		return TLS_REFUSED_CERTIFICATE;
	}
}

/* ---- names ---- */

/* A name with a NUL in it would be another name for whoever compares texts. */
static void add_name(struct tls_peer *peer, enum tls_name_kind kind, const ASN1_STRING *text)
{
	const unsigned char *bytes = ASN1_STRING_get0_data(text);
	const int len = ASN1_STRING_length(text);
	if (peer->names_count == TLS_NAMES_MAX || len <= 0 || (size_t)len >= TLS_NAME_BYTES ||
		memchr(bytes, '\0', (size_t)len) != NULL) {
		return;
	}
	struct tls_name *name = &peer->names[peer->names_count++];
	name->kind = kind;
	memcpy(name->text, bytes, (size_t)len);
	name->text[len] = '\0';
}

static void add_alternatives(struct tls_peer *peer, const GENERAL_NAMES *names, int type)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type == type) {
			add_name(peer, type == GEN_URI ? TLS_NAME_URI : TLS_NAME_DNS, name->d.ia5);
		}
	}
}

/* The last one, if there are several, is the most specific. */
static void add_common_name(struct tls_peer *peer, X509 *certificate)
{
	X509_NAME *subject = X509_get_subject_name(certificate);
	int last = -1;
	for (int at = -1; (at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0;) {
		last = at;
	}
	if (last < 0) {
		return;
	}
	/* It may be of an old kind, of two bytes a letter. */
	unsigned char *utf8 = NULL;
	const int len = ASN1_STRING_to_UTF8(&utf8,
		X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)));
	ASN1_STRING *text = len > 0 ? ASN1_STRING_new() : NULL;
	if (text != NULL && ASN1_STRING_set(text, utf8, len) == 1) {
		add_name(peer, TLS_NAME_CN, text);
	}
	ASN1_STRING_free(text);
	OPENSSL_free(utf8);
}

static int64_t chain_end_ms(const STACK_OF(X509) * chain)
{
	int64_t end_ms = 0;
	for (int i = 0; i < sk_X509_num(chain); i++) {
		struct tm parts;
		const ASN1_TIME *end = X509_get0_notAfter(sk_X509_value(chain, i));
		const int64_t each_ms =
			ASN1_TIME_to_tm(end, &parts) == 1 ? (int64_t)timegm(&parts) * 1000 : 0;
		end_ms = i == 0 || each_ms < end_ms ? each_ms : end_ms;
	}
	return end_ms;
}

void tls_peer_read_names(X509 *certificate, struct tls_peer *peer)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	peer->names_count = 0;
	if (names != NULL) {
		add_alternatives(peer, names, GEN_URI);
		add_alternatives(peer, names, GEN_DNS);
		GENERAL_NAMES_free(names);
	}
	add_common_name(peer, certificate);
}

void tls_peer_read(struct tls *tls)
{
	tls_peer_read_names(SSL_get0_peer_certificate(tls->ssl), &tls->peer);
	tls->peer.not_after_ms = chain_end_ms(SSL_get0_verified_chain(tls->ssl));
	ERR_clear_error();
}

int tls_peer_on_verified(int is_valid, X509_STORE_CTX *check)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(check, SSL_get_ex_data_X509_STORE_CTX_idx());
	X509 *certificate = X509_STORE_CTX_get0_cert(check);
	if (is_valid == 0 && ssl != NULL && certificate != NULL) {
		tls_peer_read_names(certificate, &tls_of(ssl)->peer);
	}
	return is_valid;
}

/* ---- once more ---- */

enum status tls_verify(struct tls *tls, struct tls_context *context)
{
	X509_STORE_CTX *check = X509_STORE_CTX_new();
	if (check == NULL ||
		X509_STORE_CTX_init(check, SSL_CTX_get_cert_store(context->ssl),
			SSL_get0_peer_certificate(tls->ssl),
			SSL_get_peer_cert_chain(tls->ssl)) != 1 ||
		X509_STORE_CTX_set_default(check, "ssl_client") != 1) {
		X509_STORE_CTX_free(check);
		ERR_clear_error();
		return STATUS_NO_MEMORY;
	}
	X509_STORE_CTX_set_depth(check, SSL_CTX_get_verify_depth(context->ssl));
	enum status status = STATUS_OK;
	if (X509_verify_cert(check) == 1) {
		tls->peer.not_after_ms = chain_end_ms(X509_STORE_CTX_get0_chain(check));
	} else {
		tls->refusal = tls_refusal_of(X509_STORE_CTX_get_error(check));
		status = STATUS_DENIED;
	}
	X509_STORE_CTX_free(check);
	ERR_clear_error();
	return status;
}
