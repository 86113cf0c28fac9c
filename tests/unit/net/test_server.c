/* test_server.c - what connections share: bounds of memory and number, the write lane, stopping. */
#include "tests/unit/net/net_fixture.h"

#include "daemon/net/sender.h"
#include "daemon/net/session.h"
#include "tests/unit/wait.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static void a_failed_sync_fails_every_write_of_its_group(void **state)
{
	static const struct net_fixture_options usual;
	enum { CALLS = 20 };
	struct net_fixture fixture;
	struct peer peer;
	(void)state;
	net_fixture_open(&fixture, &usual);
	peer_open(&peer, &fixture);
	atomic_store(&net_stub.sync_fails, true);
	for (uint32_t i = 0; i < CALLS; i++) {
		peer_ask(&peer, i, "write", i);
	}
	/* One that failed by itself keeps its own error. */
	peer_expect_error(&peer, 0, STATUS_BAD_REQUEST);
	for (uint32_t i = 1; i < CALLS; i++) {
		peer_expect_error(&peer, i, STATUS_IO);
	}
	atomic_store(&net_stub.sync_fails, false);
	peer_ask(&peer, CALLS, "write", CALLS);
	peer_expect_ok(&peer, CALLS);
	assert_false(atomic_load(&net_stub.out_of_order));
	assert_in_range(atomic_load(&net_stub.syncs), 2, CALLS + 1);
	peer_close(&peer);
	net_fixture_close(&fixture);
}

static void one_connection_too_many_is_refused(void **state)
{
	static const struct net_fixture_options options = {.max_connections = 2, .workers = 2};
	struct net_fixture fixture;
	struct peer peers[3];
	(void)state;
	net_fixture_open(&fixture, &options);
	for (unsigned i = 0; i < 2; i++) {
		peer_open(&peers[i], &fixture);
		peer_ask(&peers[i], i, "ping", 0);
		peer_expect_ok(&peers[i], i);
	}
	peer_open(&peers[2], &fixture);
	peer_expect_end(&peers[2]);
	net_fixture_await(&fixture, "connections", "open", 2);
	net_fixture_await(&fixture, "connections", "accepted", 2);
	net_fixture_await(&fixture, "connections", "refused", 1);
	for (unsigned i = 0; i < 3; i++) {
		peer_close(&peers[i]);
	}
	net_fixture_close(&fixture);
}

static void large_replies_beyond_the_budget_are_busy(void **state)
{
	static const struct net_fixture_options options = {.reply_memory = 16 << 20};
	enum { SIZE = 12 << 20 };
	struct net_fixture fixture;
	struct peer reader;
	struct peer idler;
	(void)state;
	net_fixture_open(&fixture, &options);
	peer_open(&idler, &fixture);
	peer_open(&reader, &fixture);
	peer_ask(&idler, 1, "bytes", SIZE);
	struct wait wait = {0};
	while (net_fixture_figure(&fixture, "memory", "replies") == 0) {
		wait_a_moment(&wait);
	}
	peer_ask(&reader, 1, "heavy", SIZE);
	peer_expect_error(&reader, 1, STATUS_BUSY);
	peer_ask(&reader, 2, "bytes", SIZE);
	peer_expect_error(&reader, 2, STATUS_BUSY);
	peer_ask(&reader, 3, "ping", 0);
	peer_expect_ok(&reader, 3);
	peer_expect_ok(&idler, 1);
	peer_ask(&reader, 4, "bytes", SIZE);
	peer_expect_ok(&reader, 4);
	peer_close(&reader);
	peer_close(&idler);
	net_fixture_await(&fixture, "memory", "replies", 0);
	net_fixture_close(&fixture);
}

/* A peer that never reads is not served for ever. */
static void unread_replies_stop_the_reading_of_requests(void **state)
{
	static const struct net_fixture_options usual;
	enum { CALLS = 200 };
	struct net_fixture fixture;
	struct peer peer;
	struct peer other;
	(void)state;
	net_fixture_open(&fixture, &usual);
	peer_open(&peer, &fixture);
	peer_open(&other, &fixture);
	for (uint32_t i = 0; i < CALLS; i++) {
		peer_ask(&peer, i, "bytes", 1 << 20);
	}
	/* The loop runs on, and does all that it does for the peer: until what is kept stays. */
	struct wait wait = {0};
	uint64_t kept = 0;
	uint64_t before;
	do {
		before = kept;
		wait_a_moment(&wait);
		peer_turn_loop(&other);
		kept = net_fixture_figure(&fixture, "memory", "replies");
	} while (kept == 0 || kept != before);
	/* That is a turn's replies, and the socket's. The rest was not even run. */
	assert_in_range(kept, 1, 8 << 20);
	for (uint32_t i = 0; i < CALLS; i++) {
		peer_expect_ok(&peer, i);
	}
	peer_close(&peer);
	peer_close(&other);
	net_fixture_close(&fixture);
}

