/* test_roles.c - a peer calls what its roles allow, and nothing else. */
#include "tests/unit/net/net_fixture.h"

#include "daemon/net/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct net_fixture_options strange = {.tcp_denied = true};

/* The next reply is DENIED, and says this. */
static void expect_denied(struct peer *peer, uint32_t msgid, const char *text)
{
	struct rpc_envelope envelope;
	char said[ERROR_TEXT_BYTES];
	assert_true(peer_answer(peer, &envelope));
	assert_int_equal(envelope.msgid, msgid);
	assert_true(envelope.failed);
	assert_true(envelope.error.len < sizeof said);
	memcpy(said, envelope.error.data, envelope.error.len);
	said[envelope.error.len] = '\0';
	assert_string_equal(said, text);
}

static void a_peer_without_a_role_may_ping(void **state)
{
	struct net_fixture fixture;
	struct peer peer;
	(void)state;
	net_fixture_open(&fixture, &strange);
	peer_open_tcp(&peer, &fixture);
	peer_ask(&peer, 1, "bytes", 4);
	peer_ask(&peer, 2, "ping", 0);
	peer_ask(&peer, 3, "put", 1);
	peer_ask(&peer, 4, "admin", 0);
	peer_ask(&peer, 5, "nothing", 0);
	expect_denied(&peer, 1, "DENIED: bytes wants the role 'read'; tcp:loopback has 'none'");
	peer_expect_ok(&peer, 2);
	expect_denied(&peer, 3, "DENIED: put wants the role 'write'; tcp:loopback has 'none'");
	expect_denied(&peer, 4, "DENIED: admin wants the role 'admin'; tcp:loopback has 'none'");
	peer_expect_error(&peer, 5, STATUS_UNSUPPORTED);
	assert_int_equal(atomic_load(&net_stub.writes), 0);
	assert_int_equal(net_fixture_figure(&fixture, "denied", "tcp"), 3);
	assert_int_equal(net_fixture_figure(&fixture, "denied", "unix"), 0);
	peer_close(&peer);
	net_fixture_close(&fixture);
}

/* The user of the test is the one whom the server runs as. */
static void the_own_user_may_do_everything(void **state)
{
	struct net_fixture fixture;
	struct peer peer;
	(void)state;
	net_fixture_open(&fixture, &strange);
	peer_open(&peer, &fixture);
	peer_ask(&peer, 1, "admin", 0);
	peer_expect_ok(&peer, 1);
	peer_ask(&peer, 2, "put", 1);
	peer_expect_ok(&peer, 2);
	peer_close(&peer);
	net_fixture_close(&fixture);
}

static void other_rules_hold_from_the_next_request_on(void **state)
{
	struct net_fixture fixture;
	struct peer peer;
	(void)state;
	net_fixture_open(&fixture, &strange);
	peer_open_tcp(&peer, &fixture);
	peer_ask(&peer, 1, "bytes", 4);
	peer_expect_error(&peer, 1, STATUS_DENIED);
	net_fixture_allow_tcp(ROLE_READ);
	peer_ask(&peer, 2, "bytes", 4);
	peer_expect_ok(&peer, 2);
	peer_ask(&peer, 3, "put", 1);
	expect_denied(&peer, 3, "DENIED: put wants the role 'write'; tcp:loopback has 'read'");
	net_fixture_allow_tcp(ROLE_WRITE);
	peer_ask(&peer, 4, "put", 1);
	peer_expect_ok(&peer, 4);
	net_fixture_allow_tcp(ROLE_PUBLISH);
	peer_ask(&peer, 5, "put", 2);
	expect_denied(&peer, 5,
		"DENIED: put wants the role 'write'; tcp:loopback has 'read publish'");
	peer_close(&peer);
	net_fixture_close(&fixture);
}

static void a_denied_notification_does_nothing(void **state)
{
	struct net_fixture fixture;
	struct peer peer;
	struct wire_writer writer = {0};
	(void)state;
	net_fixture_open(&fixture, &strange);
	peer_open_tcp(&peer, &fixture);
	wire_write_array(&writer, 3);
	wire_write_uint(&writer, RPC_NOTIFICATION);
	wire_write_str(&writer, "put");
	wire_write_array(&writer, 0);
	peer_send(&peer, writer.data, writer.len);
	wire_writer_fini(&writer);
	peer_ask(&peer, 1, "ping", 0);
	peer_expect_ok(&peer, 1);
	assert_int_equal(atomic_load(&net_stub.writes), 0);
	assert_int_equal(net_fixture_figure(&fixture, "denied", "tcp"), 1);
	peer_close(&peer);
	net_fixture_close(&fixture);
}

