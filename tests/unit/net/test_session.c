/* test_session.c - one connection's life: requests, replies, order, turns of its loop, bounds, ends. */
#include "tests/unit/net/net_fixture.h"

#include "daemon/net/session.h"
#include "schema/limits.h"
#include "tests/unit/wait.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static const struct net_fixture_options usual;

static void every_place_answers(void **state)
{
	static const char *const methods[] = {"ping", "bytes", "heavy", "again", "write", "admin",
		"seal"};
	struct net_fixture fixture;
	struct peer peer;
	(void)state;
	net_fixture_open(&fixture, &usual);
	peer_open(&peer, &fixture);
	for (uint32_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		peer_ask(&peer, i, methods[i], 5);
		peer_expect_ok(&peer, i);
	}
	peer_close(&peer);
	net_fixture_close(&fixture);
}

static void more_calls_than_may_be_in_flight_are_all_answered(void **state)
{
	enum { CALLS = 3 * 64 }; /* of which 64 are in lanes at once */
	struct net_fixture fixture;
	struct rpc_envelope envelope = {0};
	struct peer peer;
	bool seen[CALLS + 1] = {false};
	(void)state;
	net_fixture_open(&fixture, &usual);
	peer_open(&peer, &fixture);
	for (uint32_t i = 0; i < CALLS; i++) {
		peer_ask(&peer, i, "gate", 0);
	}
	peer_ask(&peer, CALLS, "ping", 0);
	for (uint32_t i = 0; i < CALLS; i++) {
		sem_post(&net_stub.gate);
	}
	for (uint32_t i = 0; i <= CALLS; i++) {
		assert_true(peer_answer(&peer, &envelope));
		assert_false(envelope.failed);
		assert_in_range(envelope.msgid, 0, CALLS);
		assert_false(seen[envelope.msgid]);
		seen[envelope.msgid] = true;
	}
	peer_close(&peer);
	net_fixture_close(&fixture);
}

static void a_connection_has_as_many_requests_in_flight_as_it_may(void **state)
{
	/* A ping is answered at once wherever it is read: so it is not read before a gate has opened. */
	const struct net_fixture_options two = {.in_flight = 2};
	struct net_fixture fixture;
	struct rpc_envelope envelope = {0};
	struct peer peer;
	(void)state;
	net_fixture_open(&fixture, &two);
	peer_open(&peer, &fixture);
	peer_ask(&peer, 0, "gate", 0);
	peer_ask(&peer, 1, "gate", 0);
	peer_ask(&peer, 2, "ping", 0);
	sem_post(&net_stub.gate);
	assert_true(peer_answer(&peer, &envelope));
	assert_in_range(envelope.msgid, 0, 1);
	sem_post(&net_stub.gate);
	assert_true(peer_answer(&peer, &envelope));
	assert_true(peer_answer(&peer, &envelope));
	peer_close(&peer);
	net_fixture_close(&fixture);
}

static void what_cannot_be_called_is_an_error(void **state)
{
	static const uint8_t bad_method[] = {0x94, 0x00, 0x07, 0x2a, 0x90};
	static const uint8_t bad_params[] = {0x94, 0x00, 0x08, 0xa4, 'p', 'i', 'n', 'g', 0x01};
	static const uint8_t short_envelope[] = {0x92, 0x00, 0x09};
	struct net_fixture fixture;
	struct peer peer;
	(void)state;
	net_fixture_open(&fixture, &usual);
	peer_open(&peer, &fixture);
	peer_ask(&peer, 1, "nothing", 0);
	peer_expect_error(&peer, 1, STATUS_UNSUPPORTED);
	peer_ask(&peer, 2, "fail", 0);
	peer_expect_error(&peer, 2, STATUS_NOT_FOUND);
	peer_send(&peer, bad_method, sizeof bad_method);
	peer_expect_error(&peer, 7, STATUS_BAD_REQUEST);
	peer_send(&peer, bad_params, sizeof bad_params);
	peer_expect_error(&peer, 8, STATUS_BAD_REQUEST);
	peer_send(&peer, short_envelope, sizeof short_envelope);
	peer_expect_error(&peer, 9, STATUS_BAD_REQUEST);
	peer_ask(&peer, 10, "bytes", LIMIT_MESSAGE_BYTES);
	peer_expect_error(&peer, 10, STATUS_TOO_LARGE);
	peer_ask(&peer, 11, "ping", 0);
	peer_expect_ok(&peer, 11);
	peer_close(&peer);
	net_fixture_close(&fixture);
}

