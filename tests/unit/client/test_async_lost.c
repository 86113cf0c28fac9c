/* test_async_lost.c - calls that nobody waits for, and daemons that are slow, silent, rude or gone. */
#include "tests/unit/client/async_fixture.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* Hangs up on the first connection instead of an answer. */
static void answer_at_second(struct fake_call *call, const void *arg)
{
	if (call->connection == 0) {
		call->close = true;
	} else {
		answer_right(call, arg);
	}
}

static void reads_go_on_over_the_next_connection_and_writes_do_not(void **state)
{
	(void)state;
	struct fake_server server;
	struct room room = {.keys = {0}};
	struct rep_error err;
	struct rep_async_counters counters;
	fake_server_start(&server, answer_at_second, NULL);
	rep_async *async = async_open_usual(server.path);
	const uint64_t write = async_ask_write(async);
	const uint64_t read = async_ask(async, &room);
	assert_int_equal(async_await(async), write);
	assert_int_equal(rep_async_written(async, write, NULL, &err), REP_CLOSED);
	assert_non_null(strstr(err.text, "whether it was done is not known"));
	assert_int_equal(async_await(async), read);
	async_expect_rows(async, read);
	rep_async_count(async, &counters);
	assert_int_equal(counters.losses, 1);
	rep_async_close(async);
	fake_server_stop(&server);
}

static void answer_by_hanging_up(struct fake_call *call, const void *arg)
{
	(void)arg;
	call->close = true;
}

static void a_read_that_ends_every_connection_is_given_up(void **state)
{
	(void)state;
	struct fake_server server;
	struct room room = {.keys = {0}};
	fake_server_start(&server, answer_by_hanging_up, NULL);
	rep_async *async = async_open_usual(server.path);
	async_expect_error(async, (async_ask(async, &room), async_await(async)), REP_CLOSED,
		"lost before the answer");
	rep_async_close(async);
	fake_server_stop(&server);
	assert_int_equal(server.requests, 3);
}

static void a_lost_connection_stays_lost_if_that_is_wanted(void **state)
{
	(void)state;
	struct fake_server server;
	struct room room = {.keys = {0}};
	struct rep_part part = part_of(&room, REP_F32);
	struct rep_error err;
	uint64_t ticket = 0;
	fake_server_start(&server, answer_by_hanging_up, NULL);
	rep_async *async = async_open_at(server.path, (struct rep_options){.no_reconnect = true},
		(struct rep_async_options){0});
	async_expect_error(async, (async_ask(async, &room), async_await(async)), REP_CLOSED,
		"was lost");
	assert_int_equal(rep_async_fetch(async, NULL, &part, 1, &ticket, &err), REP_CLOSED);
	rep_async_close(async);
	fake_server_stop(&server);
}

/* Busy with the first request until the write behind it was given up; then it hangs up. */
static void answer_busily(struct fake_call *call, const void *arg)
{
	unsigned *const *puts = arg;
	if (call->number == 0) {
		poll(NULL, 0, 300);
		call->close = true;
		return;
	}
	**puts += fake_is(call, "put");
	answer_right(call, NULL);
}

static void a_write_that_was_given_up_is_not_sent_again(void **state)
{
	(void)state;
	static uint8_t rows[16 << 20];
	static const uint64_t keys[1] = {7};
	const struct rep_rows large = {.keys = rep_keys_u64(keys, 1),
		.rows = rows,
		.rows_bytes = sizeof rows};
	unsigned puts = 0;
	unsigned *arg = &puts;
	struct fake_server server;
	struct room room = {.keys = {0}};
	uint64_t write = 0;
	fake_server_start(&server, answer_busily, &arg);
	rep_async *async = async_open_usual(server.path);
	const uint64_t read = async_ask(async, &room);
	rep_async_set_timeout(async, 50);
	assert_int_equal(rep_async_put(async, NULL, "ur", &large, &write, NULL), REP_OK);
	assert_int_equal(async_await(async), write);
	assert_int_equal(rep_async_written(async, write, NULL, NULL), REP_TIMEOUT);
	assert_int_equal(async_await(async), read);
	async_expect_rows(async, read);
	async_expect_rows(async, (async_ask(async, &room), async_await(async)));
	rep_async_close(async);
	fake_server_stop(&server);
	assert_int_equal(puts, 0);
}

