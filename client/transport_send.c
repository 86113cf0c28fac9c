/* transport_send.c - sends requests, each within a deadline. */
#include "client/clock.h"
#include "client/secure.h"
#include "client/transport.h"
#include "client/transport_parts.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* The bound of answers that are received while a request is being sent. */
static const size_t receive_bytes_max = (size_t)256 << 20;

/* Waits until bytes can be sent, and receives what arrives meanwhile. */
static enum status wait_to_send(struct transport *transport, int64_t deadline_ms, struct error *err)
{
	int64_t left = 0;
	if (deadline_ms != CLOCK_NEVER_MS) {
		left = deadline_ms - clock_now_ms();
		if (left <= 0) {
			return error_set(err, STATUS_TIMEOUT,
				"'%s': the daemon took no more of the request in time",
				transport->address);
		}
	}
	left = transport_slice_ms(transport, left);
	struct pollfd wait = {.fd = transport->fd, .events = POLLIN | POLLOUT};
	int ready = poll(&wait, 1, transport_poll_ms(left));
	if (ready < 0 && errno != EINTR) {
		return error_set(err, STATUS_IO, "poll: %s", strerror(errno));
	}
	if (ready <= 0) {
		return transport_check_interrupted(transport, err);
	}
	if ((wait.revents & POLLIN) == 0) {
		return STATUS_OK;
	}
	if (transport->len - transport->at >= receive_bytes_max) {
		return error_set(err, STATUS_TOO_LARGE,
			"%zu bytes of answers wait to be received; receive some before sending more",
			transport->len - transport->at);
	}
	enum status status = transport_make_room(transport, TRANSPORT_ROOM_MIN, err);
	if (status != STATUS_OK) {
		return status;
	}
	const struct transport_space space = {.at = transport->data + transport->len,
		.room = transport->cap - transport->len};
	size_t n = 0;
	status = transport_receive_at(transport, &space, MSG_DONTWAIT, &n, err);
	transport->len += n;
	return status == STATUS_AGAIN ? STATUS_OK : status;
}

enum status transport_try_send(struct transport *transport, const struct iovec *parts, size_t count,
	size_t *sent, struct error *err)
{
	transport_check_connected(transport);
	if (transport->tls != NULL) {
		return secure_try_send(transport, parts, count, sent, err);
	}
	/* sendmsg changes none of them. */
	const struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = count};
	const ssize_t n = sendmsg(transport->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	*sent = n < 0 ? 0 : (size_t)n;
	if (n >= 0) {
		return STATUS_OK;
	}
	if (errno == EAGAIN || errno == EINTR) {
		return STATUS_AGAIN;
	}
	return error_set(err, errno == ENOMEM ? STATUS_NO_MEMORY : STATUS_CLOSED,
		"send to '%s': %s", transport->address, strerror(errno));
}

/* Sends what was sealed and waits. */
static enum status flush(struct transport *transport, int64_t deadline_ms, struct error *err)
{
	enum status status = STATUS_OK;
	while (status == STATUS_OK && secure_has_unsent(transport)) {
		status = secure_flush(transport, err);
		if (status == STATUS_AGAIN) {
			status = wait_to_send(transport, deadline_ms, err);
		}
	}
	return status;
}

enum status transport_send(struct transport *transport, struct iovec *parts, size_t count,
	int64_t deadline_ms, struct error *err)
{
	transport_check_connected(transport);
	if (transport->is_embedded) {
		return transport_embedded_send(transport, parts, count, err);
	}
	while (count > 0) {
		size_t sent = 0;
		enum status status = transport_try_send(transport, parts, count, &sent, err);
		if (status == STATUS_AGAIN) {
			status = wait_to_send(transport, deadline_ms, err);
		}
		if (status != STATUS_OK) {
			return status;
		}
		while (count > 0 && sent >= parts->iov_len) {
			sent -= parts->iov_len;
			parts++;
			count--;
		}
		if (sent > 0) {
			parts->iov_base = (uint8_t *)parts->iov_base + sent;
			parts->iov_len -= sent;
		}
	}
	return flush(transport, deadline_ms, err);
}
