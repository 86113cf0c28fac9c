/* peer.c - sends, and judges what comes back. */
#include "tests/fuzz/dispatch/peer.h"

#include "daemon/method/call/method.h"
#include "schema/rpc_head.h"
#include "tests/fuzz/dispatch/direct.h"
#include "tests/fuzz/dispatch/world.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ASKED_MAX = 4096,
	WAITS_MAX = 120, /* of a second: counted, since a process that is stopped gets no time */
	STRANGER_BYTES = 16 << 10,
	KEPT_BYTES = 1 << 20,
};

/* The msgid of the ping that shows that everything before it was read. */
#define PING_ID UINT32_C(0xfffffffe)

/* A request that was sent and is not answered yet. */
struct asked {
	uint32_t msgid;
	bool must_be_denied;
	bool is_unsure; /* another one has the same msgid */
	bool is_answered;
};

static struct {
	struct sockaddr_in at;
	int fd; /* 0: there is none */
	unsigned roles;
	uint8_t *data; /* owned: what has come */
	size_t len;
	size_t cap;
	enum status last; /* of the last answer */
	struct asked asked[ASKED_MAX];
	size_t asked_count;
	size_t answered;
} peer;

void peer_aim(const struct sockaddr_in *at)
{
	peer.at = *at;
}

