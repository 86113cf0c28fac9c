/* secure.c - seals requests and opens answers, between a transport and its socket. */
#include "client/secure.h"

#include "client/address.h"
#include "tls/tls.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	RECEIVED_BYTES = TLS_PIECE_BYTES,
	/* A request of several parts is sealed part after part, and sent by one system call. */
	SEALED_BYTES = 2 * TLS_SEALED_BYTES,
};

/* The records of a connection: those that were received, and those that are to be sent. */
struct secure_records {
	size_t at; /* sealed[at, len) is to be sent */
	size_t len;
	uint8_t sealed[SEALED_BYTES];
	uint8_t received[RECEIVED_BYTES];
};

static enum status missing(const struct transport *transport, const char *what,
	const char *variable, struct error *err)
{
	return error_set(err, STATUS_BAD_REQUEST, "address '%s': no %s is given, nor is $%s",
		transport->address, what, variable);
}

static enum status check_files(const struct transport *transport, const struct secure *secure,
	struct error *err)
{
	if (secure == NULL || secure->authority == NULL) {
		return missing(transport, "tls_authority", "REPSTORE_TLS_AUTHORITY", err);
	}
	if (secure->certificate == NULL) {
		return missing(transport, "tls_certificate", "REPSTORE_TLS_CERTIFICATE", err);
	}
	if (secure->key == NULL) {
		return missing(transport, "tls_key", "REPSTORE_TLS_KEY", err);
	}
	return STATUS_OK;
}

static enum status open_tls(struct transport *transport, struct error *err)
{
	const struct secure *secure = transport->secure;
	const struct tls_files files = {
		.certificate = secure->certificate,
		.key = secure->key,
		.authority = secure->authority,
	};
	char host[ADDRESS_HOST_BYTES];
	const char *name = secure->server_name;
	struct tls_context *context = NULL;
	if (name == NULL) {
		address_host(transport->address, host);
		name = host;
	}
	enum status status = tls_context_open(&files, TLS_CLIENT, &context, err);
	if (status == STATUS_OK) {
		status = tls_open(context, name, &transport->tls, err);
		tls_context_close(context);
	}
	return status;
}

enum status secure_begin(struct transport *transport, struct error *err)
{
	assert(transport->tls == NULL && transport->records == NULL);
	if (!address_is_tls(transport->address)) {
		return STATUS_OK;
	}
	enum status status = check_files(transport, transport->secure, err);
	if (status == STATUS_OK) {
		status = open_tls(transport, err);
	}
	if (status == STATUS_OK) {
		transport->records = malloc(sizeof *transport->records);
		if (transport->records == NULL) {
			return error_set(err, STATUS_NO_MEMORY, "no memory for a connection");
		}
		transport->records->at = transport->records->len = 0;
	}
	return status;
}

void secure_end(struct transport *transport)
{
	tls_close(transport->tls);
	free(transport->records);
	transport->tls = NULL;
	transport->records = NULL;
	transport->is_secured = false;
}

/* Says of which daemon an error is. */
static enum status name_daemon(const struct transport *transport, enum status status,
	struct error *err)
{
	return err != NULL ? error_set(err, status, "'%s': %s", transport->address, err->text)
			   : status;
}

/* Receives some records. AGAIN: nothing has come. */
static enum status receive_records(struct transport *transport, int flags, struct error *err)
{
	struct secure_records *records = transport->records;
	const ssize_t got = recv(transport->fd, records->received, sizeof records->received, flags);
	if (got > 0) {
		tls_feed(transport->tls, records->received, (size_t)got);
		return STATUS_OK;
	}
	if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
		return STATUS_AGAIN;
	}
	return error_set(err, STATUS_CLOSED, "'%s': %s", transport->address,
		got == 0 ? "the daemon closed the connection" : strerror(errno));
}

enum status secure_handshake(struct transport *transport, struct error *err)
{
	if (transport->tls == NULL || transport->is_secured) {
		return STATUS_OK;
	}
	for (;;) {
		enum status status = tls_handshake(transport->tls, err);
		if (status != STATUS_OK && status != STATUS_AGAIN) {
			(void)secure_flush(transport, NULL); /* the alert */
			return name_daemon(transport, status, err);
		}
		transport->is_secured = status == STATUS_OK;
		const enum status flushed = secure_flush(transport, err);
		if (flushed != STATUS_OK || transport->is_secured) {
			return flushed == STATUS_AGAIN && transport->is_secured ? STATUS_OK
										: flushed;
		}
		status = receive_records(transport, MSG_DONTWAIT, err);
		if (status != STATUS_OK) {
			return status;
		}
	}
}