static void who_does_not_read_is_closed_when_memory_is_scarce(void **state)
{
	static const struct net_fixture_options options = {.reply_memory = 16 << 20,
		.timeout_ms = 1000};
	struct net_fixture fixture;
	struct rpc_envelope envelope = {0};
	struct peer idler;
	struct peer other;
	(void)state;
	net_fixture_open(&fixture, &options);
	peer_open(&idler, &fixture);
	peer_open(&other, &fixture);
	peer_ask(&idler, 1, "bytes", 12 << 20);
	struct wait wait = {0};
	while (atomic_load(&fixture.events) == 0) {
		wait_a_moment(&wait);
	}
	net_fixture_await(&fixture, "memory", "replies", 0);
	assert_false(peer_answer(&idler, &envelope));
	peer_ask(&other, 2, "bytes", 12 << 20);
	peer_expect_ok(&other, 2);
	peer_close(&other);
	peer_close(&idler);
	net_fixture_close(&fixture);
}

static void who_reads_too_slowly_is_closed_when_memory_is_scarce(void **state)
{
	static const struct net_fixture_options options = {.reply_memory = 16 << 20,
		.timeout_ms = 1000,
		.least_rate = 64 << 20};
	struct net_fixture fixture;
	struct peer idler;
	struct wait wait = {0};
	uint8_t some[100];
	(void)state;
	net_fixture_open(&fixture, &options);
	peer_open(&idler, &fixture);
	peer_ask(&idler, 1, "bytes", 12 << 20);
	while (atomic_load(&fixture.events) == 0) {
		assert_int_equal(recv(idler.fd, some, sizeof some, 0), sizeof some);
		wait_a_moment(&wait);
	}
	net_fixture_await(&fixture, "memory", "replies", 0);
	peer_close(&idler);
	net_fixture_close(&fixture);
}

/* Sends the head of a request with a bin of `size` bytes, and the first `count` of them. */
static void begin_request(struct peer *peer, size_t size, size_t count)
{
	uint8_t head[] = {0x94, 0x00, 0x01, 0xa5, 'w', 'r', 'i', 't', 'e', 0x91, 0xc6, 0, 0, 0, 0};
	uint8_t *zeros = calloc(1, count + 1);
	assert_non_null(zeros);
	for (unsigned i = 0; i < 4; i++) {
		head[11 + i] = (uint8_t)(size >> (24 - 8 * i));
	}
	peer_send(peer, head, sizeof head);
	peer_send(peer, zeros, count);
	free(zeros);
}

/* Waits until requests hold at least so much. */
static void await_memory(struct net_fixture *fixture, size_t bytes)
{
	struct wait wait = {0};
	while (net_fixture_figure(fixture, "memory", "requests") < bytes) {
		wait_a_moment(&wait);
	}
}

static void what_is_announced_takes_no_memory(void **state)
{
	static const struct net_fixture_options options = {.request_memory = 64 << 20};
	struct net_fixture fixture;
	struct peer announcers[8];
	struct peer other;
	(void)state;
	net_fixture_open(&fixture, &options);
	for (unsigned i = 0; i < 8; i++) {
		peer_open(&announcers[i], &fixture);
		begin_request(&announcers[i], 60 << 20, 1);
		peer_send(&announcers[i], "", 1);
	}
	peer_open(&other, &fixture);
	peer_turn_loop(&other);
	assert_int_equal(net_fixture_figure(&fixture, "memory", "requests"), 0);
	peer_ask(&other, 1, "heavy", 1000);
	peer_expect_ok(&other, 1);
	begin_request(&other, 40 << 20, 40 << 20);
	peer_expect_error(&other, 1, STATUS_BAD_REQUEST); /* a bin is no map */
	peer_close(&other);
	for (unsigned i = 0; i < 8; i++) {
		peer_close(&announcers[i]);
	}
	net_fixture_close(&fixture);
}

/* One holds the memory and sends no more: the next one has room beyond the limit. */
static void who_waits_longest_is_completed(void **state)
{
	static const struct net_fixture_options options = {.request_memory = 64 << 20};
	enum { SIZE = 40 << 20 };
	struct net_fixture fixture;
	struct peer first;
	struct peer second;
	(void)state;
	net_fixture_open(&fixture, &options);
	peer_open(&first, &fixture);
	peer_open(&second, &fixture);
	begin_request(&first, SIZE, SIZE - 1);
	await_memory(&fixture, SIZE);
	for (unsigned i = 0; i < 2; i++) {
		begin_request(&second, SIZE, SIZE);
		peer_expect_error(&second, 1, STATUS_BAD_REQUEST);
	}
	peer_send(&first, "", 1);
	peer_expect_error(&first, 1, STATUS_BAD_REQUEST);
	net_fixture_await(&fixture, "memory", "waiting", 0);
	peer_close(&first);
	peer_close(&second);
	net_fixture_close(&fixture);
}

