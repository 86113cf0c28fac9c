/* test_lane.c - lanes: whose request is next, who makes way, how many wait, and whose are dropped. */
#include "tests/unit/net/net_fixture.h"
#include "tests/unit/wait.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void wait_until_waiting(struct net_fixture *fixture, uint64_t count)
{
	net_fixture_await(fixture, "queues", "search", count);
}

/* The lane's thread is in the count-th search. */
static void wait_until_begun(unsigned count)
{
	struct wait wait = {0};
	while (atomic_load(&net_stub.search_count) < count) {
		wait_a_moment(&wait);
	}
}

static void open_gate(unsigned searches)
{
	for (unsigned i = 0; i < searches; i++) {
		sem_post(&net_stub.gate);
	}
}

/* Asks for searches [n, n + count), whose msgids are their n, behind `waiting` others. */
static void ask(struct net_fixture *fixture, struct peer *peer, uint32_t n, uint32_t count,
	uint64_t waiting)
{
	for (uint32_t i = 0; i < count; i++) {
		peer_ask(peer, n + i, "search", n + i);
		wait_until_waiting(fixture, waiting + i + 1);
	}
}

/* The same of one that begins at once: the `begun`-th. */
static void ask_first(struct net_fixture *fixture, struct peer *peer, uint32_t n, unsigned begun)
{
	peer_ask(peer, n, "search", n);
	wait_until_begun(begun);
	wait_until_waiting(fixture, 0);
}

/* Lets the request that runs cost more than the others will, also where these are interrupted. */
static void let_it_cost(void)
{
	static const struct timespec pause = {.tv_nsec = 300000000};
	(void)nanosleep(&pause, NULL);
}

static void assert_searches(const uint64_t *expected, unsigned count)
{
	assert_int_equal(atomic_load(&net_stub.search_count), count);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(atomic_load(&net_stub.searches[i]), expected[i]);
	}
}

/* The first request of `greedy` runs while all others come, and costs more than they do. */
static void connections_take_turns(void **state)
{
	static const struct net_fixture_options options = {.search_waiting = 16};
	static const uint64_t order[] = {1, 11, 21, 12, 2, 3, 4};
	struct net_fixture fixture;
	struct peer greedy;
	struct peer second;
	struct peer third;
	(void)state;
	net_fixture_open(&fixture, &options);
	peer_open(&greedy, &fixture);
	peer_open(&second, &fixture);
	peer_open(&third, &fixture);
	ask_first(&fixture, &greedy, 1, 1);
	ask(&fixture, &greedy, 2, 3, 0);
	ask(&fixture, &second, 11, 2, 3);
	ask(&fixture, &third, 21, 1, 5);
	let_it_cost();
	open_gate(7);
	for (uint32_t n = 1; n <= 4; n++) {
		peer_expect_ok(&greedy, n);
	}
	peer_expect_ok(&second, 11);
	peer_expect_ok(&second, 12);
	peer_expect_ok(&third, 21);
	assert_searches(order, 7);
	peer_close(&greedy);
	peer_close(&second);
	peer_close(&third);
	net_fixture_close(&fixture);
}

/* Two connections of one user, and one of another, whose requests come last. */
static void users_take_turns(void **state)
{
	static const struct net_fixture_options options = {.search_waiting = 32};
	static const uint64_t order[] = {1, 21, 22, 11, 12, 2, 3, 4};
	struct net_fixture fixture;
	struct peer greedy;
	struct peer second;
	struct peer stranger;
	(void)state;
	net_fixture_open(&fixture, &options);
	peer_open(&greedy, &fixture);
	peer_open(&second, &fixture);
	peer_open_tcp(&stranger, &fixture);
	ask_first(&fixture, &greedy, 1, 1);
	ask(&fixture, &greedy, 2, 3, 0);
	ask(&fixture, &second, 11, 2, 3);
	ask(&fixture, &stranger, 21, 2, 5);
	let_it_cost();
	open_gate(8);
	for (uint32_t n = 1; n <= 4; n++) {
		peer_expect_ok(&greedy, n);
	}
	for (uint32_t n = 0; n < 2; n++) {
		peer_expect_ok(&second, 11 + n);
		peer_expect_ok(&stranger, 21 + n);
	}
	assert_searches(order, 8);
	peer_close(&greedy);
	peer_close(&second);
	peer_close(&stranger);
	net_fixture_close(&fixture);
}

