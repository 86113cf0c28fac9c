/* async_fixture.c - the event loop and the daemons of async_fixture.h. */
#include "tests/unit/client/async_fixture.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { HANG_MS = 20000, LATE_MS = 5 };

rep_async *async_open_at(const char *address, struct rep_options options,
	struct rep_async_options more)
{
	rep_async *async = NULL;
	struct rep_error err = {0};
	options.address = address;
	if (options.timeout_ms == 0) {
		options.timeout_ms = ASYNC_TIMEOUT_MS;
	}
	if (rep_async_open(&options, &more, &async, &err) != REP_OK) {
		fail_msg("open: %s", err.text);
	}
	return async;
}

rep_async *async_open_usual(const char *address)
{
	return async_open_at(address, (struct rep_options){0}, (struct rep_async_options){0});
}

uint64_t async_await(rep_async *async)
{
	uint64_t ticket = 0;
	struct timespec began;
	clock_gettime(CLOCK_MONOTONIC, &began);
	while (!rep_async_next(async, &ticket)) {
		struct pollfd wait = {.fd = rep_async_fd(async), .events = POLLIN};
		assert_true(poll(&wait, 1, HANG_MS) >= 0);
		struct timespec now;
		clock_gettime(CLOCK_MONOTONIC, &now);
		assert_true((now.tv_sec - began.tv_sec) * 1000 < HANG_MS);
		rep_async_step(async);
	}
	return ticket;
}

uint64_t async_ask(rep_async *async, struct room *room)
{
	const struct rep_part part = part_of(room, REP_F32);
	struct rep_error err = {0};
	uint64_t ticket = 0;
	if (rep_async_fetch(async, NULL, &part, 1, &ticket, &err) != REP_OK) {
		fail_msg("fetch: %s", err.text);
	}
	assert_int_not_equal(ticket, 0);
	return ticket;
}

static enum rep_status async_get(rep_async *async, uint64_t ticket, struct rep_error *err)
{
	struct room room = {.rows = {0}};
	struct rep_part part = part_of(&room, REP_F32);
	struct rep_fetched out = {.release = ""};
	const enum rep_status status = rep_async_fetched(async, ticket, &part, 1, &out, err);
	if (status == REP_OK) {
		assert_counts_up(room.rows, sizeof room.rows);
		assert_int_equal(out.sequence, 42);
		assert_int_equal(part.found_count, 8);
	}
	return status;
}

void async_expect_rows(rep_async *async, uint64_t ticket)
{
	struct rep_error err = {0};
	if (async_get(async, ticket, &err) != REP_OK) {
		fail_msg("fetched: %s", err.text);
	}
}

void async_expect_error(rep_async *async, uint64_t ticket, enum rep_status status, const char *text)
{
	struct rep_error err = {0};
	assert_int_equal(async_get(async, ticket, &err), status);
	if (strstr(err.text, text) == NULL) {
		fail_msg("'%s' is not in '%s'", text, err.text);
	}
}

uint64_t async_ask_write(rep_async *async)
{
	static const uint64_t keys[1] = {7};
	struct rep_error err = {0};
	uint64_t ticket = 0;
	if (rep_async_delete(async, NULL, "ur", rep_keys_u64(keys, 1), &ticket, &err) != REP_OK) {
		fail_msg("delete: %s", err.text);
	}
	return ticket;
}

static void answer_write(struct fake_call *call)
{
	fake_result(call);
	wire_write_map(call->out, 3);
	wire_write_str(call->out, "release");
	wire_write_str(call->out, "r1");
	wire_write_str(call->out, "sequence");
	wire_write_uint(call->out, call->number);
	wire_write_str(call->out, "deleted");
	wire_write_uint(call->out, 1);
}

static const struct fake_fetch right = {.dtype = "f32"};

void answer_right(struct fake_call *call, const void *arg)
{
	(void)arg;
	if (fake_is(call, "fetch")) {
		answer_fetch(call, &right);
	} else {
		answer_write(call);
	}
}

void answer_slowly(struct fake_call *call, const void *arg)
{
	answer_right(call, arg);
	call->slow = true;
}

void answer_nothing(struct fake_call *call, const void *arg)
{
	(void)call;
	(void)arg;
}

void answer_late(struct fake_call *call, const void *arg)
{
	poll(NULL, 0, LATE_MS);
	answer_right(call, arg);
}