static void a_broken_stream_is_closed(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} streams[] = {
		{"\xc1", 1},
		{"GET / HTTP/1.1\r\n\r\n", 18},
		{"\x94\x01\x05\xc0\xc0", 5}, /* a response, to which no question was asked */
		{"\x90", 1},
	};
	struct net_fixture fixture;
	struct peer peer;
	(void)state;
	net_fixture_open(&fixture, &usual);
	for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
		peer_open(&peer, &fixture);
		peer_send(&peer, streams[i].bytes, streams[i].len);
		peer_expect_end(&peer);
		peer_close(&peer);
	}
	net_fixture_close(&fixture);
}

static void a_broken_message_with_a_msgid_is_answered_before_the_end(void **state)
{
	static const uint8_t bad_byte[] = {0x94, 0x00, 0x05, 0xa4, 'p', 'i', 'n', 'g', 0x91, 0xc1};
	static const uint8_t too_large[] = {0x94, 0x00, 0x06, 0xa4, 'p', 'i', 'n', 'g', 0x91, 0xc6,
		0xff, 0xff, 0xff, 0xff};
	struct net_fixture fixture;
	struct peer peer;
	(void)state;
	net_fixture_open(&fixture, &usual);
	peer_open(&peer, &fixture);
	peer_ask(&peer, 4, "ping", 0);
	peer_send(&peer, bad_byte, sizeof bad_byte);
	peer_expect_ok(&peer, 4);
	peer_expect_error(&peer, 5, STATUS_PROTOCOL);
	peer_expect_end(&peer);
	peer_close(&peer);

	peer_open(&peer, &fixture);
	peer_send(&peer, too_large, sizeof too_large);
	peer_expect_error(&peer, 6, STATUS_TOO_LARGE);
	peer_expect_end(&peer);
	peer_close(&peer);
	net_fixture_close(&fixture);
}

/* Its sender is in the middle of sending when it is refused, and still hears why. */
static void a_message_over_the_limit_is_answered_to_a_sender_that_goes_on(void **state)
{
	static const uint8_t head[] = {0x94, 0x00, 0x06, 0xa4, 'p', 'i', 'n', 'g', 0x91, 0xc6, 0x05,
		0x00, 0x00, 0x00};
	enum { PIECE = 1 << 20, PIECES = 80 };
	static const uint8_t piece[PIECE];
	struct net_fixture fixture;
	struct peer peer;
	(void)state;
	net_fixture_open(&fixture, &usual);
	peer_open(&peer, &fixture);
	peer_send(&peer, head, sizeof head);
	for (unsigned i = 0; i < PIECES; i++) {
		peer_send(&peer, piece, PIECE);
	}
	peer_expect_error(&peer, 6, STATUS_TOO_LARGE);
	peer_expect_end(&peer);
	peer_close(&peer);
	net_fixture_close(&fixture);
}

static void a_notification_runs_and_is_not_answered(void **state)
{
	static const uint8_t notification[] = {0x93, 0x02, 0xa4, 'p', 'i', 'n', 'g', 0x90};
	static const uint8_t failing[] = {0x93, 0x02, 0xa4, 'f', 'a', 'i', 'l', 0x90};
	static const uint8_t unknown[] = {0x93, 0x02, 0xa1, 'x', 0x90};
	static const uint8_t away[] = {0x93, 0x02, 0xa5, 'a', 'd', 'm', 'i', 'n', 0x90};
	struct net_fixture fixture;
	struct peer peer;
	(void)state;
	net_fixture_open(&fixture, &usual);
	peer_open(&peer, &fixture);
	peer_send(&peer, notification, sizeof notification);
	peer_send(&peer, failing, sizeof failing);
	peer_send(&peer, unknown, sizeof unknown);
	peer_send(&peer, away, sizeof away);
	peer_ask(&peer, 3, "admin", 0);
	peer_expect_ok(&peer, 3);
	assert_int_equal(atomic_load(&net_stub.pings), 3);
	peer_close(&peer);
	net_fixture_close(&fixture);
}

/* There is no room for the error of the second call, and none can be had. */
static void a_reply_that_cannot_be_made_ends_the_connection(void **state)
{
	static const uint8_t calls[] = "\x94\x00\x01\xa4"
				       "ping\x90"
				       "\x94\x00\x02\xa6"
				       "starve\x90"
				       "\x94\x00\x03\xa4"
				       "ping\x90";
	enum { FIRST = sizeof "\x94\x00\x01\xa4ping\x90" - 1 };
	struct net_fixture fixture;
	struct peer peer;
	(void)state;
	net_fixture_open(&fixture, &usual);
	peer_open(&peer, &fixture);
	peer_send(&peer, calls, sizeof calls - 1);
	peer_expect_ok(&peer, 1);
	peer_expect_end(&peer);
	peer_close(&peer);
	/* The same where the first reply has left before, as at the end of a turn. */
	peer_open(&peer, &fixture);
	peer_send(&peer, calls, FIRST);
	peer_expect_ok(&peer, 1);
	peer_send(&peer, calls + FIRST, sizeof calls - 1 - FIRST);
	peer_expect_end(&peer);
	peer_close(&peer);
	net_fixture_close(&fixture);
}

