/* transport.c - a connection of a client: made, and whole messages received, each within a deadline. */
#include "client/transport.h"
#include "client/transport_parts.h"

#include "client/address.h"
#include "client/clock.h"
#include "client/embedded.h"
#include "client/secure.h"
#include "schema/limits.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
	/* Holds the answer of 500 rows of 256 bytes with room to spare. */
	RECEIVE_BYTES_MIN = 256 << 10,
	/* When so many bytes of a message are missing, one recv waits for all of them. */
	RECEIVE_ALL_MIN = 16 << 10,
	SOCKET_BUFFER_BYTES = 4 << 20,
	/* A signal that comes just before a system call waits is not noticed by that call. */
	INTERRUPTED_MS = 500,
	/* The first bytes of an answer whose rows have a place: enough to see the rows begin. */
	PLACE_HEAD_BYTES = 1024,
	BIN32_HEAD_BYTES = 5,
};

void transport_init(struct transport *transport, const char *address)
{
	*transport = (struct transport){.address = address, .fd = -1};
}

void transport_fini(struct transport *transport)
{
	transport_disconnect(transport);
	if (transport->embedded != NULL) {
		transport->embedded->close(transport->embedded_context);
		transport->embedded = NULL;
	}
	free(transport->data);
	transport->data = NULL;
	transport->cap = 0;
}

void transport_adopt(struct transport *transport, int fd)
{
	assert(transport->fd < 0 && transport->at == transport->len);
	/* The kernel lowers both to what the system allows. */
	const int bytes = SOCKET_BUFFER_BYTES;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
	transport->fd = fd;
	transport->receive_timeout_ms = 0;
	transport->was_interrupted = false;
	transport_set_places(transport, transport->places, transport->places_count);
}

/* Does the handshake, if there is one to do. */
static enum status secure_within(struct transport *transport, int64_t deadline_ms,
	struct error *err)
{
	for (;;) {
		enum status status = secure_handshake(transport, err);
		if (status != STATUS_AGAIN) {
			return status;
		}
		int64_t left = 0;
		if (deadline_ms != CLOCK_NEVER_MS) {
			left = deadline_ms - clock_now_ms();
			if (left <= 0) {
				return error_set(err, STATUS_TIMEOUT, "'%s': no handshake in time",
					transport->address);
			}
		}
		struct pollfd wait = {.fd = transport->fd,
			.events = secure_has_unsent(transport) ? POLLOUT : POLLIN};
		const int64_t slice = transport_slice_ms(transport, left);
		if (poll(&wait, 1, transport_poll_ms(slice)) <= 0) {
			status = transport_check_interrupted(transport, err);
			if (status != STATUS_OK) {
				return status;
			}
		}
	}
}

enum status transport_connect(struct transport *transport, int64_t deadline_ms, struct error *err)
{
	assert(!transport_connected(transport) && transport->at == transport->len);
	if (transport->embedded != NULL) {
		transport->is_embedded = true;
		return STATUS_OK;
	}
	int fd = -1;
	enum status status = address_connect(transport->address, deadline_ms, &fd, err);
	if (status != STATUS_OK) {
		return status;
	}
	transport_adopt(transport, fd);
	status = secure_begin(transport, err);
	if (status == STATUS_OK) {
		status = secure_within(transport, deadline_ms, err);
	}
	if (status != STATUS_OK) {
		transport_disconnect(transport);
	}
	return status;
}

void transport_disconnect(struct transport *transport)
{
	if (transport->fd >= 0) {
		close(transport->fd);
	}
	secure_end(transport);
	transport->fd = -1;
	transport->is_embedded = false;
	transport->at = 0;
	transport->len = 0;
	transport->skim = (struct wire_skim){0};
}

bool transport_connected(const struct transport *transport)
{
	return transport->fd >= 0 || transport->is_embedded;
}

uint64_t transport_lag_ms(const struct transport *transport)
{
	return transport->embedded != NULL
		       ? transport->embedded->lag_ms(transport->embedded_context)
		       : 0;
}