/* One thread, and four that are spare; all peers are one user, who may have three of them. */
static void a_long_request_makes_way_for_other_connections(void **state)
{
	static const struct net_fixture_options options = {.search_waiting = 16, .spare = 4};
	static const uint64_t order[] = {1, 11, 21, 41, 51};
	struct net_fixture fixture;
	struct peer peers[4];
	struct peer strangers[2];
	(void)state;
	net_fixture_open(&fixture, &options);
	for (unsigned i = 0; i < 4; i++) {
		peer_open(&peers[i], &fixture);
	}
	ask_first(&fixture, &peers[0], 1, 1);
	ask(&fixture, &peers[0], 2, 2, 0);
	/* The first has not ended, and makes way; but not for others of its connection. */
	peer_ask(&peers[1], 11, "search", 11);
	wait_until_begun(2);
	peer_ask(&peers[2], 21, "search", 21);
	wait_until_begun(3);
	/* The other two are kept for other users. */
	ask(&fixture, &peers[3], 31, 1, 2);
	for (uint32_t i = 0; i < 2; i++) {
		peer_open_tcp(&strangers[i], &fixture);
		peer_ask(&strangers[i], 41 + 10 * i, "search", 41 + 10 * i);
		wait_until_begun(4 + i);
	}
	assert_searches(order, 5);
	open_gate(8);
	for (uint32_t i = 0; i < 2; i++) {
		peer_expect_ok(&strangers[i], 41 + 10 * i);
		peer_close(&strangers[i]);
	}
	unsigned answered = 0; /* a bit each: two may run at once, and any passes the gate first */
	for (unsigned i = 0; i < 3; i++) {
		struct rpc_envelope envelope = {0};
		assert_true(peer_answer(&peers[0], &envelope));
		assert_false(envelope.failed);
		answered |= 1u << envelope.msgid;
	}
	assert_int_equal(answered, 1u << 1 | 1u << 2 | 1u << 3);
	peer_expect_ok(&peers[1], 11);
	peer_expect_ok(&peers[2], 21);
	peer_expect_ok(&peers[3], 31);
	for (unsigned i = 0; i < 4; i++) {
		peer_close(&peers[i]);
	}
	net_fixture_close(&fixture);
}

static int nice_of_last(void)
{
	return getpriority(PRIO_PROCESS, atomic_load(&net_stub.last_tid));
}

/* One thread, and two that are spare, of which the user may have one: what makes way has less of the
 * processors, and the next request of its thread has as much as any. */
static void who_makes_way_is_lowered(void **state)
{
	static const struct net_fixture_options options = {.search_waiting = 16, .spare = 2};
	struct net_fixture fixture;
	struct peer first;
	struct peer second;
	(void)state;
	if (geteuid() != 0) {
		skip(); /* who may not rise is not lowered */
	}
	net_fixture_open(&fixture, &options);
	peer_open(&first, &fixture);
	peer_open(&second, &fixture);
	for (unsigned i = 0; i < 3; i++) {
		ask_first(&fixture, &first, 2 * i, 2 * i + 1);
		const id_t tid = atomic_load(&net_stub.last_tid);
		assert_int_equal(nice_of_last(), LANE_NICE);
		peer_ask(&second, 2 * i + 1, "search", 2 * i + 1);
		wait_until_begun(2 * i + 2);
		assert_int_equal(getpriority(PRIO_PROCESS, tid), LANE_LONG_NICE);
		assert_int_equal(nice_of_last(), LANE_NICE);
		open_gate(2);
		peer_expect_ok(&first, 2 * i);
		peer_expect_ok(&second, 2 * i + 1);
	}
	peer_close(&first);
	peer_close(&second);
	net_fixture_close(&fixture);
}

