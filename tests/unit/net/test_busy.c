/* test_busy.c - a read that has waited for too long behind others is BUSY; nothing else is. */
#include "tests/unit/net/net_fixture.h"

#include "tests/unit/wait.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void a_read_that_waits_too_long_is_busy(void **state)
{
	static const struct net_fixture_options options = {.queue_ms = 500};
	struct net_fixture fixture;
	struct peer hog;
	struct peer peer;
	struct rpc_envelope envelope = {0};
	struct wait wait = {0};
	(void)state;
	net_fixture_open(&fixture, &options);
	peer_open(&hog, &fixture);
	peer_open(&peer, &fixture);
	peer_ask(&hog, 1, "gate", 0);
	peer_ask(&hog, 2, "gate", 0);
	while (atomic_load(&net_stub.gate_entered) < 2) {
		wait_a_moment(&wait);
	}
	peer_ask(&peer, 1, "heavy", 10); /* behind the two, which do not end */
	peer_expect_error(&peer, 1, STATUS_BUSY);
	peer_ask(&peer, 2, "operate", 0);
	peer_expect_ok(&peer, 2);
	peer_ask(&peer, 3, "write", 3);
	peer_expect_ok(&peer, 3);
	sem_post(&net_stub.gate);
	sem_post(&net_stub.gate);
	for (unsigned i = 0; i < 2; i++) { /* in any order */
		assert_true(peer_answer(&hog, &envelope));
		assert_false(envelope.failed);
	}
	peer_close(&hog);
	peer_close(&peer);
	net_fixture_close(&fixture);
}

/* What comes while the loop burns is all ready in its next turn, in the order in which it came; so behind the second of
 * these the third is late. */
static void a_read_that_a_loop_comes_to_too_late_is_busy(void **state)
{
	static const struct net_fixture_options options = {.queue_ms = 100};
	struct net_fixture fixture;
	struct peer hogs[2];
	struct peer late;
	struct peer asks;
	struct wait wait = {0};
	(void)state;
	net_fixture_open(&fixture, &options);
	peer_open(&hogs[0], &fixture);
	peer_open(&hogs[1], &fixture);
	peer_open(&late, &fixture);
	peer_open(&asks, &fixture);
	struct peer *const peers[] = {&hogs[0], &hogs[1], &late, &asks};
	for (unsigned i = 0; i < 4; i++) { /* the loop has them all */
		peer_ask(peers[i], 0, "ping", 0);
		peer_expect_ok(peers[i], 0);
	}
	const unsigned burns = atomic_load(&net_stub.burns);
	peer_ask(&hogs[0], 1, "burn", 300000);
	while (atomic_load(&net_stub.burns) == burns) {
		wait_a_moment(&wait);
	}
	peer_ask(&hogs[1], 1, "burn", 150000);
	peer_ask(&late, 1, "bytes", 10);
	peer_ask(&asks, 1, "ping", 0);
	peer_expect_error(&late, 1, STATUS_BUSY);
	peer_expect_ok(&asks, 1);
	for (unsigned i = 0; i < 2; i++) {
		peer_close(&hogs[i]);
	}
	peer_close(&late);
	peer_close(&asks);
	net_fixture_close(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_read_that_waits_too_long_is_busy),
		cmocka_unit_test(a_read_that_a_loop_comes_to_too_late_is_busy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
