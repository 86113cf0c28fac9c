/* peer.c - connects without waiting, and how long to leave a daemon alone that does not answer. */
#include "client/async/peer.h"

#include "client/clock.h"
#include "client/hello.h"
#include "client/secure.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
	PAUSE_US_MIN = 20 * 1000,
	PAUSE_US_MAX = 2 * 1000 * 1000,
	PAUSE_PART = 8, /* of the time to connect */
	SHARE_US_MAX = 500 * 1000,
};

/* Where there are others one address has a share of the time, lest one that is silent take all. */
static int64_t dial_us_of(unsigned dial_ms, size_t places)
{
	const int64_t all_us = (int64_t)dial_ms * 1000;
	const int64_t share_us = places > 1 ? all_us / (int64_t)places : all_us;
	return places > 1 && share_us > SHARE_US_MAX ? SHARE_US_MAX : share_us;
}

void peer_init(struct peer *peer, int epoll, const struct peer_place *places, size_t count,
	unsigned dial_ms)
{
	*peer = (struct peer){
		.epoll = epoll,
		.places = places,
		.places_count = count,
		.dial_us = dial_us_of(dial_ms, count),
	};
	transport_init(&peer->transport, count > 0 ? places[0].text : NULL);
}

void peer_secure(struct peer *peer, const struct secure *secure)
{
	peer->transport.secure = secure;
}

void peer_fini(struct peer *peer)
{
	transport_fini(&peer->transport);
	wire_writer_fini(&peer->hello);
}

static const struct peer_place *place_of(const struct peer *peer)
{
	return &peer->places[peer->place];
}

/* The next dial is of another name of the host, or of another address. */
static void move_on(struct peer *peer)
{
	peer->name++;
	if (peer->name >= place_of(peer)->address.count) {
		peer->name = 0;
		peer->place = (peer->place + 1) % peer->places_count;
	}
}

/* Each loss in a row doubles the pause, up to a part of the time that a call waits for a connection. Half of
 * it is by chance, so that the clients of a daemon that starts again do not all come at once. */
static int64_t next_pause(struct peer *peer, int64_t now_us)
{
	const int64_t pause = peer->pause_us;
	const int64_t part_us = peer->dial_us / PAUSE_PART;
	const int64_t most_us = part_us < PAUSE_US_MAX ? part_us : PAUSE_US_MAX;
	peer->pause_us = pause == 0 ? PAUSE_US_MIN : pause * 2;
	if (peer->pause_us > most_us) {
		peer->pause_us = most_us;
	}
	uint64_t mixed = (uint64_t)now_us ^ (uint64_t)(uintptr_t)peer;
	mixed *= UINT64_C(0x9e3779b97f4a7c15);
	return pause / 2 + (pause > 1 ? (int64_t)((mixed >> 32) % (uint64_t)(pause / 2 + 1)) : 0);
}

/* To close the socket would not be enough where a fork has another descriptor of it. */
static void unwatch(struct peer *peer)
{
	if (peer->is_watched) {
		(void)epoll_ctl(peer->epoll, EPOLL_CTL_DEL, peer->transport.fd, NULL);
		peer->is_watched = false;
	}
}

void peer_note_answer(struct peer *peer)
{
	peer->pause_us = 0;
}

void peer_lose(struct peer *peer, int64_t now_us, const struct error *error)
{
	assert(peer->state != PEER_DOWN);
	const bool was_up = peer->state == PEER_UP;
	peer->losses += was_up;
	peer->error = *error;
	peer->state = PEER_DOWN;
	unwatch(peer);
	transport_disconnect(&peer->transport);
	if (!was_up || peer->places_count > 1) {
		move_on(peer);
	}
	peer->retry_at_us = now_us + next_pause(peer, now_us);
}

static void greet(struct peer *peer, int64_t now_us)
{
	struct error err = {.status = STATUS_OK};
	struct wire_bytes message = {0};
	enum status status = secure_handshake(&peer->transport, &err);
	if (status == STATUS_OK) {
		status = secure_flush(&peer->transport, &err);
	}
	if (status == STATUS_OK && peer->hello_sent < peer->hello.len) {
		size_t sent = 0;
		const struct iovec part = {peer->hello.data + peer->hello_sent,
			peer->hello.len - peer->hello_sent};
		status = transport_try_send(&peer->transport, &part, 1, &sent, &err);
		peer->hello_sent += sent;
	}
	if (status == STATUS_OK) {
		status = transport_fill(&peer->transport, &err);
	}
	if (status == STATUS_OK) {
		status = transport_take(&peer->transport, &message, &err);
	}
	if (status == STATUS_OK) {
		status = hello_read(message, peer->transport.address, &peer->daemon, &err);
	}
	if (status == STATUS_OK) {
		status = hello_need(&peer->daemon, HELLO_TIMEOUT_MS, &err);
	}
	if (status == STATUS_OK) {
		peer->state = PEER_UP;
	} else if (status != STATUS_AGAIN) {
		err.status = status;
		peer_lose(peer, now_us, &err);
	}
}

