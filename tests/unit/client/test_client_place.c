/* test_client_place.c - large rows are received straight into the memory of a caller who
 * looks for its answers, whatever room it has. */
#include "repstore.h"
#include "tests/unit/client/client_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
	DIM = 64,
	ROW_BYTES = DIM * 4,
	KEYS_MAX = 1000,
	PARTS = 2,
};

/* What the daemon does otherwise than it should. */
enum mischief { NONE, LIES, SHORT, HANGS_UP };

static const uint64_t keys[KEYS_MAX];

/* Only who looks for answers has them received there. */
static const struct rep_options options = {.spin_us = 10000, .timeout_ms = 10000};

/* The byte that stands at `at` in the rows of a part. */
static uint8_t byte_of(size_t part, size_t at)
{
	return (uint8_t)(at * 7 + at / 251 + part * 100 + 1);
}

static void write_uint(struct wire_writer *out, const char *name, uint64_t value)
{
	wire_write_str(out, name);
	wire_write_uint(out, value);
}

static void write_part(struct wire_writer *out, size_t i, size_t n, enum mischief mischief)
{
	wire_write_map(out, 8);
	wire_write_str(out, "table");
	wire_write_str(out, "ir");
	write_uint(out, "n", n);
	write_uint(out, "dim", DIM);
	write_uint(out, "views", 1);
	write_uint(out, "stride", ROW_BYTES);
	wire_write_str(out, "dtype");
	wire_write_str(out, "f32");
	wire_write_str(out, "found");
	memset(wire_write_bin_space(out, (n + 7) / 8), 0xff, (n + 7) / 8);
	wire_write_str(out, mischief == LIES ? "lies" : "rows");
	const size_t bytes = n * ROW_BYTES - (mischief == SHORT ? 1 : 0);
	uint8_t *space = wire_write_bin_space(out, bytes);
	for (size_t at = 0; at < bytes; at++) {
		space[at] = byte_of(i, at);
	}
}

static void answer(struct fake_call *call, const void *arg)
{
	const enum mischief mischief = call->number == 0 ? *(const enum mischief *)arg : NONE;
	const struct wire_value parts = wire_get(call->params, "parts");
	fake_result(call);
	wire_write_map(call->out, 3);
	wire_write_str(call->out, "release");
	wire_write_str(call->out, "r1");
	write_uint(call->out, "sequence", 1);
	wire_write_str(call->out, "parts");
	wire_write_array(call->out, wire_size(parts));
	for (size_t i = 0; i < wire_size(parts); i++) {
		struct wire_bytes asked = {0};
		assert_true(wire_bin(wire_get(wire_item(parts, i), "keys"), &asked));
		write_part(call->out, i, asked.len / sizeof(uint64_t), mischief);
	}
	if (mischief == HANGS_UP) {
		call->out->len -= ROW_BYTES;
		call->close = true;
	}
}

/* Asks for so many rows of two parts, where there is room for so many. */
struct ask {
	uint32_t count[PARTS];
	size_t room[PARTS];
};

static struct rep_part part_of(uint32_t count, uint8_t *rows, size_t room)
{
	return (struct rep_part){.table = "ir",
		.keys = rep_keys_u64(keys, count),
		.dtype = REP_F32,
		.rows = rows,
		.rows_bytes = room * ROW_BYTES};
}

static enum rep_status fetch(rep_client *client, const struct ask *ask)
{
	uint8_t *rows[PARTS];
	struct rep_part parts[PARTS];
	struct rep_error err = {0};
	for (size_t i = 0; i < PARTS; i++) {
		rows[i] = malloc(ask->room[i] * ROW_BYTES + 1);
		assert_non_null(rows[i]);
		rows[i][ask->room[i] * ROW_BYTES] = 0x5a;
		parts[i] = part_of(ask->count[i], rows[i], ask->room[i]);
	}
	const enum rep_status status = rep_fetch(client, NULL, parts, PARTS, NULL, &err);
	for (size_t i = 0; i < PARTS; i++) {
		for (size_t at = 0; status == REP_OK && at < ask->count[i] * (size_t)ROW_BYTES;
			at++) {
			if (rows[i][at] != byte_of(i, at)) {
				fail_msg("part %zu, byte %zu is wrong", i, at);
			}
		}
		assert_int_equal(rows[i][ask->room[i] * ROW_BYTES], 0x5a);
		free(rows[i]);
	}
	return status;
}

static void rows_come_where_they_belong(void **state)
{
	(void)state;
	static const struct ask asks[] = {
		{{500, 500}, {500, 500}},
		{{1, 1000}, {1, 1000}},
		{{1000, 1}, {1000, 1}},
		/* More room than rows: that of one part is as large as what another one gets. */
		{{100, 500}, {500, 500}},
		{{500, 100}, {1000, 500}},
		{{300, 500}, {500, 1000}},
		{{500, 300}, {1000, 500}},
		{{100, 200}, {200, 100 + 100}},
		{{0, 500}, {500, 500}},
	};
	const enum mischief mischief = NONE;
	struct client_fixture fake;
	rep_client *client = client_fixture_begin_with(&fake, answer, &mischief, options);
	for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
		assert_int_equal(fetch(client, &asks[i]), REP_OK);
	}
	client_fixture_end(&fake);
}

static void a_fetch_among_others_gets_its_own(void **state)
{
	(void)state;
	enum { COUNT = 200 };
	static uint8_t before[COUNT * ROW_BYTES];
	const struct ask ask = {{COUNT, COUNT}, {COUNT, COUNT}};
	const enum mischief mischief = NONE;
	struct client_fixture fake;
	rep_client *client = client_fixture_begin_with(&fake, answer, &mischief, options);
	struct rep_part part = part_of(COUNT, before, COUNT);
	assert_int_equal(rep_fetch_send(client, NULL, &part, 1, NULL), REP_OK);
	assert_int_equal(fetch(client, &ask), REP_OK);
	assert_int_equal(rep_fetch_receive(client, &part, 1, NULL, NULL), REP_OK);
	for (size_t at = 0; at < sizeof before; at++) {
		assert_int_equal(before[at], byte_of(0, at));
	}
	client_fixture_end(&fake);
}

static void what_is_wrong_is_found_out(void **state)
{
	(void)state;
	const struct ask ask = {{500, 500}, {500, 500}};
	for (enum mischief mischief = LIES; mischief <= HANGS_UP; mischief++) {
		struct client_fixture fake;
		rep_client *client = client_fixture_begin_with(&fake, answer, &mischief, options);
		/* A fetch whose connection was lost is sent once more. */
		assert_int_equal(fetch(client, &ask), mischief == HANGS_UP ? REP_OK : REP_PROTOCOL);
		assert_int_equal(fetch(client, &ask), REP_OK);
		client_fixture_end(&fake);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_come_where_they_belong),
		cmocka_unit_test(a_fetch_among_others_gets_its_own),
		cmocka_unit_test(what_is_wrong_is_found_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