/* Two have all the memory and send no more; a third waits for it. All end in time. */
static void half_sent_requests_are_not_waited_for_for_ever(void **state)
{
	static const struct net_fixture_options options = {.request_memory = 64 << 20,
		.timeout_ms = 3000};
	enum { SIZE = 40 << 20, SOME = 100 << 10 };
	struct net_fixture fixture;
	struct peer holders[2];
	struct peer waiter;
	struct rpc_envelope envelope = {0};
	(void)state;
	net_fixture_open(&fixture, &options);
	for (unsigned i = 0; i < 2; i++) {
		peer_open(&holders[i], &fixture);
		begin_request(&holders[i], SIZE, SIZE - 1);
		await_memory(&fixture, (size_t)(i + 1) * SIZE);
	}
	peer_open(&waiter, &fixture);
	begin_request(&waiter, SIZE, SOME);
	net_fixture_await(&fixture, "memory", "waiting", 1);
	peer_expect_end(&holders[0]);
	peer_expect_end(&holders[1]);
	while (peer_answer(&waiter, &envelope)) {
		assert_true(envelope.failed);
	}
	assert_int_equal(atomic_load(&fixture.events), 1); /* the others are untold */
	net_fixture_await(&fixture, "memory", "requests", 0);
	peer_close(&holders[0]);
	peer_close(&holders[1]);
	peer_close(&waiter);
	net_fixture_close(&fixture);
}

static void stopping_answers_what_is_in_flight(void **state)
{
	static const struct net_fixture_options usual;
	struct net_fixture fixture;
	struct peer busy;
	struct peer idle;
	(void)state;
	net_fixture_open(&fixture, &usual);
	peer_open(&busy, &fixture);
	peer_open(&idle, &fixture);
	peer_ask(&idle, 1, "ping", 0);
	peer_expect_ok(&idle, 1);
	peer_ask(&busy, 1, "gate", 0);
	struct wait wait = {0};
	while (atomic_load(&net_stub.gate_entered) == 0) {
		wait_a_moment(&wait);
	}
	net_fixture_stop(&fixture);
	peer_expect_end(&idle);
	sem_post(&net_stub.gate);
	peer_expect_ok(&busy, 1);
	peer_expect_end(&busy);
	peer_close(&busy);
	peer_close(&idle);
	net_fixture_close(&fixture);
}

static void stopping_does_not_wait_beyond_the_grace(void **state)
{
	static const struct net_fixture_options options = {.grace_ms = 1};
	struct net_fixture fixture;
	struct peer peer;
	(void)state;
	net_fixture_open(&fixture, &options);
	peer_open(&peer, &fixture);
	for (uint32_t i = 0; i < 10; i++) {
		peer_ask(&peer, i, "gate", 0);
	}
	struct wait wait = {0};
	while (atomic_load(&net_stub.gate_entered) < 2) {
		wait_a_moment(&wait);
	}
	net_fixture_stop(&fixture);
	peer_expect_end(&peer);
	/* The two that run end; those that waited behind them are not run any more. */
	sem_post(&net_stub.gate);
	sem_post(&net_stub.gate);
	peer_close(&peer);
	net_fixture_close(&fixture);
	assert_int_equal(atomic_load(&net_stub.gate_entered), 2);
}

static void replies_of_many_pieces_come_whole_and_in_order(void **state)
{
	enum { REPLIES = 4, PIECES = 3, ODD = 12345 };
	struct net_fixture fixture;
	struct peer peer;
	struct rpc_envelope envelope = {0};
	(void)state;
	net_fixture_open(&fixture, &(struct net_fixture_options){0});
	peer_open(&peer, &fixture);
	for (uint32_t i = 0; i < REPLIES; i++) {
		/* Large ones and small ones in turns: no small one may pass a large one. */
		peer_ask(&peer, 2 * i, "bytes", (uint64_t)PIECES * SENDER_PIECE_BYTES + ODD + i);
		peer_ask(&peer, 2 * i + 1, "ping", 0);
	}
	for (uint32_t i = 0; i < 2 * REPLIES; i++) {
		assert_true(peer_answer(&peer, &envelope));
		assert_int_equal(envelope.msgid, i);
		struct wire_bytes data;
		if (i % 2 == 0) {
			assert_true(wire_bin(envelope.result, &data));
			assert_int_equal(data.len,
				(size_t)PIECES * SENDER_PIECE_BYTES + ODD + i / 2);
			assert_int_equal(data.data[data.len - 1], data.data[0]);
		}
	}
	net_fixture_await(&fixture, "memory", "replies", 0);
	peer_close(&peer);
	net_fixture_close(&fixture);
}