static void begin_greeting(struct peer *peer, int64_t now_us)
{
	struct error err = {.status = STATUS_OK};
	wire_writer_clear(&peer->hello);
	peer->hello_sent = 0;
	peer->state = PEER_GREETING;
	if (hello_write(&peer->hello, peer->client, &err) != STATUS_OK ||
		secure_begin(&peer->transport, &err) != STATUS_OK) {
		peer_lose(peer, now_us, &err);
		return;
	}
	greet(peer, now_us);
}

static void dial(struct peer *peer, int64_t now_us)
{
	struct error err = {.status = STATUS_OK};
	const struct peer_place *place = place_of(peer);
	int fd = -1;
	peer->transport.address = place->text;
	const enum status status =
		address_dial(place->text, &place->address.names[peer->name], &fd, &err);
	peer->state = PEER_DIALLING;
	peer->give_up_at_us = now_us + peer->dial_us;
	if (status != STATUS_OK && status != STATUS_AGAIN) {
		peer_lose(peer, now_us, &err);
		return;
	}
	transport_adopt(&peer->transport, fd);
	if (status == STATUS_OK) {
		begin_greeting(peer, now_us);
	}
}

static void await_dial(struct peer *peer, int64_t now_us)
{
	struct error err = {.status = STATUS_OK};
	const enum status status =
		address_dialled(peer->transport.address, peer->transport.fd, &err);
	if (status == STATUS_OK) {
		begin_greeting(peer, now_us);
	} else if (status != STATUS_AGAIN) {
		peer_lose(peer, now_us, &err);
	}
}

void peer_tend(struct peer *peer, int64_t now_us)
{
	if (peer->state == PEER_DOWN && now_us >= peer->retry_at_us) {
		dial(peer, now_us);
	} else if (peer->state == PEER_DIALLING) {
		await_dial(peer, now_us);
	} else if (peer->state == PEER_GREETING) {
		greet(peer, now_us);
	}
	const bool is_late = peer->state == PEER_DIALLING || peer->state == PEER_GREETING;
	if (is_late && now_us >= peer->give_up_at_us) {
		struct error err;
		error_set(&err, STATUS_TIMEOUT, "'%s': not connected in %lld ms",
			peer->transport.address, (long long)(peer->dial_us / 1000));
		peer_lose(peer, now_us, &err);
	}
}

int64_t peer_due_us(const struct peer *peer)
{
	switch (peer->state) {
	case PEER_DOWN:
		return peer->retry_at_us;
	case PEER_DIALLING:
	case PEER_GREETING:
		return peer->give_up_at_us;
	case PEER_UP:
		break;
	}
	return CLOCK_NEVER_US;
}

/* Is there something to send before the daemon says something? */
static bool may_greet(const struct peer *peer)
{
	const bool is_shaking = peer->transport.tls != NULL && !peer->transport.is_secured;
	return secure_has_unsent(&peer->transport) ||
	       (!is_shaking && peer->hello_sent < peer->hello.len);
}

static uint32_t events_of(const struct peer *peer, bool want_read, bool want_write)
{
	switch (peer->state) {
	case PEER_DOWN:
		break;
	case PEER_DIALLING:
		return EPOLLOUT;
	case PEER_GREETING:
		return EPOLLIN | (may_greet(peer) ? (uint32_t)EPOLLOUT : 0);
	case PEER_UP:
		want_write = want_write || secure_has_unsent(&peer->transport);
		return (want_read ? (uint32_t)EPOLLIN : 0) | (want_write ? (uint32_t)EPOLLOUT : 0);
	}
	return 0;
}

enum status peer_watch(struct peer *peer, bool want_read, bool want_write, struct error *err)
{
	const uint32_t events = events_of(peer, want_read, want_write);
	if (events == 0) {
		unwatch(peer); /* else its end would be told again and again */
		return STATUS_OK;
	}
	if (peer->is_watched && events == peer->events) {
		return STATUS_OK;
	}
	struct epoll_event event = {.events = events};
	const int how = peer->is_watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	if (epoll_ctl(peer->epoll, how, peer->transport.fd, &event) != 0) {
		return error_set(err, STATUS_IO, "epoll_ctl: %s", strerror(errno));
	}
	peer->is_watched = true;
	peer->events = events;
	return STATUS_OK;
}