bool transport_dead(struct transport *transport)
{
	char byte;
	if (transport->is_embedded) {
		return false;
	}
	if (transport->tls != NULL) {
		return secure_is_dead(transport);
	}
	ssize_t n = recv(transport->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

/* The order of [0, at) taken, [at, len) received, [len, cap) free. */
static void check_buffer(const struct transport *transport)
{
	assert(transport->at <= transport->len && transport->len <= transport->cap);
	assert(transport->skim.at <= transport->len - transport->at);
}

void transport_check_connected(const struct transport *transport)
{
	assert(transport_connected(transport));
	check_buffer(transport);
}

enum status transport_make_room(struct transport *transport, size_t missing, struct error *err)
{
	check_buffer(transport);
	if (transport->at == transport->len) {
		transport->at = 0;
		transport->len = 0;
	}
	if (missing < TRANSPORT_ROOM_MIN) {
		missing = TRANSPORT_ROOM_MIN;
	}
	if (transport->cap - transport->len >= missing) {
		return STATUS_OK;
	}
	size_t held = transport->len - transport->at;
	if (transport->at > 0) {
		memmove(transport->data, transport->data + transport->at, held);
		transport->at = 0;
		transport->len = held;
	}
	if (transport->cap - held >= missing) {
		return STATUS_OK;
	}
	size_t cap = transport->cap < RECEIVE_BYTES_MIN ? RECEIVE_BYTES_MIN : transport->cap;
	while (cap - held < missing) {
		cap *= 2;
	}
	uint8_t *data = realloc(transport->data, cap);
	if (data == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for %zu bytes of answers", cap);
	}
	transport->data = data;
	transport->cap = cap;
	return STATUS_OK;
}

enum status transport_receive_at(struct transport *transport, const struct transport_space *space,
	int flags, size_t *n, struct error *err)
{
	assert(space->room > 0);
	if (transport->tls != NULL) {
		*n = 0;
		return secure_receive(transport, space, flags, n, err);
	}
	const ssize_t got = recv(transport->fd, space->at, space->room, flags);
	*n = got > 0 ? (size_t)got : 0;
	if (got > 0) {
		return STATUS_OK;
	}
	if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
		return STATUS_AGAIN;
	}
	return error_set(err, STATUS_CLOSED, "'%s': %s", transport->address,
		got == 0 ? "the daemon closed the connection" : strerror(errno));
}

enum status transport_check_interrupted(struct transport *transport, struct error *err)
{
	if (transport->interrupted == NULL ||
		!transport->interrupted(transport->interrupted_context)) {
		return STATUS_OK;
	}
	transport->was_interrupted = true;
	return error_set(err, STATUS_CLOSED, "'%s': the call was interrupted", transport->address);
}

int64_t transport_slice_ms(const struct transport *transport, int64_t left)
{
	const bool is_asked = transport->interrupted != NULL;
	return is_asked && (left == 0 || left > INTERRUPTED_MS) ? INTERRUPTED_MS : left;
}

int transport_poll_ms(int64_t left)
{
	if (left == 0) {
		return -1;
	}
	return left > INT32_MAX ? INT32_MAX : (int)left;
}

/* Sets the socket's time-out to `left` ms; 0: none. A time-out that is set already stays while less
 * than an eighth of it has passed, so a series of calls needs no system call for it. */
static enum status arm_timeout(struct transport *transport, int64_t left, struct error *err)
{
	int64_t armed = transport->receive_timeout_ms;
	if (left == armed || (left > 0 && left <= armed && left > armed - armed / 8)) {
		return STATUS_OK;
	}
	const struct timeval wait = {.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000};
	if (setsockopt(transport->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) != 0) {
		return error_set(err, STATUS_IO, "SO_RCVTIMEO: %s", strerror(errno));
	}
	transport->receive_timeout_ms = (unsigned)left;
	return STATUS_OK;
}

/* Looks for bytes without sleeping. AGAIN: none have come. */
static enum status look_for_bytes(struct transport *transport, const struct transport_space *space,
	size_t *n, struct error *err)
{
	if (!spin_wanted(&transport->spin)) {
		return STATUS_AGAIN;
	}
	const int64_t end_ns = clock_now_ns() + (int64_t)transport->spin.most_ns;
	enum status status = STATUS_AGAIN;
	do {
		status = transport_receive_at(transport, space, MSG_DONTWAIT, n, err);
	} while (status == STATUS_AGAIN && clock_now_ns() < end_ns);
	spin_note_look(&transport->spin, status == STATUS_AGAIN);
	return status;
}

/* Waits for bytes by poll, whatever comes of it. A recv that waits on a Unix socket is woken twice a
 * request, as the kernel does not tell it what for: when the peer takes the request out of the socket, which
 * makes room to send, and when the answer is there. */
static void await_bytes(struct transport *transport, int64_t left)
{
	struct pollfd wait = {.fd = transport->fd, .events = POLLIN};
	const bool may_look = transport->spin.most_ns > 0;
	const int64_t began_ns = may_look ? clock_now_ns() : 0;
	(void)poll(&wait, 1, transport_poll_ms(left));
	if (may_look) {
		spin_note_sleep(&transport->spin, (uint64_t)(clock_now_ns() - began_ns));
	}
}

/* The deadline is over. A process that was stopped, or a machine that was asleep, may have an answer
 * that came in time. */
static enum status receive_late(struct transport *transport, const struct transport_space *space,
	size_t *n, struct error *err)
{
	enum status status = transport_receive_at(transport, space, MSG_DONTWAIT, n, err);
	return status == STATUS_AGAIN ? error_set(err, STATUS_TIMEOUT, "'%s': no answer in time",
						transport->address)
				      : status;
}

/* Receives once: whatever has arrived, or all that is missing if that is known to be much. It may be
 * nothing. */
static enum status receive_within(struct transport *transport, const struct transport_space *space,
	int64_t deadline_ms, size_t *n, struct error *err)
{
	int64_t left = 0;
	if (deadline_ms != CLOCK_NEVER_MS) {
		left = deadline_ms - clock_now_ms();
		if (left <= 0) {
			return receive_late(transport, space, n, err);
		}
	}
	left = transport_slice_ms(transport, left);
	enum status status = STATUS_AGAIN;
	if (secure_has_more(transport)) {
		status = transport_receive_at(transport, space, MSG_DONTWAIT, n, err);
	}
	if (status == STATUS_AGAIN) {
		status = look_for_bytes(transport, space, n, err);
	}
	if (status == STATUS_AGAIN && space->missing < RECEIVE_ALL_MIN) {
		await_bytes(transport, left);
		status = transport_receive_at(transport, space, MSG_DONTWAIT, n, err);
	} else if (status == STATUS_AGAIN) {
		status = arm_timeout(transport, left, err);
		const struct transport_space all = {.at = space->at, .room = space->missing};
		if (status == STATUS_OK) {
			status = transport_receive_at(transport, &all, MSG_WAITALL, n, err);
		}
	}
	/* AGAIN is a time-out or a signal. The clock tells which, when the caller comes back. */
	return status == STATUS_AGAIN ? transport_check_interrupted(transport, err) : status;
}

/* Receives more of the message at `at`. */
static enum status receive_more(struct transport *transport, int64_t deadline_ms, struct error *err)
{
	size_t held = transport->len - transport->at;
	size_t missing = transport->skim.need > held ? transport->skim.need - held : 0;
	enum status status = transport_make_room(transport, missing, err);
	if (status != STATUS_OK) {
		return status;
	}
	const bool is_head = transport->places_count > 0 && held == 0;
	const struct transport_space space = {.at = transport->data + transport->len,
		.room = is_head ? PLACE_HEAD_BYTES : transport->cap - transport->len,
		.missing = missing};
	size_t n = 0;
	status = deadline_ms == TRANSPORT_NOW_MS
			 ? transport_receive_at(transport, &space, MSG_DONTWAIT, &n, err)
			 : receive_within(transport, &space, deadline_ms, &n, err);
	transport->len += n;
	check_buffer(transport);
	return status;
}

/* ---- rows that go past the buffer ---- */

/* The place for the bin whose head stands where the skim has stopped; NULL: it has none, or this is no such
 * bin. */
static struct transport_place *find_place(const struct transport *transport)
{
	static const uint8_t name[] = {0xa4, 'r', 'o', 'w', 's', 0xc6};
	const size_t held = transport->len - transport->at;
	const size_t at = transport->skim.at;
	if (transport->places_count == 0 || at < sizeof name || held < at + BIN32_HEAD_BYTES) {
		return NULL;
	}
	const uint8_t *head = transport->data + transport->at + at;
	if (memcmp(head + 1 - sizeof name, name, sizeof name) != 0) {
		return NULL;
	}
	const size_t bytes = (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 |
			     (size_t)head[4];
	for (size_t i = 0; i < transport->places_count; i++) {
		struct transport_place *place = &transport->places[i];
		if (place->filled == 0 && place->bytes == bytes) {
			return place;
		}
	}
	return NULL;
}

/* Receives the body of the bin at hand into its place, and makes the bin an empty one. AGAIN: it has none. */
static enum status fill_place(struct transport *transport, int64_t deadline_ms, struct error *err)
{
	struct transport_place *place = find_place(transport);
	if (place == NULL) {
		return STATUS_AGAIN;
	}
	uint8_t *head = transport->data + transport->at + transport->skim.at;
	const uint8_t *body = head + BIN32_HEAD_BYTES;
	const size_t behind = (size_t)(transport->data + transport->len - body);
	size_t filled = behind < place->bytes ? behind : place->bytes;
	memcpy(place->memory, body, filled);
	head[0] = 0xc4; /* bin 8 */
	head[1] = 0;
	memmove(head + 2, body + filled, behind - filled);
	transport->len -= BIN32_HEAD_BYTES - 2 + filled;
	while (filled < place->bytes) {
		const struct transport_space space = {.at = place->memory + filled,
			.room = place->bytes - filled,
			.missing = place->bytes - filled};
		size_t n = 0;
		const enum status status = receive_within(transport, &space, deadline_ms, &n, err);
		if (status != STATUS_OK) {
			return status;
		}
		filled += n;
	}
	place->filled = ++transport->places_filled;
	return STATUS_OK;
}

void transport_set_places(struct transport *transport, struct transport_place *places, size_t count)
{
	transport->places = places;
	transport->places_count = count;
	transport->places_filled = 0;
	for (size_t i = 0; i < count; i++) {
		places[i].filled = 0;
	}
}

/* ---- whole messages ---- */

enum status transport_take(struct transport *transport, struct wire_bytes *message,
	struct error *err)
{
	if (transport->len == transport->at) {
		return STATUS_AGAIN;
	}
	const uint8_t *first = transport->data + transport->at;
	enum status status = wire_skim(&transport->skim, first, transport->len - transport->at);
	if (status == STATUS_OK) {
		*message = (struct wire_bytes){first, transport->skim.at};
		transport->at += transport->skim.at;
		transport->skim = (struct wire_skim){0};
		check_buffer(transport);
	} else if (status != STATUS_AGAIN) {
		error_set(err, STATUS_PROTOCOL,
			"'%s': what came is not MessagePack, or over a limit (%s)",
			transport->address, status_name(status));
		status = STATUS_PROTOCOL;
	}
	return status;
}

enum status transport_receive(struct transport *transport, int64_t deadline_ms,
	struct wire_bytes *message, struct error *err)
{
	transport_check_connected(transport);
	if (transport->is_embedded) {
		return transport_embedded_receive(transport, deadline_ms, message, err);
	}
	for (;;) {
		enum status status = transport_take(transport, message, err);
		if (status != STATUS_AGAIN) {
			return status;
		}
		status = fill_place(transport, deadline_ms, err);
		if (status == STATUS_AGAIN) {
			status = receive_more(transport, deadline_ms, err);
		}
		if (status != STATUS_OK) {
			return status;
		}
	}
}

enum status transport_fill(struct transport *transport, struct error *err)
{
	transport_check_connected(transport);
	enum status status = receive_more(transport, TRANSPORT_NOW_MS, err);
	/* What has come is in no socket any more, so polling would not tell of it. */
	while (status == STATUS_OK && secure_has_more(transport)) {
		status = receive_more(transport, TRANSPORT_NOW_MS, err);
		if (status != STATUS_OK) {
			return STATUS_OK; /* an error comes again */
		}
	}
	return status;
}
