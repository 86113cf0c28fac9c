/* tls_memory.c - what OpenSSL takes for a socket: bytes that were fed, and bytes that wait to be sent. */
#include "tls/tls_parts.h"

#include <assert.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORY_PENDING_MIN = 4096 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static BIO_METHOD *method; /* NULL: there was no memory */

static int give(BIO *bio, char *out, size_t room, size_t *n)
{
	struct tls *tls = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (tls->in_len == 0) {
		BIO_set_retry_read(bio);
		return 0;
	}
	*n = tls->in_len < room ? tls->in_len : room;
	memcpy(out, tls->in, *n);
	tls->in += *n;
	tls->in_len -= *n;
	return 1;
}

static bool make_room(struct tls *tls, size_t len)
{
	if (tls->pending_len + len <= tls->pending_cap) {
		return true;
	}
	size_t cap = tls->pending_cap > 0 ? tls->pending_cap : MEMORY_PENDING_MIN;
	while (cap < tls->pending_len + len) {
		cap *= 2;
	}
	uint8_t *pending = realloc(tls->pending, cap);
	if (pending == NULL) {
		return false;
	}
	tls->pending = pending;
	tls->pending_cap = cap;
	return true;
}

static int take(BIO *bio, const char *data, size_t len, size_t *n)
{
	struct tls *tls = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (tls->sealed != NULL) {
		if (tls->sealed_len + len > TLS_SEALED_BYTES) {
			return 0;
		}
		memcpy(tls->sealed + tls->sealed_len, data, len);
		tls->sealed_len += len;
	} else if (make_room(tls, len)) {
		memcpy(tls->pending + tls->pending_len, data, len);
		tls->pending_len += len;
	} else {
		return 0;
	}
	*n = len;
	return 1;
}

static long control(BIO *bio, int command, long number, void *arg)
{
	(void)bio;
	(void)number;
	(void)arg;
	return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static void make_method(void)
{
	method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "fed and pending");
	if (method != NULL) {
		(void)BIO_meth_set_read_ex(method, give);
		(void)BIO_meth_set_write_ex(method, take);
		(void)BIO_meth_set_ctrl(method, control);
	}
}

enum status tls_attach_memory(struct tls *tls)
{
	(void)pthread_once(&once, make_method);
	BIO *bio = method != NULL ? BIO_new(method) : NULL;
	if (bio == NULL) {
		return STATUS_NO_MEMORY;
	}
	BIO_set_data(bio, tls);
	BIO_set_init(bio, 1);
	SSL_set_bio(tls->ssl, bio, bio);
	return STATUS_OK;
}

struct tls *tls_of(struct ssl_st *ssl)
{
	return BIO_get_data(SSL_get_rbio(ssl));
}

void tls_feed(struct tls *tls, const uint8_t *data, size_t len)
{
	assert(tls->in_len == 0);
	free(tls->kept);
	tls->kept = NULL;
	tls->in = data;
	tls->in_len = len;
}

size_t tls_unread(const struct tls *tls)
{
	return tls->in_len;
}

enum status tls_keep(struct tls *tls)
{
	if (tls->in_len == 0) {
		free(tls->kept);
		tls->kept = NULL;
		tls->in = NULL;
		return STATUS_OK;
	}
	if (tls->kept != NULL) {
		return STATUS_OK;
	}
	uint8_t *kept = malloc(tls->in_len);
	if (kept == NULL) {
		return STATUS_NO_MEMORY;
	}
	memcpy(kept, tls->in, tls->in_len);
	tls->kept = kept;
	tls->in = kept;
	return STATUS_OK;
}

size_t tls_pending(const struct tls *tls, const uint8_t **data)
{
	*data = tls->pending != NULL ? tls->pending + tls->pending_at : NULL;
	return tls->pending_len - tls->pending_at;
}

void tls_sent(struct tls *tls, size_t n)
{
	assert(n <= tls->pending_len - tls->pending_at);
	tls->pending_at += n;
	if (tls->pending_at == tls->pending_len) {
		free(tls->pending);
		tls->pending = NULL;
		tls->pending_at = tls->pending_len = tls->pending_cap = 0;
	}
}