/* How many loops have had a turn of so long. */
static unsigned loops_with(struct net_fixture *fixture, unsigned loops, uint64_t us)
{
	unsigned count = 0;
	for (unsigned i = 0; i < loops; i++) {
		count += net_fixture_figure_of(fixture, "loops", "longest_turn_us", i) >= us;
	}
	return count;
}

static void a_long_turn_is_told_of_its_loop_alone(void **state)
{
	enum { LOOPS = 2, LONG_US = 200000, SHORT_US = 5000 };
	struct net_fixture fixture;
	struct peer peers[LOOPS];
	struct wait wait = {0};
	(void)state;
	net_fixture_open(&fixture, &(struct net_fixture_options){.workers = LOOPS});
	for (unsigned i = 0; i < LOOPS; i++) {
		peer_open(&peers[i], &fixture);
		peer_ask(&peers[i], 1, "burn", SHORT_US);
		peer_expect_ok(&peers[i], 1);
	}
	while (loops_with(&fixture, LOOPS, SHORT_US) < LOOPS) {
		wait_a_moment(&wait);
	}
	assert_int_equal(loops_with(&fixture, LOOPS, LONG_US), 0);
	peer_ask(&peers[0], 2, "burn", LONG_US);
	peer_expect_ok(&peers[0], 2);
	while (loops_with(&fixture, LOOPS, LONG_US) == 0) {
		wait_a_moment(&wait);
	}
	assert_int_equal(loops_with(&fixture, LOOPS, LONG_US), 1);
	assert_int_equal(loops_with(&fixture, LOOPS, LONG_US + LONG_US / 2), 0);
	for (unsigned i = 0; i < LOOPS; i++) {
		peer_close(&peers[i]);
	}
	net_fixture_close(&fixture);
}

/* Two users, of whom the first has written more. */
static void who_has_written_most_waits_while_writes_are_crowded(void **state)
{
	struct net_fixture fixture;
	struct peer most;
	struct peer stranger;
	(void)state;
	net_fixture_open(&fixture, &(struct net_fixture_options){0});
	peer_open(&most, &fixture);
	atomic_store(&net_stub.crowded, true);
	for (uint32_t n = 1; n <= 9; n++) {
		peer_ask(&most, n, "put", n); /* nobody else is there */
		peer_expect_ok(&most, n);
	}
	peer_open_tcp(&stranger, &fixture);
	peer_ask(&stranger, 10, "put", 10);
	peer_expect_ok(&stranger, 10);
	peer_ask(&most, 20, "put", 20);
	for (uint32_t n = 11; n <= 13; n++) {
		peer_ask(&stranger, n, "put", n);
		peer_expect_ok(&stranger, n);
	}
	peer_turn_loop(&stranger);
	assert_int_equal(atomic_load(&net_stub.writes), 13);
	assert_int_equal(atomic_load(&net_stub.write_order), 13);
	atomic_store(&net_stub.crowded, false);
	peer_expect_ok(&most, 20);
	net_fixture_await(&fixture, "memory", "requests", 0);
	peer_close(&most);
	peer_close(&stranger);
	net_fixture_close(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failed_sync_fails_every_write_of_its_group),
		cmocka_unit_test(one_connection_too_many_is_refused),
		cmocka_unit_test(large_replies_beyond_the_budget_are_busy),
		cmocka_unit_test(unread_replies_stop_the_reading_of_requests),
		cmocka_unit_test(who_does_not_read_is_closed_when_memory_is_scarce),
		cmocka_unit_test(who_reads_too_slowly_is_closed_when_memory_is_scarce),
		cmocka_unit_test(what_is_announced_takes_no_memory),
		cmocka_unit_test(who_waits_longest_is_completed),
		cmocka_unit_test(half_sent_requests_are_not_waited_for_for_ever),
		cmocka_unit_test(who_has_written_most_waits_while_writes_are_crowded),
		cmocka_unit_test(stopping_answers_what_is_in_flight),
		cmocka_unit_test(stopping_does_not_wait_beyond_the_grace),
		cmocka_unit_test(replies_of_many_pieces_come_whole_and_in_order),
		cmocka_unit_test(a_long_turn_is_told_of_its_loop_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
