/* test_async.c - calls that nobody waits for: their order, their tickets and their bounds. */
#include "tests/unit/alloc_fail.h"
#include "tests/unit/client/async_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* ---- in any order ---- */

/* Answers each second request first, and then the one before it. */
static void answer_in_pairs(struct fake_call *call, const void *arg)
{
	uint32_t *const *first = arg;
	if (call->number % 2 == 0) {
		**first = call->msgid;
		return;
	}
	answer_right(call, NULL);
	call->msgid = **first;
	answer_right(call, NULL);
}

static void calls_end_in_the_order_of_their_answers(void **state)
{
	(void)state;
	uint32_t first = 0;
	uint32_t *arg = &first;
	struct fake_server server;
	struct room room = {.keys = {0}};
	fake_server_start(&server, answer_in_pairs, &arg);
	rep_async *async = async_open_usual(server.path);
	const uint64_t tickets[2] = {async_ask(async, &room), async_ask(async, &room)};
	assert_int_equal(async_await(async), tickets[1]);
	assert_int_equal(async_await(async), tickets[0]);
	async_expect_rows(async, tickets[0]);
	async_expect_rows(async, tickets[1]);
	rep_async_close(async);
	fake_server_stop(&server);
}

static void many_calls_are_under_way_at_once(void **state)
{
	(void)state;
	enum { CALLS = 10000 };
	struct fake_server server;
	struct room room = {.keys = {0}};
	struct rep_async_counters counters;
	fake_server_start(&server, answer_right, NULL);
	rep_async *async = async_open_usual(server.path);
	for (int i = 0; i < CALLS; i++) {
		(void)async_ask(async, &room);
	}
	rep_async_count(async, &counters);
	assert_int_equal(counters.under_way, CALLS);
	for (int i = 0; i < CALLS; i++) {
		async_expect_rows(async, async_await(async));
	}
	rep_async_count(async, &counters);
	assert_int_equal(counters.calls, CALLS);
	assert_int_equal(counters.under_way, 0);
	rep_async_close(async);
	fake_server_stop(&server);
}

static void an_answer_is_kept_until_it_is_taken(void **state)
{
	(void)state;
	enum { CALLS = 50 };
	uint64_t tickets[CALLS];
	struct fake_server server;
	struct room room = {.keys = {0}};
	fake_server_start(&server, answer_right, NULL);
	rep_async *async = async_open_usual(server.path);
	for (int i = 0; i < CALLS; i++) {
		tickets[i] = async_ask(async, &room);
		assert_int_equal(async_await(async), tickets[i]);
	}
	for (int i = CALLS; i > 0; i--) {
		async_expect_rows(async, tickets[i - 1]);
		async_expect_error(async, tickets[i - 1], REP_BAD_REQUEST, "its result was taken");
	}
	rep_async_close(async);
	fake_server_stop(&server);
}

static void rows_that_do_not_fit_may_be_taken_again(void **state)
{
	(void)state;
	struct fake_server server;
	struct room room = {.keys = {0}};
	struct rep_error err;
	fake_server_start(&server, answer_right, NULL);
	rep_async *async = async_open_usual(server.path);
	const uint64_t ticket = async_ask(async, &room);
	struct rep_part part = part_of(&room, REP_F32);
	part.rows_bytes = 8;
	assert_int_equal(async_await(async), ticket);
	assert_int_equal(rep_async_fetched(async, ticket, &part, 1, NULL, &err), REP_TOO_LARGE);
	assert_int_equal(part.stride, sizeof(float) * DIM * VIEWS);
	async_expect_rows(async, ticket);
	rep_async_close(async);
	fake_server_stop(&server);
}

static void a_ticket_is_of_one_kind(void **state)
{
	(void)state;
	struct fake_server server;
	struct rep_written written;
	struct rep_error err;
	fake_server_start(&server, answer_right, NULL);
	rep_async *async = async_open_usual(server.path);
	const uint64_t ticket = async_ask_write(async);
	assert_int_equal(rep_async_written(async, ticket, &written, &err), REP_BAD_REQUEST);
	assert_non_null(strstr(err.text, "has not ended"));
	assert_int_equal(async_await(async), ticket);
	async_expect_error(async, ticket, REP_BAD_REQUEST, "another kind");
	async_expect_error(async, ticket + 1, REP_BAD_REQUEST, "of no call");
	async_expect_error(async, 0, REP_BAD_REQUEST, "of no call");
	assert_int_equal(rep_async_written(async, ticket, &written, &err), REP_OK);
	assert_int_equal(written.count, 1);
	rep_async_close(async);
	fake_server_stop(&server);
}

