/* tls_absent.c - in place of the others where the build has no OpenSSL: no context can be opened, so that
 * nothing else is ever called. */
#include "tls/tls.h"

#include <assert.h>

enum status tls_context_open(const struct tls_files *files, enum tls_side side,
	struct tls_context **out, struct error *err)
{
	(void)files;
	(void)side;
	(void)out;
	return error_set(err, STATUS_UNSUPPORTED,
		"this build has no TLS; build it with OpenSSL (libssl-dev, meson setup -Dtls=enabled)");
}

struct tls_context *tls_context_hold(struct tls_context *context)
{
	assert(context == NULL);
	return context;
}

void tls_context_close(struct tls_context *context)
{
	assert(context == NULL);
}

int64_t tls_context_not_after_ms(const struct tls_context *context)
{
	assert(context == NULL);
	return 0;
}

int64_t tls_context_crl_next_ms(const struct tls_context *context)
{
	assert(context == NULL);
	return 0;
}

enum status tls_open(struct tls_context *context, const char *server_name, struct tls **out,
	struct error *err)
{
	(void)context;
	(void)server_name;
	(void)out;
	return error_set(err, STATUS_UNSUPPORTED, "this build has no TLS");
}

void tls_close(struct tls *tls)
{
	assert(tls == NULL);
}

void tls_feed(struct tls *tls, const uint8_t *data, size_t len)
{
	(void)data;
	(void)len;
	assert(tls == NULL);
}

size_t tls_unread(const struct tls *tls)
{
	assert(tls == NULL);
	return 0;
}

enum status tls_keep(struct tls *tls)
{
	assert(tls == NULL);
	return STATUS_UNSUPPORTED;
}

enum status tls_handshake(struct tls *tls, struct error *err)
{
	assert(tls == NULL);
	return error_set(err, STATUS_UNSUPPORTED, "this build has no TLS");
}

enum tls_refusal tls_refusal(const struct tls *tls)
{
	assert(tls == NULL);
	return TLS_REFUSED_HANDSHAKE;
}

const struct tls_peer *tls_peer(const struct tls *tls)
{
	assert(tls == NULL);
	return NULL;
}

enum status tls_verify(struct tls *tls, struct tls_context *context)
{
	assert(tls == NULL && context == NULL);
	return STATUS_UNSUPPORTED;
}

enum status tls_read(struct tls *tls, uint8_t *out, size_t room, size_t *n, struct error *err)
{
	(void)out;
	(void)room;
	(void)n;
	assert(tls == NULL);
	return error_set(err, STATUS_UNSUPPORTED, "this build has no TLS");
}

bool tls_has_more(const struct tls *tls)
{
	assert(tls == NULL);
	return false;
}

enum status tls_seal(struct tls *tls, const uint8_t *data, size_t len, uint8_t *out, size_t *n)
{
	(void)data;
	(void)len;
	(void)out;
	(void)n;
	assert(tls == NULL);
	return STATUS_UNSUPPORTED;
}

size_t tls_pending(const struct tls *tls, const uint8_t **data)
{
	(void)data;
	assert(tls == NULL);
	return 0;
}

void tls_sent(struct tls *tls, size_t n)
{
	(void)n;
	assert(tls == NULL);
}

void tls_end(struct tls *tls)
{
	assert(tls == NULL);
}