static void a_write_finds_out_that_the_connection_is_gone_for_good(void **state)
{
	(void)state;
	struct fake_server server;
	struct rep_error err = {0};
	static const uint64_t keys[1] = {7};
	uint64_t ticket = 0;
	fake_server_start(&server, answer_right, NULL);
	rep_async *async = async_open_at(server.path, (struct rep_options){.no_reconnect = true},
		(struct rep_async_options){0});
	const uint64_t first = async_ask_write(async);
	assert_int_equal(async_await(async), first);
	assert_int_equal(rep_async_written(async, first, NULL, NULL), REP_OK);
	fake_server_hang_up(&server);
	fake_server_await_end(&server);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rep_async_delete(async, NULL, "ur", rep_keys_u64(keys, 1), &ticket,
					 &err),
			REP_CLOSED);
	}
	rep_async_close(async);
	fake_server_stop(&server);
}

/* Garbage, an answer to nobody, and an answer twice. */
static void answer_rudely(struct fake_call *call, const void *arg)
{
	const unsigned *kind = arg;
	if (call->connection > 0) {
		answer_right(call, NULL);
		return;
	}
	if (*kind == 0) {
		wire_write_raw(call->out, "\xc1", 1);
	} else if (*kind == 1) {
		call->msgid ^= 1;
		answer_right(call, NULL);
	} else if (*kind == 2) {
		wire_write_nil(call->out);
	} else {
		wire_write_array(call->out, 4);
		wire_write_uint(call->out, 1);
		wire_write_uint(call->out, UINT64_C(1) << 40);
		wire_write_nil(call->out);
		wire_write_nil(call->out);
	}
}

static void what_is_no_answer_ends_the_connection_alone(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct fake_server server;
		struct room room = {.keys = {0}};
		struct rep_async_counters counters;
		fake_server_start(&server, answer_rudely, &kind);
		rep_async *async = async_open_usual(server.path);
		async_expect_rows(async, (async_ask(async, &room), async_await(async)));
		rep_async_count(async, &counters);
		assert_int_equal(counters.losses, 1);
		rep_async_close(async);
		fake_server_stop(&server);
	}
}

static void an_answer_of_another_shape_is_said_to_be_one(void **state)
{
	(void)state;
	static const struct fake_fetch wrong = {.dtype = "f32", .damage = NO_PARTS};
	struct fake_server server;
	struct room room = {.keys = {0}};
	fake_server_start(&server, answer_fetch, &wrong);
	rep_async *async = async_open_usual(server.path);
	async_expect_error(async, (async_ask(async, &room), async_await(async)), REP_PROTOCOL,
		"its parts");
	async_expect_rows(async, (async_ask(async, &room), async_await(async)));
	rep_async_close(async);
	fake_server_stop(&server);
}

static void a_silent_daemon_is_given_up(void **state)
{
	(void)state;
	struct fake_server server;
	struct room room = {.keys = {0}};
	struct rep_async_counters counters;
	fake_server_start(&server, answer_nothing, NULL);
	rep_async *async = async_open_usual(server.path);
	rep_async_set_timeout(async, 3100);
	async_expect_error(async, (async_ask(async, &room), async_await(async)), REP_TIMEOUT,
		"in time");
	rep_async_count(async, &counters);
	assert_int_equal(counters.losses, 1);
	assert_int_equal(counters.under_way, 0);
	rep_async_close(async);
	fake_server_stop(&server);
}

static void a_daemon_without_limits_is_not_used(void **state)
{
	(void)state;
	struct fake_server server;
	struct room room = {.keys = {0}};
	fake_server_start(&server, answer_right, NULL);
	server.can_limit = false;
	rep_async *async = async_open_at(server.path,
		(struct rep_options){.connect_timeout_ms = 100}, (struct rep_async_options){0});
	async_expect_error(async, (async_ask(async, &room), async_await(async)), REP_IO,
		"timeout_ms");
	rep_async_close(async);
	fake_server_stop(&server);
}

/* ---- several addresses ---- */

static void another_address_is_tried(void **state)
{
	(void)state;
	struct fake_server server;
	struct room room = {.keys = {0}};
	fake_server_start(&server, answer_right, NULL);
	const char *const others[] = {"/nowhere/at/all", server.path};
	const struct rep_options options = {.others = others, .others_count = 2};
	rep_async *async = async_open_at("/nowhere", options, (struct rep_async_options){0});
	async_expect_rows(async, (async_ask(async, &room), async_await(async)));
	rep_async_close(async);
	fake_server_stop(&server);
}

