/* test_client_write_pipeline.c - many writes under way at once, alone and beside fetches. */
#include "tests/unit/client/client_fixture.h"
#include "tests/unit/client/fake_fetch.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PIPELINED = 200 };

static const struct fake_fetch fetches = {.dtype = "f32"};

/* Keeps the first `count` answers back and sends them in reverse order. A write is answered with
 * the first of its keys as the sequence; key `refused` with BUSY. */
struct reversing {
	unsigned count;
	struct wire_writer *held; /* struct wire_writer[count] */
	unsigned close_after;     /* this many answers; 0: never */
	uint64_t refused;         /* 0: none */
	uint64_t *came;           /* uint64_t[count]: keys of the writes, in the order they came */
	unsigned *writes;
};

static void answer_write(struct fake_call *call, const struct reversing *reversing)
{
	struct wire_bytes keys = {0};
	uint64_t key = 0;
	wire_bin(wire_get(call->params, "keys"), &keys);
	assert(keys.len >= sizeof key);
	memcpy(&key, keys.data, sizeof key);
	if (*reversing->writes < reversing->count) {
		reversing->came[(*reversing->writes)++] = key;
	}
	if (reversing->refused != 0 && key == reversing->refused) {
		struct error err;
		error_set(&err, STATUS_BUSY, "key %u", (unsigned)key);
		rpc_write_error(call->out, call->msgid, &err);
		return;
	}
	fake_result(call);
	wire_write_map(call->out, 3);
	wire_write_str(call->out, "release");
	wire_write_str(call->out, "r1");
	wire_write_str(call->out, "sequence");
	wire_write_uint(call->out, key);
	wire_write_str(call->out, fake_is(call, "put") ? "applied" : "deleted");
	wire_write_uint(call->out, keys.len / 8);
}

static void answer_one(struct fake_call *call, const struct reversing *reversing)
{
	if (fake_is(call, "fetch")) {
		answer_fetch(call, &fetches);
	} else {
		answer_write(call, reversing);
	}
}

static void answer_reversed(struct fake_call *call, const void *arg)
{
	const struct reversing *reversing = arg;
	if (call->number >= reversing->count) {
		answer_one(call, reversing);
		return;
	}
	struct wire_writer *out = call->out;
	call->out = &reversing->held[call->number];
	answer_one(call, reversing);
	call->out = out;
	if (call->number + 1 < reversing->count) {
		return;
	}
	for (unsigned i = 0; i < reversing->count; i++) {
		if (reversing->close_after > 0 && i == reversing->close_after) {
			call->close = true;
			return;
		}
		const struct wire_writer *held = &reversing->held[reversing->count - 1 - i];
		wire_write_raw(out, held->data, held->len);
	}
}

/* A daemon of this kind, its client, and what it needs. */
struct fixture {
	struct reversing reversing;
	struct wire_writer held[2 * PIPELINED];
	uint64_t came[2 * PIPELINED];
	unsigned writes;
	struct client_fixture fake;
	rep_client *client; /* borrowed from `fake` */
};

static void begin(struct fixture *fixture, struct reversing reversing)
{
	*fixture = (struct fixture){.reversing = reversing};
	fixture->reversing.held = fixture->held;
	fixture->reversing.came = fixture->came;
	fixture->reversing.writes = &fixture->writes;
	fixture->client =
		client_fixture_begin(&fixture->fake, answer_reversed, &fixture->reversing);
}

static void finish(struct fixture *fixture)
{
	client_fixture_end(&fixture->fake);
	for (unsigned i = 0; i < fixture->reversing.count; i++) {
		wire_writer_fini(&fixture->held[i]);
	}
}

/* Write i of a test: a put of one row under key i, or, each third, a delete of two keys. */
static void send_write(rep_client *client, uint64_t i)
{
	uint64_t keys[2] = {i, i};
	float row[DIM * VIEWS] = {0};
	const struct rep_rows rows = {.keys = rep_keys_u64(keys, 1),
		.dtype = REP_F32,
		.rows = row,
		.rows_bytes = sizeof row};
	enum rep_status status =
		i % 3 == 0 ? rep_delete_send(client, NULL, "ur", rep_keys_u64(keys, 2), NULL)
			   : rep_put_send(client, NULL, "ur", &rows, NULL);
	assert_int_equal(status, REP_OK);
	/* What was sent is the caller's again. */
	memset(keys, 0xff, sizeof keys);
	memset(row, 0xff, sizeof row);
}

static void receive_write(rep_client *client, uint64_t i)
{
	struct rep_written written = {0};
	assert_int_equal(rep_write_receive(client, &written, NULL), REP_OK);
	assert_int_equal(written.sequence, i);
	assert_int_equal(written.count, i % 3 == 0 ? 2 : 1);
	assert_string_equal(written.release, "r1");
}

static void send_fetch(rep_client *client, struct room *room)
{
	const struct rep_part part = part_of(room, REP_F32);
	assert_int_equal(rep_fetch_send(client, NULL, &part, 1, NULL), REP_OK);
}

static enum rep_status receive_fetch(rep_client *client, struct room *room)
{
	struct rep_part part = part_of(room, REP_F32);
	memset(room->rows, 0, sizeof room->rows);
	enum rep_status status = rep_fetch_receive(client, &part, 1, NULL, NULL);
	if (status == REP_OK) {
		assert_counts_up(room->rows, sizeof room->rows);
	}
	return status;
}