enum status secure_receive(struct transport *transport, const struct transport_space *space,
	int flags, size_t *n, struct error *err)
{
	enum status status = tls_read(transport->tls, space->at, space->room, n, err);
	if (status == STATUS_AGAIN) {
		status = receive_records(transport, flags & MSG_DONTWAIT, err);
		if (status != STATUS_OK) {
			return status;
		}
		/* AGAIN: a record of which a part is missing. The caller looks at the clock. */
		status = tls_read(transport->tls, space->at, space->room, n, err);
	}
	if (status == STATUS_CLOSED) {
		return error_set(err, status, "'%s': the daemon closed the connection",
			transport->address);
	}
	return status == STATUS_OK || status == STATUS_AGAIN ? status
							     : name_daemon(transport, status, err);
}

bool secure_has_more(const struct transport *transport)
{
	return transport->tls != NULL && tls_has_more(transport->tls);
}

/* Sends data[at, len), and moves *at. */
static enum status send_some(const struct transport *transport, const uint8_t *data, size_t len,
	size_t *sent, struct error *err)
{
	const ssize_t n = send(transport->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	*sent = n > 0 ? (size_t)n : 0;
	if (n >= 0) {
		return STATUS_OK;
	}
	if (errno == EAGAIN || errno == EINTR) {
		return STATUS_AGAIN;
	}
	return error_set(err, errno == ENOMEM ? STATUS_NO_MEMORY : STATUS_CLOSED,
		"send to '%s': %s", transport->address, strerror(errno));
}

enum status secure_flush(struct transport *transport, struct error *err)
{
	struct secure_records *records = transport->records;
	enum status status = STATUS_OK;
	size_t sent = 0;
	if (records == NULL) {
		return STATUS_OK;
	}
	while (status == STATUS_OK && records->at < records->len) {
		status = send_some(transport, records->sealed + records->at,
			records->len - records->at, &sent, err);
		records->at += sent;
	}
	const uint8_t *data;
	size_t len;
	while (status == STATUS_OK && (len = tls_pending(transport->tls, &data)) > 0) {
		status = send_some(transport, data, len, &sent, err);
		tls_sent(transport->tls, sent);
	}
	return status;
}

bool secure_has_unsent(const struct transport *transport)
{
	const struct secure_records *records = transport->records;
	const uint8_t *data;
	return records != NULL &&
	       (records->at < records->len || tls_pending(transport->tls, &data) > 0);
}

/* Seals as much of a part as there is room for. */
static enum status seal_part(struct transport *transport, const struct iovec *part, size_t *sent,
	struct error *err)
{
	struct secure_records *records = transport->records;
	for (size_t at = 0; at < part->iov_len;) {
		const size_t rest = part->iov_len - at;
		const size_t piece = rest < TLS_PIECE_BYTES ? rest : TLS_PIECE_BYTES;
		size_t len = 0;
		if (records->len + TLS_SEALED_BYTES > sizeof records->sealed) {
			return STATUS_AGAIN;
		}
		if (tls_seal(transport->tls, (const uint8_t *)part->iov_base + at, piece,
			    records->sealed + records->len, &len) != STATUS_OK) {
			return error_set(err, STATUS_CLOSED, "'%s': TLS: the connection is broken",
				transport->address);
		}
		records->len += len;
		*sent += piece;
		at += piece;
	}
	return STATUS_OK;
}

enum status secure_try_send(struct transport *transport, const struct iovec *parts, size_t count,
	size_t *sent, struct error *err)
{
	*sent = 0;
	enum status status = secure_flush(transport, err);
	if (status != STATUS_OK) {
		return status;
	}
	transport->records->at = transport->records->len = 0;
	for (size_t i = 0; i < count && status == STATUS_OK; i++) {
		status = seal_part(transport, &parts[i], sent, err);
	}
	if (status == STATUS_OK || status == STATUS_AGAIN) {
		status = secure_flush(transport, err);
	}
	return status == STATUS_AGAIN ? STATUS_OK : status;
}

bool secure_is_dead(struct transport *transport)
{
	uint8_t byte;
	const struct transport_space space = {.at = &byte, .room = 1};
	size_t n = 0;
	/* An idle connection is owed nothing, but the daemon may have said that it ends. */
	return secure_receive(transport, &space, MSG_DONTWAIT, &n, NULL) != STATUS_AGAIN;
}