/* The beginning of a request of 1 MiB; the rest never comes. */
static void send_half(struct peer *peer)
{
	enum { WHOLE = 1 << 20, PART = 64 << 10 };
	struct wire_writer writer = {0};
	uint8_t *zeros = calloc(1, WHOLE);
	assert_non_null(zeros);
	wire_write_array(&writer, 4);
	wire_write_uint(&writer, RPC_REQUEST);
	wire_write_uint(&writer, 9);
	wire_write_str(&writer, "ping");
	wire_write_array(&writer, 1);
	wire_write_bin(&writer, zeros, WHOLE);
	assert_true(writer.len > PART);
	peer_send(peer, writer.data, PART);
	wire_writer_fini(&writer);
	free(zeros);
}

static void a_peer_without_a_role_sends_nothing_long(void **state)
{
	struct net_fixture fixture;
	struct peer peer;
	(void)state;
	net_fixture_open(&fixture, &strange);
	peer_open_tcp(&peer, &fixture);
	send_half(&peer);
	expect_denied(&peer, 9, "DENIED: a peer without a role may send requests of 16384 bytes");
	peer_expect_end(&peer);
	peer_close(&peer);
	net_fixture_close(&fixture);
}

static void keep_line(void *arg, const char *line)
{
	char *kept = arg;
	(void)snprintf(kept, ERROR_TEXT_BYTES, "%s", line);
}

static void what_was_left_out_is_told_when_its_time_is_over(void **state)
{
	char line[ERROR_TEXT_BYTES] = "";
	static struct net net;
	(void)state;
	net.on_event = keep_line;
	net.on_event_arg = line;
	lock_init(&net.audit.lock);
	net.audit.window = 1;
	net.audit.began_ms = 5000;
	guard_tick(&net, 5000 + GUARD_WINDOW_MS);
	assert_string_equal(line, "");
	net.audit.untold = 17;
	guard_tick(&net, 5000 + GUARD_WINDOW_MS - 1);
	assert_string_equal(line, "");
	guard_tick(&net, 5000 + GUARD_WINDOW_MS);
	assert_string_equal(line, "event=audit result=untold lines=17");
	line[0] = '\0';
	guard_tick(&net, 5000 + 2 * GUARD_WINDOW_MS);
	assert_string_equal(line, "");
	lock_fini(&net.audit.lock);
}

static void peers_that_tls_refuses_are_told_within_bounds(void **state)
{
	char line[ERROR_TEXT_BYTES] = "";
	static struct net net;
	(void)state;
	net.on_event = keep_line;
	net.on_event_arg = line;
	lock_init(&net.audit.lock);
	for (unsigned i = 0; i < GUARD_REFUSED_LINES_MAX; i++) {
		assert_true(guard_has_room_for(&net, TLS_REFUSED_NOT_TLS));
	}
	assert_false(guard_has_room_for(&net, TLS_REFUSED_NOT_TLS));
	assert_false(guard_has_room_for(&net, TLS_REFUSED_NOT_TLS));
	assert_true(guard_has_room_for(&net, TLS_REFUSED_REVOKED));
	guard_tick(&net, net.audit.began_ms + GUARD_WINDOW_MS);
	assert_string_equal(line, "event=audit result=untold lines=2");
	assert_int_equal(net.audit.told, 0);   /* those of denials are apart */
	net.audit.began_ms -= GUARD_WINDOW_MS; /* its time is over */
	assert_true(guard_has_room_for(&net, TLS_REFUSED_NOT_TLS));
	lock_fini(&net.audit.lock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_peer_without_a_role_may_ping),
		cmocka_unit_test(the_own_user_may_do_everything),
		cmocka_unit_test(other_rules_hold_from_the_next_request_on),
		cmocka_unit_test(a_denied_notification_does_nothing),
		cmocka_unit_test(a_peer_without_a_role_sends_nothing_long),
		cmocka_unit_test(what_was_left_out_is_told_when_its_time_is_over),
		cmocka_unit_test(peers_that_tls_refuses_are_told_within_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