/* The same of the pool, whose two threads are busy when the third request comes. */
static void who_has_made_way_rises_again(void **state)
{
	static const struct net_fixture_options options = {.spare = 2};
	const int nice = getpriority(PRIO_PROCESS, 0);
	struct net_fixture fixture;
	struct peer peers[3];
	(void)state;
	net_fixture_open(&fixture, &options);
	for (unsigned i = 0; i < 3; i++) {
		peer_open(&peers[i], &fixture);
	}
	for (uint32_t round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 3; i++) {
			struct wait wait = {0};
			peer_ask(&peers[i], round, "gate", 0);
			while (atomic_load(&net_stub.gate_entered) < 3 * round + i + 1) {
				wait_a_moment(&wait);
			}
			assert_int_equal(nice_of_last(), nice);
		}
		open_gate(3);
		for (unsigned i = 0; i < 3; i++) {
			peer_expect_ok(&peers[i], round);
		}
	}
	for (unsigned i = 0; i < 3; i++) {
		peer_close(&peers[i]);
	}
	net_fixture_close(&fixture);
}

/* As many as the pool has threads, and more behind them, of one connection. */
static void an_operator_finds_a_thread_beside_a_full_pool(void **state)
{
	static const struct net_fixture_options options = {0};
	struct net_fixture fixture;
	struct peer hog;
	struct peer operator;
	struct wait wait = {0};
	(void)state;
	net_fixture_open(&fixture, &options);
	peer_open(&hog, &fixture);
	peer_open(&operator, & fixture);
	for (uint32_t n = 1; n <= 10; n++) {
		peer_ask(&hog, n, "gate", n);
	}
	while (atomic_load(&net_stub.gate_entered) < 2) {
		wait_a_moment(&wait);
	}
	net_fixture_await(&fixture, "queues", "pool", 8);
	peer_ask(&operator, 1, "operate", 0);
	peer_expect_ok(&operator, 1);
	assert_int_equal(net_fixture_figure(&fixture, "queues", "pool"), 8);
	open_gate(10);
	net_fixture_await(&fixture, "queues", "pool", 0);
	peer_close(&hog);
	peer_close(&operator);
	net_fixture_close(&fixture);
}

static void searches_beyond_those_that_may_wait_are_busy(void **state)
{
	static const struct net_fixture_options options = {.search_waiting = 4};
	static const uint64_t order[] = {1, 11, 2, 3, 6};
	struct net_fixture fixture;
	struct peer peer;
	struct peer other;
	(void)state;
	net_fixture_open(&fixture, &options);
	peer_open(&peer, &fixture);
	peer_open(&other, &fixture);
	ask_first(&fixture, &peer, 1, 1);
	ask(&fixture, &peer, 2, 2, 0);
	peer_ask(&peer, 4, "search", 4);
	peer_expect_error(&peer, 4, STATUS_BUSY);
	/* Others find a place still. */
	ask(&fixture, &other, 11, 1, 2);
	peer_ask(&other, 5, "search", 5);
	peer_expect_error(&other, 5, STATUS_BUSY);
	net_fixture_await(&fixture, "queues", "search", 3);
	peer_ask(&other, 7, "ping", 0);
	peer_expect_ok(&other, 7);
	open_gate(5);
	for (uint32_t n = 1; n <= 3; n++) {
		peer_expect_ok(&peer, n);
	}
	peer_expect_ok(&other, 11);
	peer_ask(&other, 6, "search", 6);
	peer_expect_ok(&other, 6);
	assert_searches(order, 5);
	net_fixture_await(&fixture, "memory", "requests", 0);
	peer_close(&peer);
	peer_close(&other);
	net_fixture_close(&fixture);
}

static void searches_of_a_peer_that_has_left_are_dropped(void **state)
{
	static const struct net_fixture_options options = {.search_waiting = 16};
	static const uint64_t order[] = {1, 11, 12};
	struct net_fixture fixture;
	struct peer leaver;
	struct peer stayer;
	(void)state;
	net_fixture_open(&fixture, &options);
	peer_open(&leaver, &fixture);
	peer_open(&stayer, &fixture);
	ask_first(&fixture, &leaver, 1, 1);
	ask(&fixture, &leaver, 2, 3, 0);
	ask(&fixture, &stayer, 11, 2, 3);
	peer_close(&leaver);
	/* It could have closed its sending half alone; that nobody reads shows with the first
	 * answer. */
	open_gate(1);
	wait_until_begun(2);
	peer_turn_loop(&stayer);
	open_gate(5);
	peer_expect_ok(&stayer, 11);
	peer_expect_ok(&stayer, 12);
	wait_until_waiting(&fixture, 0);
	peer_close(&stayer);
	net_fixture_close(&fixture);
	assert_searches(order, 3);
}