static void bad_arguments_begin_nothing(void **state)
{
	(void)state;
	struct fake_server server;
	struct rep_error err;
	struct room room = {.keys = {0}};
	struct rep_part part = part_of(&room, REP_F32);
	struct rep_async_counters counters;
	uint64_t ticket = 99;
	fake_server_start(&server, answer_right, NULL);
	rep_async *async = async_open_usual(server.path);
	part.table = NULL;
	assert_int_equal(rep_async_fetch(async, NULL, &part, 1, &ticket, &err), REP_BAD_REQUEST);
	assert_non_null(strstr(err.text, "parts[0]: no table"));
	assert_int_equal(rep_async_fetch(async, NULL, &part, 0, &ticket, &err), REP_BAD_REQUEST);
	assert_int_equal(rep_async_call(async, "x", "\xc0", 1, &ticket, &err), REP_BAD_REQUEST);
	assert_int_equal(ticket, 99);
	rep_async_count(async, &counters);
	assert_int_equal(counters.under_way, 0);
	async_expect_rows(async, (async_ask(async, &room), async_await(async)));
	rep_async_close(async);
	fake_server_stop(&server);
}

/* ---- late, and given up ---- */

static void an_answer_may_come_byte_by_byte(void **state)
{
	(void)state;
	struct fake_server server;
	struct rep_written written = {0};
	fake_server_start(&server, answer_slowly, NULL);
	rep_async *async = async_open_usual(server.path);
	const uint64_t ticket = async_ask_write(async);
	assert_int_equal(async_await(async), ticket);
	assert_int_equal(rep_async_written(async, ticket, &written, NULL), REP_OK);
	assert_int_equal(written.count, 1);
	rep_async_close(async);
	fake_server_stop(&server);
}

static void a_late_answer_is_thrown_away(void **state)
{
	(void)state;
	uint32_t first = 0;
	uint32_t *arg = &first;
	struct fake_server server;
	struct room room = {.keys = {0}};
	struct rep_async_counters counters;
	fake_server_start(&server, answer_in_pairs, &arg);
	rep_async *async = async_open_usual(server.path);
	rep_async_set_timeout(async, 20);
	const uint64_t late = async_ask(async, &room);
	assert_int_equal(async_await(async), late);
	async_expect_error(async, late, REP_TIMEOUT, "no answer in time");
	rep_async_set_timeout(async, ASYNC_TIMEOUT_MS);
	const uint64_t next = async_ask(async, &room);
	assert_int_equal(async_await(async), next);
	async_expect_rows(async, next);
	do { /* the answer to the first is behind it */
		rep_async_step(async);
		rep_async_count(async, &counters);
	} while (counters.late == 0);
	assert_int_equal(counters.under_way, 0);
	assert_int_equal(counters.losses, 0);
	rep_async_close(async);
	fake_server_stop(&server);
}

static void a_call_may_be_cancelled(void **state)
{
	(void)state;
	struct fake_server server;
	struct room room = {.keys = {0}};
	struct rep_async_counters counters;
	/* Before it is sent: there is no connection. */
	rep_async *async = async_open_usual("/nowhere");
	rep_async_cancel(async, async_ask(async, &room));
	rep_async_count(async, &counters);
	assert_int_equal(counters.under_way, 0);
	rep_async_close(async);
	fake_server_start(&server, answer_right, NULL);
	async = async_open_usual(server.path);
	/* After it was sent. */
	async_expect_rows(async, (async_ask(async, &room), async_await(async)));
	const uint64_t sent = async_ask(async, &room);
	rep_async_cancel(async, sent);
	/* After it has ended, and again. */
	const uint64_t ended = async_ask(async, &room);
	assert_int_equal(async_await(async), ended);
	rep_async_cancel(async, ended);
	rep_async_cancel(async, ended);
	rep_async_cancel(async, 12345);
	async_expect_error(async, ended, REP_BAD_REQUEST, "its result was taken");
	rep_async_count(async, &counters);
	assert_int_equal(counters.under_way, 0);
	assert_int_equal(counters.late, 1);
	rep_async_close(async);
	fake_server_stop(&server);
	assert_int_equal(server.requests, 3);
}

/* ---- bounds ---- */

