/* session_tls.c - opens records, and looks whether the peer's certificate still holds. */
#include "daemon/net/session_tls.h"

#include "daemon/net/net.h"
#include "daemon/store/system/clock.h"

#include <assert.h>

/* Records may have one byte each. After so many the session looks whether its turn is over. */
enum { RECORDS_MAX = 64 };

uv_buf_t session_tls_space(const struct session *session)
{
	return uv_buf_init((char *)session->loop->records, TLS_PIECE_BYTES);
}

void session_tls_filled(struct session *session, size_t count)
{
	tls_feed(session->tls, session->loop->records, count);
}

uint8_t *session_tls_records(const struct session *session)
{
	return session->loop->records + TLS_SEALED_BYTES;
}

/* Sends what is pending, as far as the socket takes it; behind replies that wait it would come in the midst
 * of them. */
static void send_pending(struct session *session)
{
	const uint8_t *data;
	const size_t len = session->unsent == 0 ? tls_pending(session->tls, &data) : 0;
	if (len > 0) {
		uv_buf_t buf = uv_buf_init((char *)data, (unsigned)len);
		const int n = uv_try_write(&session->uv.stream, &buf, 1);
		tls_sent(session->tls, n > 0 ? (size_t)n : 0);
	}
}

void session_tls_say_end(struct session *session)
{
	tls_end(session->tls);
	send_pending(session);
}

static void close_refused(struct session *session, enum tls_refusal refusal, const char *why)
{
	uv_os_fd_t fd = -1;
	(void)uv_fileno(&session->uv.handle, &fd);
	credentials_note_refusal(session->loop->net, fd, refusal, tls_peer(session->tls), why);
	session_tls_say_end(session);
	session_close(session);
}

/* Whether the peer's certificate has expired since, or was revoked. False: the session was closed. */
static bool is_valid(struct session *session)
{
	struct credentials *credentials = &session->loop->net->credentials;
	const uint64_t generation = atomic_load(&credentials->generation);
	if (clock_unix_ms() >= tls_peer(session->tls)->not_after_ms) {
		close_refused(session, TLS_REFUSED_EXPIRED,
			"it has expired since the peer has connected");
		return false;
	}
	if (generation == session->tls_generation) {
		return true;
	}
	struct tls_context *context = credentials_take(credentials, &session->tls_generation);
	const enum status status = tls_verify(session->tls, context);
	tls_context_close(context);
	if (status == STATUS_OK) {
		return true;
	}
	if (status == STATUS_DENIED) {
		close_refused(session, tls_refusal(session->tls),
			"it does not hold any more since the certificates were read again");
	} else {
		session_close(session);
	}
	return false;
}

/* The peer sends nothing more, but may wait for answers. */
static void end_input(struct session *session)
{
	session->ending = true;
	session->linger_until_ms = 0;
}

enum status session_tls_open_some(struct session *session)
{
	uint8_t *space;
	size_t room;
	size_t opened = 0;
	struct error err;
	if (!is_valid(session)) {
		return STATUS_CLOSED;
	}
	enum status status = read_buffer_space(&session->in, &space, &room);
	for (unsigned i = 0; status == STATUS_OK && i < RECORDS_MAX && opened < room; i++) {
		size_t n = 0;
		status = tls_read(session->tls, space + opened, room - opened, &n, &err);
		opened += n;
	}
	read_buffer_filled(&session->in, opened);
	if (opened > 0) {
		return STATUS_OK; /* whatever ended it comes again */
	}
	if (status == STATUS_CLOSED) {
		end_input(session);
		return STATUS_AGAIN;
	}
	if (status == STATUS_PROTOCOL || status == STATUS_DENIED) {
		session_tls_say_end(session);
		session_close(session);
		return STATUS_CLOSED;
	}
	return status;
}

void session_tls_rest(struct session *session)
{
	if (!session->closing && tls_keep(session->tls) != STATUS_OK) {
		session_close(session);
	}
}
