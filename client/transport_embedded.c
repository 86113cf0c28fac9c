/* transport_embedded.c - requests to a peer in this process wait in the buffer, and are answered when they are
 * received: a pipeline keeps what it has asked, which is small, and no answers.
 */
#include "client/clock.h"
#include "client/embedded.h"
#include "client/transport.h"
#include "client/transport_parts.h"

#include <assert.h>
#include <string.h>

/* The bound of requests that wait. */
static const size_t waiting_bytes_max = (size_t)256 << 20;

enum status transport_embedded_send(struct transport *transport, const struct iovec *parts,
	size_t count, struct error *err)
{
	size_t bytes = 0;
	for (size_t i = 0; i < count; i++) {
		bytes += parts[i].iov_len;
	}
	const size_t waiting = transport->len - transport->at;
	if (waiting + bytes > waiting_bytes_max) {
		return error_set(err, STATUS_TOO_LARGE,
			"%zu bytes of requests wait for their answers; receive some before sending more",
			waiting);
	}
	const enum status status = transport_make_room(transport, bytes, err);
	for (size_t i = 0; i < count && status == STATUS_OK; i++) {
		memcpy(transport->data + transport->len, parts[i].iov_base, parts[i].iov_len);
		transport->len += parts[i].iov_len;
	}
	return status;
}

/* What is left, as a peer takes it: 0 is without end, so what is over is a moment. */
static unsigned left_ms(int64_t deadline_ms)
{
	if (deadline_ms == CLOCK_NEVER_MS) {
		return 0;
	}
	const int64_t left = deadline_ms - clock_now_ms();
	return left < 1 ? 1 : left > UINT32_MAX ? UINT32_MAX : (unsigned)left;
}

enum status transport_embedded_receive(struct transport *transport, int64_t deadline_ms,
	struct wire_bytes *message, struct error *err)
{
	struct wire_bytes request;
	const enum status status = transport_take(transport, &request, err);
	assert(status == STATUS_OK); /* whoever receives has sent, and sends whole requests */
	return transport->embedded->call(transport->embedded_context, request, left_ms(deadline_ms),
		message, err);
}