static void a_daemon_that_comes_back_is_found(void **state)
{
	(void)state;
	struct fake_server server;
	struct room room = {.keys = {0}};
	char place[128];
	char other[128];
	fake_server_start(&server, answer_right, NULL);
	snprintf(place, sizeof place, "%s/later", server.folder);
	snprintf(other, sizeof other, "%s/never", server.folder);
	const char *const others[] = {other};
	struct rep_options options = {.others = others,
		.others_count = 1,
		.connect_timeout_ms = 150};
	rep_async *async = async_open_at(place, options, (struct rep_async_options){0});
	/* Nobody is there: a call says so in the time of a connection, not in its own. */
	async_expect_error(async, (async_ask(async, &room), async_await(async)), REP_IO,
		"connect to");
	const uint64_t waiting = async_ask(async, &room);
	assert_int_equal(symlink(server.path, place), 0);
	assert_int_equal(async_await(async), waiting);
	async_expect_rows(async, waiting);
	rep_async_close(async);
	unlink(place);
	fake_server_stop(&server);
}

/* Two daemons, and a client that asks the second one where the first is slow. */
struct hedged {
	struct fake_server first;
	struct fake_server second;
	rep_async *async;
};

static rep_async *hedged_open(struct hedged *hedged, fake_answer *first, fake_answer *second,
	double share)
{
	fake_server_start(&hedged->first, first, NULL);
	fake_server_start(&hedged->second, second, NULL);
	hedged->async = async_open_at(hedged->first.path, (struct rep_options){0},
		(struct rep_async_options){.hedge = hedged->second.path, .hedge_share = share});
	return hedged->async;
}

static void hedged_close(struct hedged *hedged)
{
	rep_async_close(hedged->async);
	fake_server_stop(&hedged->first);
	fake_server_stop(&hedged->second);
}

static void a_read_that_waits_is_asked_of_the_second_daemon(void **state)
{
	(void)state;
	struct hedged hedged;
	struct room room = {.keys = {0}};
	struct rep_async_counters counters;
	rep_async *async = hedged_open(&hedged, answer_nothing, answer_right, 0.5);
	/* The budget has to be earned, and the second connection made: the first calls time out. */
	rep_async_set_timeout(async, 20);
	do {
		const uint64_t ticket = async_ask(async, &room);
		assert_int_equal(async_await(async), ticket);
		rep_async_cancel(async, ticket);
		rep_async_count(async, &counters);
	} while (counters.hedges_won == 0);
	assert_true(counters.hedges <= counters.calls / 2);
	/* A write is never asked twice. */
	const uint64_t write = async_ask_write(async);
	assert_int_equal(async_await(async), write);
	assert_int_equal(rep_async_written(async, write, NULL, NULL), REP_TIMEOUT);
	hedged_close(&hedged);
}

static void a_second_daemon_that_is_silent_rests(void **state)
{
	(void)state;
	struct hedged hedged;
	struct room room = {.keys = {0}};
	struct rep_async_counters counters;
	rep_async *async = hedged_open(&hedged, answer_late, answer_nothing, 1);
	for (int i = 0; i < 6; i++) {
		async_expect_rows(async, (async_ask(async, &room), async_await(async)));
	}
	rep_async_count(async, &counters);
	assert_in_range(counters.hedges, 3, 4);
	assert_int_equal(counters.hedges_won, 0);
	hedged_close(&hedged);
}

static void a_silent_second_daemon_and_calls_that_are_given_up(void **state)
{
	(void)state;
	enum { CALLS = 40 };
	struct hedged hedged;
	struct room room = {.keys = {0}};
	struct rep_async_counters counters;
	rep_async *async = hedged_open(&hedged, answer_late, answer_nothing, 1);
	unsigned given_up = 0;
	async_expect_rows(async, (async_ask(async, &room), async_await(async)));
	for (int i = 0; i < CALLS; i++) {
		uint64_t ended = 0;
		rep_async_count(async, &counters);
		const uint64_t before = counters.hedges;
		const uint64_t ticket = async_ask(async, &room);
		do { /* until it was asked of the second one, too, or that one rests */
			struct pollfd wait = {.fd = rep_async_fd(async), .events = POLLIN};
			(void)poll(&wait, 1, 1);
			rep_async_step(async);
			rep_async_count(async, &counters);
		} while (counters.hedges == before && !rep_async_next(async, &ended));
		rep_async_cancel(async, ticket);
		given_up += ended == 0;
	}
	do {
		rep_async_step(async);
		rep_async_count(async, &counters);
	} while (counters.under_way > 0);
	assert_true(counters.hedges >= 3);
	assert_int_equal(counters.late,
		given_up); /* each slot was owed one answer, and is free once */
	hedged_close(&hedged);
}