void peer_end(void)
{
	/* Reset, so that no port waits for what is under way. */
	const struct linger at_once = {.l_onoff = 1};
	if (peer.fd > 0) {
		(void)setsockopt(peer.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
		(void)close(peer.fd);
	}
	peer.fd = 0;
	peer.len = 0;
	free(peer.data);
	peer.data = NULL;
	peer.cap = 0;
}

void peer_has_roles(unsigned roles)
{
	peer.roles = roles;
}

static void connect_to(void)
{
	if (peer.fd > 0) {
		return;
	}
	peer.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	REQUIRE(peer.fd > 0);
	REQUIRE(connect(peer.fd, (struct sockaddr *)&peer.at, sizeof peer.at) == 0);
}

/* ---- what was asked ---- */

static void note_request(const struct rpc_head *head, enum rpc_head_reach reach)
{
	const struct method *method =
		reach == RPC_HEAD_WHOLE
			? method_find((const char *)head->method.data, head->method.len)
			: NULL;
	REQUIRE(peer.asked_count < ASKED_MAX);
	struct asked *asked = &peer.asked[peer.asked_count++];
	*asked = (struct asked){
		.msgid = head->msgid,
		.must_be_denied = method != NULL && (peer.roles & (unsigned)method->role) == 0,
	};
	for (size_t i = 0; i + 1 < peer.asked_count; i++) {
		if (peer.asked[i].msgid == head->msgid) {
			peer.asked[i].is_unsure = asked->is_unsure = true;
		}
	}
}

/* Looks through what is to be sent as the server will. Returns whether it ends with a whole message that can be
 * answered; then the connection goes on. */
static bool note_requests(const uint8_t *data, size_t len)
{
	size_t at = 0;
	peer.asked_count = 0;
	peer.answered = 0;
	while (at < len) {
		struct wire_skim skim = {0};
		struct rpc_head head;
		if (peer.roles == ROLE_ANYBODY && len - at > STRANGER_BYTES) {
			return false; /* where it ends depends on how it is cut */
		}
		if (wire_skim(&skim, data + at, len - at) != STATUS_OK) {
			return false;
		}
		const enum rpc_head_reach reach = rpc_head_read(data + at, skim.at, &head);
		if (reach == RPC_HEAD_NONE) {
			return false;
		}
		if (head.type == RPC_REQUEST) {
			note_request(&head, reach);
		}
		at += skim.at;
	}
	return true;
}

/* ---- answers ---- */

static void require_error(struct wire_bytes text, struct error *err)
{
	rpc_split_error(text, err);
	REQUIRE(err->status > STATUS_OK && err->status < STATUS_COUNT);
	REQUIRE(err->status != STATUS_INTERNAL);
	REQUIRE(text.len < ERROR_TEXT_BYTES + 32);
	for (size_t i = 0; i < text.len; i++) {
		REQUIRE(text.data[i] >= ' ' && text.data[i] <= '~');
	}
}

/* Notes that the msgid is answered. `sure`: every message that was sent is known. */
static void note_answer(uint32_t msgid, bool is_denied, bool sure)
{
	for (size_t i = 0; i < peer.asked_count; i++) {
		struct asked *asked = &peer.asked[i];
		if (asked->msgid == msgid && !asked->is_answered) {
			asked->is_answered = true;
			REQUIRE(!asked->must_be_denied || is_denied || asked->is_unsure);
			peer.answered++;
			return;
		}
	}
	REQUIRE(!sure);
}

/* One whole answer. */
static void judge(const uint8_t *data, size_t len, bool sure)
{
	struct wire_message *message = NULL;
	struct rpc_envelope envelope = {0};
	struct error err = {.status = STATUS_OK};
	uint32_t msgid;
	bool failed;
	REQUIRE(wire_open(data, len, &message) == STATUS_OK);
	REQUIRE(rpc_read(wire_root(message), &envelope, &err) == STATUS_OK);
	REQUIRE(envelope.type == RPC_RESPONSE);
	REQUIRE(rpc_response_read(data, len, &msgid, &failed));
	REQUIRE(msgid == envelope.msgid && failed == envelope.failed);
	err.status = STATUS_OK;
	if (envelope.failed) {
		require_error(envelope.error, &err);
	}
	peer.last = err.status;
	note_answer(msgid, err.status == STATUS_DENIED, sure);
	wire_close(message);
}

/* Waits for more. False: the server has closed the connection. */
static bool receive(void)
{
	struct pollfd wait = {.fd = peer.fd, .events = POLLIN};
	unsigned waits = 0;
	while (poll(&wait, 1, 1000) == 0) {
		REQUIRE(++waits < WAITS_MAX); /* it answers no more */
	}
	if (peer.cap - peer.len < 65536) {
		peer.cap = 2 * peer.cap + 65536;
		peer.data = realloc(peer.data, peer.cap);
		REQUIRE(peer.data != NULL);
	}
	const ssize_t got = recv(peer.fd, peer.data + peer.len, peer.cap - peer.len, 0);
	if (got < 0 && errno == EINTR) {
		return true;
	}
	peer.len += got > 0 ? (size_t)got : 0;
	return got > 0;
}

/* Judges the whole answers that have come. */
static void take_answers(bool sure)
{
	size_t at = 0;
	struct wire_skim skim = {0};
	enum status status;
	if (peer.len == 0) {
		return;
	}
	while ((status = wire_skim(&skim, peer.data + at, peer.len - at)) == STATUS_OK) {
		judge(peer.data + at, skim.at, sure);
		at += skim.at;
		skim = (struct wire_skim){0};
	}
	REQUIRE(status == STATUS_AGAIN);
	peer.len -= at;
	memmove(peer.data, peer.data + at, peer.len);
}

/* ---- both ---- */

/* Sends, and reads meanwhile, since the server stops to read what nobody takes the answers of. False: the server
 * has closed the connection. */
static bool send_all(const uint8_t *data, size_t len, bool sure)
{
	while (len > 0) {
		struct pollfd ready = {.fd = peer.fd, .events = POLLIN | POLLOUT};
		(void)poll(&ready, 1, 1000);
		if ((ready.revents & POLLIN) != 0) {
			if (!receive()) {
				return false;
			}
			take_answers(sure);
		}
		const ssize_t sent = send(peer.fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno != EAGAIN && errno != EINTR) {
			return false;
		}
		data += sent > 0 ? sent : 0;
		len -= sent > 0 ? (size_t)sent : 0;
	}
	return true;
}

void peer_exchange(const uint8_t *data, size_t len)
{
	static const uint8_t ping[] = {0x94, 0, 0xce, 0xff, 0xff, 0xff, 0xfe, 0xa4, 'p', 'i', 'n',
		'g', 0x90};
	const bool sure = note_requests(data, len);
	connect_to();
	if (sure) {
		const struct rpc_head head = {.type = RPC_REQUEST, .msgid = PING_ID};
		note_request(&head, RPC_HEAD_MSGID);
		REQUIRE(send_all(data, len, sure) && send_all(ping, sizeof ping, sure));
		take_answers(sure);
		while (peer.answered < peer.asked_count) {
			REQUIRE(receive());
			take_answers(sure);
		}
		return;
	}
	if (send_all(data, len, sure)) {
		(void)shutdown(peer.fd, SHUT_WR);
	}
	while (receive()) {
		take_answers(sure);
	}
	peer_end();
}

void peer_run(struct service *service, const uint8_t *data, size_t len)
{
	static struct wire_writer answer;
	const struct direct direct = {.service = service, .roles = peer.roles};
	wire_writer_clear(&answer);
	if (!direct_run(&direct, data, len, &answer)) {
		return;
	}
	REQUIRE(note_requests(data, len));
	if (answer.len > 0) {
		struct wire_skim skim = {0};
		REQUIRE(wire_skim(&skim, answer.data, answer.len) == STATUS_OK);
		REQUIRE(skim.at == answer.len);
		judge(answer.data, answer.len, true);
	}
	REQUIRE(peer.answered == peer.asked_count);
	if (answer.cap > KEPT_BYTES) {
		wire_writer_fini(&answer);
		answer = (struct wire_writer){0};
	}
}

enum status peer_ask(const struct wire_writer *request)
{
	REQUIRE(request->status == STATUS_OK);
	REQUIRE(note_requests(request->data, request->len) && peer.asked_count == 1);
	connect_to();
	REQUIRE(send_all(request->data, request->len, true));
	while (peer.answered < peer.asked_count) {
		REQUIRE(receive());
		take_answers(true);
	}
	return peer.last;
}
