/* tls_context.c - reads certificates, keys and lists, and says what both sides insist on. */
#include "tls/tls_parts.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	/* Certificates between the peer's and its authority's. */
	CONTEXT_DEPTH = 4,
	CONTEXT_CHAIN_BYTES = 32 << 10, /* all that a peer shows */
};

static const char groups[] = "X25519:P-256:P-384";
/* By the processors' AES the first is the fastest, and it is as safe as what follows. */
static const char suites[] =
	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

enum status tls_fail(struct error *err, enum status status, const char *what)
{
	const unsigned long code = ERR_peek_last_error();
	const char *why = ERR_reason_error_string(code);
	const bool is_memory = ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
	ERR_clear_error();
	return error_set(err, is_memory ? STATUS_NO_MEMORY : status, "%s: %s", what,
		why != NULL ? why : "no reason is given");
}

/* Of a key with a passphrase: nobody is there to be asked for it. */
static int refuse_passphrase(char *out, int size, int is_write, void *arg)
{
	(void)out;
	(void)size;
	(void)is_write;
	(void)arg;
	return -1;
}

static enum status check_readable(const char *kind, const char *path, struct error *err)
{
	if (access(path, R_OK) == 0) {
		return STATUS_OK;
	}
	return error_set(err, STATUS_IO, "%s '%s': %s", kind, path, strerror(errno));
}

/* Whether a file had nothing that looked like what was read. */
static bool is_no_pem(unsigned long code)
{
	const int lib = ERR_GET_LIB(code);
	const int reason = ERR_GET_REASON(code);
	return (lib == ERR_LIB_PEM && reason == PEM_R_NO_START_LINE) ||
	       (lib == ERR_LIB_OSSL_DECODER && reason == ERR_R_UNSUPPORTED);
}

static enum status fail_file(const char *kind, const char *path, struct error *err)
{
	char what[ERROR_TEXT_BYTES];
	if (is_no_pem(ERR_peek_error())) {
		ERR_clear_error();
		return error_set(err, STATUS_BAD_REQUEST, "%s '%s': it is no PEM file of one", kind,
			path);
	}
	(void)snprintf(what, sizeof what, "%s '%s'", kind, path);
	return tls_fail(err, STATUS_BAD_REQUEST, what);
}

static enum status read_own(SSL_CTX *ssl, const struct tls_files *files, struct error *err)
{
	enum status status = check_readable("certificate", files->certificate, err);
	if (status == STATUS_OK &&
		SSL_CTX_use_certificate_chain_file(ssl, files->certificate) != 1) {
		status = fail_file("certificate", files->certificate, err);
	}
	if (status == STATUS_OK) {
		status = check_readable("key", files->key, err);
	}
	SSL_CTX_set_default_passwd_cb(ssl, refuse_passphrase);
	if (status != STATUS_OK ||
		SSL_CTX_use_PrivateKey_file(ssl, files->key, SSL_FILETYPE_PEM) == 1) {
		return status;
	}
	const int reason = ERR_GET_REASON(ERR_peek_last_error());
	if (reason != X509_R_KEY_VALUES_MISMATCH && reason != X509_R_KEY_TYPE_MISMATCH) {
		status = fail_file("key", files->key, err);
	} else {
		ERR_clear_error();
		status = error_set(err, STATUS_BAD_REQUEST,
			"key '%s': it does not belong to the certificate '%s'", files->key,
			files->certificate);
	}
	return status;
}

static enum status read_authority(SSL_CTX *ssl, const struct tls_files *files, enum tls_side side,
	struct error *err)
{
	const char *path = files->authority;
	const enum status status = check_readable("authority", path, err);
	if (status != STATUS_OK) {
		return status;
	}
	if (SSL_CTX_load_verify_file(ssl, path) != 1) {
		return fail_file("authority", path, err);
	}
	if (side == TLS_SERVER) {
		/* A client that has several certificates chooses by it. */
		STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(path);
		if (names == NULL) {
			return fail_file("authority", path, err);
		}
		SSL_CTX_set_client_CA_list(ssl, names);
	}
	return STATUS_OK;
}