static void requests_may_come_byte_by_byte(void **state)
{
	struct net_fixture fixture;
	struct wire_writer writer = {0};
	struct peer peer;
	(void)state;
	net_fixture_open(&fixture, &usual);
	peer_open(&peer, &fixture);
	rpc_write_request(&writer, 1, "write");
	wire_write_map(&writer, 1);
	wire_write_str(&writer, "n");
	wire_write_uint(&writer, 70000);
	for (size_t i = 0; i < writer.len; i++) {
		peer_send(&peer, writer.data + i, 1);
	}
	peer_expect_ok(&peer, 1);
	wire_writer_fini(&writer);
	peer_close(&peer);
	net_fixture_close(&fixture);
}

/* [0, msgid, method, [{pad: bin, n: n}]] */
static void ask_padded(struct peer *peer, uint32_t msgid, const char *method, size_t pad,
	uint64_t n)
{
	struct wire_writer writer = {0};
	rpc_write_request(&writer, msgid, method);
	wire_write_map(&writer, 2);
	wire_write_str(&writer, "pad");
	uint8_t *space = wire_write_bin_space(&writer, pad);
	assert_non_null(space);
	memset(space, 9, pad);
	wire_write_str(&writer, "n");
	wire_write_uint(&writer, n);
	assert_int_equal(writer.status, STATUS_OK);
	peer_send(peer, writer.data, writer.len);
	wire_writer_fini(&writer);
}

static void large_requests_are_taken_in_order_among_small_ones(void **state)
{
	static const size_t pads[] = {10, 65000, 65536, 66000, 100, 1 << 20, 5 << 20, 0, 60 << 20};
	enum { COUNT = sizeof pads / sizeof pads[0] };
	struct net_fixture fixture;
	struct peer peer;
	(void)state;
	net_fixture_open(&fixture, &usual);
	peer_open(&peer, &fixture);
	for (uint32_t i = 0; i < COUNT; i++) {
		ask_padded(&peer, i, "write", pads[i], i + 1);
	}
	for (uint32_t i = 0; i < COUNT; i++) {
		peer_expect_ok(&peer, i);
	}
	for (uint32_t i = 0; i < COUNT; i++) {
		ask_padded(&peer, i, "bytes", pads[i], 10);
		peer_expect_ok(&peer, i);
	}
	assert_false(atomic_load(&net_stub.out_of_order));
	net_fixture_await(&fixture, "memory", "requests", 0);
	peer_close(&peer);
	net_fixture_close(&fixture);
}

static void large_replies_are_sent_whole(void **state)
{
	static const size_t sizes[] = {0, 65535, 128 << 10, 3 << 20, 40 << 20};
	enum { COUNT = sizeof sizes / sizeof sizes[0] };
	struct net_fixture fixture;
	struct rpc_envelope envelope = {0};
	struct wire_bytes bytes;
	struct peer peer;
	(void)state;
	net_fixture_open(&fixture, &usual);
	peer_open(&peer, &fixture);
	for (uint32_t i = 0; i < COUNT; i++) {
		peer_ask(&peer, i, "bytes", sizes[i]);
	}
	for (uint32_t i = 0; i < COUNT; i++) {
		assert_true(peer_answer(&peer, &envelope));
		assert_false(envelope.failed);
		assert_int_equal(envelope.msgid, i);
		assert_true(wire_bin(envelope.result, &bytes));
		assert_int_equal(bytes.len, sizes[i]);
	}
	net_fixture_await(&fixture, "memory", "replies", 0);
	peer_close(&peer);
	net_fixture_close(&fixture);
}

static void a_peer_that_closes_its_side_is_still_answered(void **state)
{
	struct net_fixture fixture;
	struct peer peer;
	(void)state;
	net_fixture_open(&fixture, &usual);
	peer_open(&peer, &fixture);
	peer_ask(&peer, 1, "gate", 0);
	peer_ask(&peer, 2, "ping", 0);
	peer_send(&peer, "\x94", 1);
	assert_int_equal(shutdown(peer.fd, SHUT_WR), 0);
	peer_expect_ok(&peer, 2);
	sem_post(&net_stub.gate);
	peer_expect_ok(&peer, 1);
	peer_expect_end(&peer);
	peer_close(&peer);
	net_fixture_close(&fixture);
}