/* The one thread is busy, and nobody looks at what waits until it ends. */
static void who_waits_is_told_in_time(void **state)
{
	static const struct net_fixture_options options = {.search_waiting = 16};
	static const uint64_t order[] = {1, 4, 5};
	struct net_fixture fixture;
	struct peer peer;
	struct peer other;
	(void)state;
	net_fixture_open(&fixture, &options);
	peer_open(&peer, &fixture);
	peer_open(&other, &fixture);
	ask_first(&fixture, &peer, 1, 1);
	peer_ask_within(&peer, 2, "search", 2, 50);
	peer_ask_within(&other, 3, "search", 3, 1);
	peer_expect_error(&other, 3, STATUS_TIMEOUT);
	peer_expect_error(&peer, 2, STATUS_TIMEOUT);
	wait_until_waiting(&fixture, 0);
	/* One that runs is not disturbed, and neither is one that has time. */
	peer_ask_within(&peer, 4, "search", 4, 600000);
	wait_until_waiting(&fixture, 1);
	open_gate(2);
	peer_expect_ok(&peer, 1);
	peer_expect_ok(&peer, 4);
	peer_ask_within(&other, 5, "search", 5, 600000);
	wait_until_begun(3);
	open_gate(1);
	peer_expect_ok(&other, 5);
	assert_searches(order, 3);
	net_fixture_await(&fixture, "memory", "requests", 0);
	peer_close(&peer);
	peer_close(&other);
	net_fixture_close(&fixture);
}

static void a_time_out_has_bounds(void **state)
{
	static const struct net_fixture_options options = {0};
	struct net_fixture fixture;
	struct peer peer;
	(void)state;
	net_fixture_open(&fixture, &options);
	peer_open(&peer, &fixture);
	peer_ask_within(&peer, 1, "ping", 0, 0);
	peer_expect_error(&peer, 1, STATUS_BAD_REQUEST);
	peer_ask_within(&peer, 2, "operate", 0, 86400001);
	peer_expect_error(&peer, 2, STATUS_BAD_REQUEST);
	peer_ask_within(&peer, 3, "search", 0, 600001);
	peer_expect_error(&peer, 3, STATUS_BAD_REQUEST);
	peer_ask_within(&peer, 4, "operate", 0, 86400000);
	peer_expect_ok(&peer, 4);
	peer_close(&peer);
	net_fixture_close(&fixture);
}

/* Many wait, and all of their times are over at once. */
static void many_are_told_in_time(void **state)
{
	static const struct net_fixture_options options = {.search_waiting = 1000};
	enum { PEERS = 10, REQUESTS = 60 };
	struct net_fixture fixture;
	struct peer first;
	struct peer peers[PEERS];
	(void)state;
	net_fixture_open(&fixture, &options);
	peer_open(&first, &fixture);
	ask_first(&fixture, &first, 1, 1);
	for (unsigned i = 0; i < PEERS; i++) {
		peer_open(&peers[i], &fixture);
		for (uint32_t n = 0; n < REQUESTS; n++) {
			peer_ask_within(&peers[i], n, "search", n, 1 + n % 7);
		}
	}
	for (unsigned i = 0; i < PEERS; i++) {
		for (uint32_t n = 0; n < REQUESTS; n++) {
			struct rpc_envelope envelope = {0};
			assert_true(peer_answer(&peers[i], &envelope));
			assert_true(envelope.failed);
		}
		peer_close(&peers[i]);
	}
	open_gate(1);
	peer_expect_ok(&first, 1);
	assert_int_equal(atomic_load(&net_stub.search_count), 1);
	peer_close(&first);
	net_fixture_close(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connections_take_turns),
		cmocka_unit_test(users_take_turns),
		cmocka_unit_test(a_long_request_makes_way_for_other_connections),
		cmocka_unit_test(who_makes_way_is_lowered),
		cmocka_unit_test(who_has_made_way_rises_again),
		cmocka_unit_test(an_operator_finds_a_thread_beside_a_full_pool),
		cmocka_unit_test(searches_beyond_those_that_may_wait_are_busy),
		cmocka_unit_test(searches_of_a_peer_that_has_left_are_dropped),
		cmocka_unit_test(who_waits_is_told_in_time),
		cmocka_unit_test(a_time_out_has_bounds),
		cmocka_unit_test(many_are_told_in_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