static void writes_are_received_in_the_order_sent(void **state)
{
	(void)state;
	struct fixture fixture;
	begin(&fixture, (struct reversing){.count = PIPELINED});
	for (int round = 0; round < 2; round++) {
		for (uint64_t i = 1; i <= PIPELINED; i++) {
			send_write(fixture.client, i);
		}
		for (uint64_t i = 1; i <= PIPELINED; i++) {
			receive_write(fixture.client, i);
		}
		assert_int_equal(rep_write_receive(fixture.client, NULL, NULL), REP_BAD_REQUEST);
	}
	finish(&fixture);
	assert_int_equal(fixture.fake.server.connections, 1);
	for (uint64_t i = 1; i <= PIPELINED; i++) {
		assert_int_equal(fixture.came[i - 1], i);
	}
}

static void a_refused_write_leaves_the_others(void **state)
{
	(void)state;
	struct fixture fixture;
	struct rep_error err = {0};
	begin(&fixture, (struct reversing){.count = 20, .refused = 7});
	for (uint64_t i = 1; i <= 20; i++) {
		send_write(fixture.client, i);
	}
	for (uint64_t i = 1; i <= 20; i++) {
		if (i == 7) {
			assert_int_equal(rep_write_receive(fixture.client, NULL, &err), REP_BUSY);
			assert_string_equal(err.text, "key 7");
		} else {
			receive_write(fixture.client, i);
		}
	}
	finish(&fixture);
	assert_int_equal(fixture.fake.server.connections, 1);
}

/* Sends a fetch after each second write. */
static void send_mixed(struct fixture *fixture, struct room *room)
{
	for (uint64_t i = 1; i <= PIPELINED; i++) {
		send_write(fixture->client, i);
		if (i % 2 == 0) {
			send_fetch(fixture->client, room);
		}
	}
}

static void fetches_and_writes_are_received_by_themselves(void **state)
{
	(void)state;
	struct fixture fixture;
	struct room room = {0};
	begin(&fixture, (struct reversing){.count = PIPELINED + PIPELINED / 2});
	/* Either kind wholly before the other, and in turn. */
	for (int round = 0; round < 3; round++) {
		send_mixed(&fixture, &room);
		uint64_t writes = 0;
		unsigned fetched = 0;
		while (writes < PIPELINED || fetched < PIPELINED / 2) {
			bool writes_first = round == 0 || (round == 2 && fetched % 3 == 0);
			if (writes < PIPELINED && (writes_first || fetched == PIPELINED / 2)) {
				receive_write(fixture.client, ++writes);
			}
			if (fetched < PIPELINED / 2 && (round > 0 || writes == PIPELINED)) {
				assert_int_equal(receive_fetch(fixture.client, &room), REP_OK);
				fetched++;
			}
		}
		assert_int_equal(rep_write_receive(fixture.client, NULL, NULL), REP_BAD_REQUEST);
		assert_int_equal(receive_fetch(fixture.client, &room), REP_BAD_REQUEST);
	}
	/* Calls of other kinds go between them. */
	send_write(fixture.client, 4);
	send_fetch(fixture.client, &room);
	const uint64_t key = 9;
	assert_int_equal(rep_delete(fixture.client, NULL, "ur", rep_keys_u64(&key, 1), NULL, NULL),
		REP_OK);
	receive_write(fixture.client, 4);
	assert_int_equal(receive_fetch(fixture.client, &room), REP_OK);
	finish(&fixture);
	assert_int_equal(fixture.fake.server.connections, 1);
}

static void each_that_is_lost_is_told_once_to_its_kind(void **state)
{
	(void)state;
	struct fixture fixture;
	struct room room = {0};
	struct rep_error err = {0};
	begin(&fixture, (struct reversing){.count = PIPELINED + PIPELINED / 2, .close_after = 10});
	send_mixed(&fixture, &room);
	for (int i = 0; i < PIPELINED / 2; i++) {
		assert_int_equal(receive_fetch(fixture.client, &room), REP_CLOSED);
	}
	assert_int_equal(receive_fetch(fixture.client, &room), REP_BAD_REQUEST);
	for (int i = 0; i < PIPELINED; i++) {
		assert_int_equal(rep_write_receive(fixture.client, NULL, &err), REP_CLOSED);
		assert_non_null(strstr(err.text, "whether the write was done is not known"));
	}
	assert_int_equal(rep_write_receive(fixture.client, NULL, &err), REP_BAD_REQUEST);
	/* The client itself goes on. */
	send_write(fixture.client, 5);
	send_fetch(fixture.client, &room);
	assert_int_equal(receive_fetch(fixture.client, &room), REP_OK);
	receive_write(fixture.client, 5);
	finish(&fixture);
	assert_int_equal(fixture.fake.server.connections, 2);
}

/* Answers the first write, and leaves. */
static void answer_and_leave(struct fake_call *call, const void *arg)
{
	answer_write(call, arg);
	call->close = call->number == 0;
}

static void a_send_finds_out_that_an_idle_connection_is_gone(void **state)
{
	(void)state;
	unsigned writes = 0;
	const struct reversing reversing = {.writes = &writes};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_and_leave, &reversing);
	send_write(client, 1);
	receive_write(client, 1);
	fake_server_await_end(&fake.server);
	send_write(client, 2);
	receive_write(client, 2);
	client_fixture_end(&fake);
	assert_int_equal(fake.server.connections, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_are_received_in_the_order_sent),
		cmocka_unit_test(a_refused_write_leaves_the_others),
		cmocka_unit_test(fetches_and_writes_are_received_by_themselves),
		cmocka_unit_test(each_that_is_lost_is_told_once_to_its_kind),
		cmocka_unit_test(a_send_finds_out_that_an_idle_connection_is_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