static void peers_may_leave_at_any_time(void **state)
{
	struct net_fixture fixture;
	struct peer peer;
	(void)state;
	net_fixture_open(&fixture, &usual);
	for (unsigned i = 0; i < 50; i++) {
		peer_open(&peer, &fixture);
		peer_ask(&peer, 1, "bytes", 8 << 20);
		peer_ask(&peer, 2, "heavy", 1 << 20);
		peer_ask(&peer, 3, "heavy", 1 << 20);
		peer_ask(&peer, 4, "write", i + 1);
		if (i % 2 == 0) {
			peer_send(&peer, "\x94\x00\xc6\x01\x00\x00\x00", 7);
		}
		peer_close(&peer);
	}
	peer_open(&peer, &fixture);
	peer_ask(&peer, 1, "ping", 0);
	peer_expect_ok(&peer, 1);
	peer_close(&peer);
	net_fixture_close(&fixture);
}

static bool answer_is_true(struct peer *peer)
{
	struct rpc_envelope envelope = {0};
	bool is_true = false;
	assert_true(peer_answer(peer, &envelope));
	assert_true(wire_bool(envelope.result, &is_true));
	return is_true;
}

static void a_turn_that_others_have_used_is_left(void **state)
{
	enum { PEERS = 3, BURN_US = 20000 };
	struct net_fixture fixture;
	struct peer peers[PEERS];
	struct wait wait = {0};
	bool has_left = false;
	(void)state;
	net_fixture_open(&fixture, &(struct net_fixture_options){0});
	for (unsigned i = 0; i < PEERS; i++) {
		peer_open(&peers[i], &fixture);
	}
	peer_ask(&peers[2], 1, "crowd", 0);
	assert_false(answer_is_true(&peers[2]));
	while (!has_left) {
		wait_a_moment(&wait);
		/* While the first burns, both others come, and are read in one turn. */
		for (unsigned i = 0; i < PEERS; i++) {
			peer_ask(&peers[i], 2, i + 1 < PEERS ? "burn" : "crowd", BURN_US);
		}
		for (unsigned i = 0; i + 1 < PEERS; i++) {
			peer_expect_ok(&peers[i], 2);
		}
		has_left = answer_is_true(&peers[2]);
	}
	for (unsigned i = 0; i < PEERS; i++) {
		peer_close(&peers[i]);
	}
	net_fixture_close(&fixture);
}

/* As above, but there is another user: what comes after the first burns waits for the next turn. */
static void a_user_leaves_the_turn_to_others(void **state)
{
	enum { PEERS = 5, BURN_US = 2000, ROUNDS = 30 };
	struct net_fixture fixture;
	struct peer peers[PEERS];
	struct peer stranger;
	(void)state;
	net_fixture_open(&fixture, &(struct net_fixture_options){0});
	peer_open_tcp(&stranger, &fixture);
	peer_ask(&stranger, 1, "ping", 0);
	peer_expect_ok(&stranger, 1);
	for (unsigned i = 0; i < PEERS; i++) {
		peer_open(&peers[i], &fixture);
	}
	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < PEERS; i++) {
			peer_ask(&peers[i], round, i < 2 ? "burn" : "crowd", BURN_US);
		}
		for (unsigned i = 0; i < PEERS; i++) {
			if (i < 2) {
				peer_expect_ok(&peers[i], round);
			} else {
				assert_false(answer_is_true(&peers[i]));
			}
		}
	}
	for (unsigned i = 0; i < PEERS; i++) {
		peer_close(&peers[i]);
	}
	peer_close(&stranger);
	net_fixture_close(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_place_answers),
		cmocka_unit_test(more_calls_than_may_be_in_flight_are_all_answered),
		cmocka_unit_test(a_connection_has_as_many_requests_in_flight_as_it_may),
		cmocka_unit_test(what_cannot_be_called_is_an_error),
		cmocka_unit_test(a_broken_stream_is_closed),
		cmocka_unit_test(a_broken_message_with_a_msgid_is_answered_before_the_end),
		cmocka_unit_test(a_message_over_the_limit_is_answered_to_a_sender_that_goes_on),
		cmocka_unit_test(a_notification_runs_and_is_not_answered),
		cmocka_unit_test(a_reply_that_cannot_be_made_ends_the_connection),
		cmocka_unit_test(requests_may_come_byte_by_byte),
		cmocka_unit_test(large_requests_are_taken_in_order_among_small_ones),
		cmocka_unit_test(large_replies_are_sent_whole),
		cmocka_unit_test(a_peer_that_closes_its_side_is_still_answered),
		cmocka_unit_test(peers_may_leave_at_any_time),
		cmocka_unit_test(a_turn_that_others_have_used_is_left),
		cmocka_unit_test(a_user_leaves_the_turn_to_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
