/* test_client_pipeline.c - many fetches under way at once. */
#include "tests/unit/client/client_fixture.h"
#include "tests/unit/client/fake_fetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Keeps the first answers back and sends them in reverse order. */
struct reversing {
	struct fake_fetch daemon;
	unsigned count;
	struct wire_writer *held; /* struct wire_writer[count] */
	unsigned close_after;     /* this many answers; 0: never */
};

static void answer_reversed(struct fake_call *call, const void *arg)
{
	const struct reversing *reversing = arg;
	if (call->number >= reversing->count) {
		answer_fetch(call, &reversing->daemon);
		return;
	}
	struct wire_writer *out = call->out;
	call->out = &reversing->held[call->number];
	answer_fetch(call, &reversing->daemon);
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

enum { PIPELINED = 300 };

/* Sends PIPELINED fetches and receives them. Returns how many came. */
static unsigned pipeline(rep_client *client, struct rep_error *err)
{
	unsigned came = 0;
	struct room room = {0};
	for (unsigned i = 0; i < PIPELINED; i++) {
		struct rep_part part = part_of(&room, REP_F32);
		if (rep_fetch_send(client, NULL, &part, 1, err) != REP_OK) {
			break;
		}
	}
	for (unsigned i = 0; i < PIPELINED; i++) {
		struct rep_part part = part_of(&room, REP_F32);
		enum rep_status status = rep_fetch_receive(client, &part, 1, NULL, err);
		came += status == REP_OK;
		assert_int_not_equal(status, REP_PROTOCOL);
	}
	return came;
}

static void free_held(struct reversing *reversing)
{
	for (unsigned i = 0; i < reversing->count; i++) {
		wire_writer_fini(&reversing->held[i]);
	}
}

static void pipelined_answers_may_come_in_another_order(void **state)
{
	(void)state;
	struct wire_writer held[PIPELINED] = {0};
	struct reversing reversing = {.daemon = {.dtype = "f32"}, .count = PIPELINED, .held = held};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_reversed, &reversing);
	struct rep_error err = {0};
	assert_int_equal(pipeline(client, &err), PIPELINED);
	assert_int_equal(rep_fetch_receive(client, NULL, 0, NULL, &err), REP_BAD_REQUEST);
	assert_int_equal(pipeline(client, &err), PIPELINED);
	client_fixture_end(&fake);
	free_held(&reversing);
	assert_int_equal(fake.server.connections, 1);
}

static void each_pipelined_fetch_that_is_lost_is_told_once(void **state)
{
	(void)state;
	struct wire_writer held[PIPELINED] = {0};
	struct reversing reversing = {.daemon = {.dtype = "f32"},
		.count = PIPELINED,
		.held = held,
		.close_after = 10};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_reversed, &reversing);
	struct rep_error err = {0};
	/* Ten answers came, of the last ten; the first one asked for is not among them. */
	assert_int_equal(pipeline(client, &err), 0);
	assert_int_equal(rep_fetch_receive(client, NULL, 0, NULL, &err), REP_BAD_REQUEST);
	assert_int_equal(pipeline(client, &err), PIPELINED);
	client_fixture_end(&fake);
	free_held(&reversing);
	assert_int_equal(fake.server.connections, 2);
}

static void two_that_only_send_do_not_wait_for_each_other(void **state)
{
	(void)state;
	enum { ROUNDS = 24, MANY = 100000 };
	const struct fake_fetch daemon = {.dtype = "f32"};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_fetch, &daemon);
	uint64_t *keys = calloc(MANY, sizeof *keys);
	uint8_t *rows = malloc((size_t)MANY * DIM * VIEWS * 4);
	struct rep_part part = {.table = "ur",
		.keys = rep_keys_u64(keys, MANY),
		.rows = rows,
		.rows_bytes = (size_t)MANY * DIM * VIEWS * 4};
	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(rep_fetch_send(client, NULL, &part, 1, NULL), REP_OK);
	}
	for (int i = 0; i < ROUNDS; i++) {
		memset(rows, 0, part.rows_bytes);
		assert_int_equal(rep_fetch_receive(client, &part, 1, NULL, NULL), REP_OK);
		assert_counts_up(rows, 4096);
	}
	free(keys);
	free(rows);
	client_fixture_end(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pipelined_answers_may_come_in_another_order),
		cmocka_unit_test(each_pipelined_fetch_that_is_lost_is_told_once),
		cmocka_unit_test(two_that_only_send_do_not_wait_for_each_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