static void what_cannot_be_sent_is_bounded(void **state)
{
	(void)state;
	static uint8_t rows[1 << 20];
	static const uint64_t keys[1] = {7};
	struct rep_error err = {0};
	const struct rep_rows many = {.keys = rep_keys_u64(keys, 1),
		.rows = rows,
		.rows_bytes = sizeof rows};
	struct fake_server server;
	uint64_t ticket = 0;
	unsigned begun = 0;
	enum rep_status status = REP_OK;
	fake_server_start(&server, answer_right, NULL);
	/* Nothing is sent before the connection is made, which is in a step. */
	rep_async *async = async_open_at("/nowhere", (struct rep_options){0},
		(struct rep_async_options){.send_bytes = 4 << 20});
	while (status == REP_OK) {
		status = rep_async_put(async, NULL, "ur", &many, &ticket, &err);
		begun += status == REP_OK;
	}
	assert_int_equal(status, REP_BUSY);
	assert_int_equal(begun, 3);
	assert_non_null(strstr(err.text, "wait to be sent"));
	rep_async_close(async);
	fake_server_stop(&server);
}

static void calls_under_way_are_bounded(void **state)
{
	(void)state;
	enum { MOST = 65536 };
	struct room room = {.keys = {0}};
	struct rep_part part = part_of(&room, REP_F32);
	struct rep_error err = {0};
	uint64_t ticket = 0;
	rep_async *async = async_open_usual("/nowhere");
	for (int i = 0; i < MOST; i++) {
		assert_int_equal(rep_async_fetch(async, NULL, &part, 1, &ticket, &err), REP_OK);
	}
	assert_int_equal(rep_async_fetch(async, NULL, &part, 1, &ticket, &err), REP_BUSY);
	assert_non_null(strstr(err.text, "65536 calls"));
	rep_async_cancel(async, ticket);
	assert_int_equal(rep_async_fetch(async, NULL, &part, 1, &ticket, &err), REP_OK);
	rep_async_close(async);
}

static void reserved_words_and_shares_are_checked(void **state)
{
	(void)state;
	rep_async *async = NULL;
	struct rep_error err;
	struct rep_async_options more = {.hedge_share = 2};
	assert_int_equal(rep_async_open(NULL, &more, &async, &err), REP_BAD_REQUEST);
	assert_non_null(strstr(err.text, "hedge_share"));
	more = (struct rep_async_options){.reserved = {1}};
	assert_int_equal(rep_async_open(NULL, &more, &async, &err), REP_BAD_REQUEST);
	struct rep_options options = {.address = "tcp:nobody"};
	assert_int_equal(rep_async_open(&options, NULL, &async, &err), REP_BAD_REQUEST);
	options = (struct rep_options){.others_count = 1};
	assert_int_equal(rep_async_open(&options, NULL, &async, &err), REP_BAD_REQUEST);
	assert_non_null(strstr(err.text, "others[0]"));
	rep_async_close(NULL);
	assert_null(async);
}

/* Whatever memory is refused, a call fails and the client lives. */
static void memory_that_is_refused_fails_a_call_alone(void **state)
{
	(void)state;
	struct fake_server server;
	struct room room = {.keys = {0}};
	struct rep_part part = part_of(&room, REP_F32);
	fake_server_start(&server, answer_right, NULL);
	const struct rep_options options = {.address = server.path, .timeout_ms = ASYNC_TIMEOUT_MS};
	bool was_refused = true;
	for (unsigned after = 0; was_refused; after++) {
		rep_async *async = NULL;
		uint64_t ticket = 0;
		alloc_fail_arm(after);
		enum rep_status status = rep_async_open(&options, NULL, &async, NULL);
		if (status == REP_OK) {
			status = rep_async_fetch(async, NULL, &part, 1, &ticket, NULL);
		}
		if (status == REP_OK) {
			assert_int_equal(async_await(async), ticket);
			status = rep_async_fetched(async, ticket, &part, 1, NULL, NULL);
		}
		was_refused = alloc_fail_disarm();
		if (status == REP_OK) {
			assert_counts_up(room.rows, sizeof room.rows);
		} else {
			assert_int_equal(status, REP_NO_MEMORY);
		}
		rep_async_close(async);
	}
	fake_server_stop(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_end_in_the_order_of_their_answers),
		cmocka_unit_test(many_calls_are_under_way_at_once),
		cmocka_unit_test(an_answer_is_kept_until_it_is_taken),
		cmocka_unit_test(rows_that_do_not_fit_may_be_taken_again),
		cmocka_unit_test(a_ticket_is_of_one_kind),
		cmocka_unit_test(bad_arguments_begin_nothing),
		cmocka_unit_test(an_answer_may_come_byte_by_byte),
		cmocka_unit_test(a_late_answer_is_thrown_away),
		cmocka_unit_test(a_call_may_be_cancelled),
		cmocka_unit_test(what_cannot_be_sent_is_bounded),
		cmocka_unit_test(calls_under_way_are_bounded),
		cmocka_unit_test(reserved_words_and_shares_are_checked),
		cmocka_unit_test(memory_that_is_refused_fails_a_call_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