static int64_t unix_ms_of(const ASN1_TIME *time)
{
	struct tm parts;
	return time != NULL && ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) * 1000
								  : 0;
}

/* The first of the lists to end: from then on certificates of its authority are refused. */
static int64_t crl_next_of(X509_STORE *store)
{
	int64_t next_ms = 0;
	STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);
	for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
		const X509_CRL *list = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(objects, i));
		const int64_t each_ms =
			list != NULL ? unix_ms_of(X509_CRL_get0_nextUpdate(list)) : 0;
		if (each_ms != 0 && (next_ms == 0 || each_ms < next_ms)) {
			next_ms = each_ms;
		}
	}
	return next_ms;
}

static enum status read_crl(struct tls_context *context, const char *path, struct error *err)
{
	if (path == NULL) {
		return STATUS_OK;
	}
	const enum status status = check_readable("crl", path, err);
	if (status != STATUS_OK) {
		return status;
	}
	X509_STORE *store = SSL_CTX_get_cert_store(context->ssl);
	X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
	if (lookup == NULL || X509_load_crl_file(lookup, path, X509_FILETYPE_PEM) < 1) {
		return fail_file("crl", path, err);
	}
	/* All of the chain: that a certificate between was revoked is not to be passed over in silence. */
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	context->crl_next_ms = crl_next_of(store);
	return STATUS_OK;
}

/* What both sides insist on. */
static bool set_rules(SSL_CTX *ssl)
{
	SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	/* Buffers of a connection that has nothing to say are freed: there may be thousands of them. */
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
		tls_peer_on_verified);
	SSL_CTX_set_verify_depth(ssl, CONTEXT_DEPTH);
	SSL_CTX_set_max_cert_list(ssl, CONTEXT_CHAIN_BYTES);
	return SSL_CTX_set_min_proto_version(ssl, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_num_tickets(ssl, 0) == 1 && SSL_CTX_set1_groups_list(ssl, groups) == 1 &&
	       SSL_CTX_set_ciphersuites(ssl, suites) == 1;
}

static enum status open_parts(struct tls_context *context, const struct tls_files *files,
	struct error *err)
{
	context->ssl = SSL_CTX_new(
		context->side == TLS_SERVER ? TLS_server_method() : TLS_client_method());
	if (context->ssl == NULL || !set_rules(context->ssl)) {
		return tls_fail(err, STATUS_INTERNAL, "TLS cannot be set up");
	}
	enum status status = read_own(context->ssl, files, err);
	if (status == STATUS_OK) {
		status = read_authority(context->ssl, files, context->side, err);
	}
	if (status == STATUS_OK) {
		status = read_crl(context, files->crl, err);
	}
	if (status == STATUS_OK) {
		context->not_after_ms =
			unix_ms_of(X509_get0_notAfter(SSL_CTX_get0_certificate(context->ssl)));
	}
	return status;
}

enum status tls_context_open(const struct tls_files *files, enum tls_side side,
	struct tls_context **out, struct error *err)
{
	struct tls_context *context = calloc(1, sizeof *context);
	if (context == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for certificates");
	}
	assert(files->certificate != NULL && files->key != NULL && files->authority != NULL);
	context->side = side;
	atomic_init(&context->holders, 1);
	ERR_clear_error();
	const enum status status = open_parts(context, files, err);
	if (status != STATUS_OK) {
		tls_context_close(context);
		return status;
	}
	*out = context;
	return STATUS_OK;
}

struct tls_context *tls_context_hold(struct tls_context *context)
{
	atomic_fetch_add(&context->holders, 1);
	return context;
}

void tls_context_close(struct tls_context *context)
{
	if (context == NULL || atomic_fetch_sub(&context->holders, 1) > 1) {
		return;
	}
	SSL_CTX_free(context->ssl);
	free(context);
}

int64_t tls_context_not_after_ms(const struct tls_context *context)
{
	return context->not_after_ms;
}

int64_t tls_context_crl_next_ms(const struct tls_context *context)
{
	return context->crl_next_ms;
}