static void a_second_daemon_that_comes_up_is_asked_what_waits(void **state)
{
	(void)state;
	struct fake_server silent;
	struct fake_server quick;
	struct room room = {.keys = {0}};
	char place[128];
	fake_server_start(&silent, answer_nothing, NULL);
	fake_server_start(&quick, answer_right, NULL);
	snprintf(place, sizeof place, "%s/later", quick.folder);
	rep_async *async = async_open_at(silent.path, (struct rep_options){0},
		(struct rep_async_options){.hedge = place, .hedge_share = 1});
	const uint64_t reads[2] = {async_ask(async, &room), async_ask(async, &room)};
	for (int i = 0; i < 20; i++) { /* longer than a hedge waits */
		struct pollfd wait = {.fd = rep_async_fd(async), .events = POLLIN};
		(void)poll(&wait, 1, 1);
		rep_async_step(async);
	}
	assert_int_equal(symlink(quick.path, place), 0);
	assert_int_equal(async_await(async), reads[0]);
	assert_int_equal(async_await(async), reads[1]);
	async_expect_rows(async, reads[0]);
	async_expect_rows(async, reads[1]);
	rep_async_close(async);
	unlink(place);
	fake_server_stop(&silent);
	fake_server_stop(&quick);
}

/* Its socket takes connections, and nobody answers there. */
static void an_address_that_is_silent_leaves_time_for_others(void **state)
{
	(void)state;
	struct fake_server server;
	struct room room = {.keys = {0}};
	char place[128];
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	fake_server_start(&server, answer_right, NULL);
	snprintf(place, sizeof place, "%s/mute", server.folder);
	memcpy(name.sun_path, place, strlen(place));
	const int mute = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(mute, (const struct sockaddr *)&name, sizeof name), 0);
	assert_int_equal(listen(mute, 4), 0);
	const char *const others[] = {server.path};
	const struct rep_options options = {.others = others,
		.others_count = 1,
		.timeout_ms = 2000};
	rep_async *async = async_open_at(place, options, (struct rep_async_options){0});
	async_expect_rows(async, (async_ask(async, &room), async_await(async)));
	rep_async_close(async);
	close(mute);
	unlink(place);
	fake_server_stop(&server);
}

static void refuse(struct fake_call *call, const void *arg)
{
	(void)arg;
	const struct error err = {.status = STATUS_BUSY, .text = "ask again"};
	rpc_write_error(call->out, call->msgid, &err);
}

static void an_error_of_the_second_daemon_counts_for_nothing(void **state)
{
	(void)state;
	struct hedged hedged;
	struct room room = {.keys = {0}};
	struct rep_async_counters counters;
	rep_async *async = hedged_open(&hedged, answer_late, refuse, 1);
	do {
		async_expect_rows(async, (async_ask(async, &room), async_await(async)));
		rep_async_count(async, &counters);
	} while (counters.hedges == 0);
	assert_int_equal(counters.hedges_won, 0);
	hedged_close(&hedged);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_go_on_over_the_next_connection_and_writes_do_not),
		cmocka_unit_test(a_read_that_ends_every_connection_is_given_up),
		cmocka_unit_test(a_lost_connection_stays_lost_if_that_is_wanted),
		cmocka_unit_test(what_is_no_answer_ends_the_connection_alone),
		cmocka_unit_test(an_answer_of_another_shape_is_said_to_be_one),
		cmocka_unit_test(a_silent_daemon_is_given_up),
		cmocka_unit_test(a_daemon_without_limits_is_not_used),
		cmocka_unit_test(another_address_is_tried),
		cmocka_unit_test(a_daemon_that_comes_back_is_found),
		cmocka_unit_test(a_read_that_waits_is_asked_of_the_second_daemon),
		cmocka_unit_test(a_second_daemon_that_is_silent_rests),
		cmocka_unit_test(a_write_that_was_given_up_is_not_sent_again),
		cmocka_unit_test(a_write_finds_out_that_the_connection_is_gone_for_good),
		cmocka_unit_test(a_silent_second_daemon_and_calls_that_are_given_up),
		cmocka_unit_test(an_error_of_the_second_daemon_counts_for_nothing),
		cmocka_unit_test(a_second_daemon_that_comes_up_is_asked_what_waits),
		cmocka_unit_test(an_address_that_is_silent_leaves_time_for_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
