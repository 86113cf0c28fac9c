/* test_client_observe.c - samples, positions and layers: requests as asked, answers as checked. */
#include "tests/unit/alloc_fail.h"
#include "tests/unit/client/client_fixture.h"
#include "tests/unit/client/fake_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const int64_t two_times[2] = {1700000000000, 5};
static const char two_packed[] = "\x01"
				 "a\x02"
				 "bc";

static struct rep_samples two_samples(void)
{
	return (struct rep_samples){
		.layer = "fm",
		.count = 2,
		.users = rep_keys_u64(two_keys, 2),
		.items = rep_keys_bytes(two_packed, 5, 2),
		.times = two_times,
		.dtype = REP_F32,
		.rows = two_rows,
		.rows_bytes = sizeof two_rows,
	};
}

/* ---- observe ---- */

static void samples_carry_what_they_were_given(void **state)
{
	(void)state;
	struct seen seen = {0};
	const struct writer writer = {.seen = &seen};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_writes, &writer);
	struct rep_written written = {0};
	struct rep_samples samples = two_samples();
	assert_int_equal(rep_observe(client, NULL, &samples, &written, NULL), REP_OK);
	assert_string_equal(seen.method, "observe");
	assert_string_equal(seen.release, "live");
	assert_string_equal(seen.layer, "fm");
	assert_string_equal(seen.dtype, "f32");
	assert_false(seen.has_position || seen.scales.there);
	assert_int_equal(seen.fields, 7);
	assert_column(&seen.users, two_keys, sizeof two_keys);
	assert_column(&seen.items, two_packed, 5);
	assert_column(&seen.times, two_times, sizeof two_times);
	assert_column(&seen.rows, two_rows, sizeof two_rows);
	assert_string_equal(written.release, "ckpt-3");
	assert_int_equal(written.sequence, 41);
	assert_int_equal(written.count, 42);
	assert_int_equal(written.next, 0);

	const float scales[2] = {0.5F, 0.25F};
	samples.dtype = REP_I8;
	samples.rows_bytes = (size_t)2 * DIM;
	samples.scales = scales;
	samples.source = "p-0";
	samples.position = UINT64_MAX - 2;
	samples.any_time = true;
	samples.first = true;
	samples.items = (struct rep_keys){0};
	assert_int_equal(rep_observe(client, "r", &samples, &written, NULL), REP_OK);
	assert_string_equal(seen.release, "r");
	assert_string_equal(seen.dtype, "i8");
	assert_string_equal(seen.source, "p-0");
	assert_true(seen.has_position && seen.position == UINT64_MAX - 2);
	assert_column(&seen.scales, scales, sizeof scales);
	assert_true(seen.users.there && !seen.items.there);
	assert_true(seen.any_time && seen.first);
	assert_int_equal(seen.fields, 11);
	assert_int_equal(written.next, 43);
	client_fixture_end(&fake);
}

/* Who cuts a stream by time has batches of nothing; they tell where the source stands. */
static void a_batch_may_be_empty(void **state)
{
	(void)state;
	struct seen seen = {0};
	const struct writer writer = {.seen = &seen};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_writes, &writer);
	const struct rep_samples samples = {
		.layer = "fm",
		.users = rep_keys_u64(NULL, 0),
		.items = rep_keys_bytes(NULL, 0, 0),
		.dtype = REP_F32,
		.source = "s",
	};
	struct rep_written written = {0};
	assert_int_equal(rep_observe(client, NULL, &samples, &written, NULL), REP_OK);
	assert_true(seen.users.there && seen.items.there && seen.times.there && seen.rows.there);
	assert_int_equal(seen.users.len + seen.items.len + seen.times.len + seen.rows.len, 0);
	assert_true(seen.has_position && seen.position == 0);
	assert_int_equal(written.next, 43);
	client_fixture_end(&fake);
}

static void samples_are_pipelined_among_writes(void **state)
{
	(void)state;
	struct seen seen = {0};
	const struct writer writer = {.seen = &seen, .close_at = 5};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_writes, &writer);
	const struct rep_samples samples = two_samples();
	const struct rep_rows rows = rows_of_two();
	struct rep_written written = {0};
	struct rep_error err = {0};
	assert_int_equal(rep_observe_send(client, "r", &samples, &err), REP_OK);
	assert_int_equal(rep_put_send(client, "r", "ur", &rows, &err), REP_OK);
	assert_int_equal(rep_observe_send(client, NULL, &samples, &err), REP_OK);
	/* A call of its own waits for none of them. */
	assert_int_equal(rep_observe(client, "r", &samples, NULL, &err), REP_OK);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(rep_write_receive(client, &written, &err), REP_OK);
		assert_int_equal(written.count, 42);
	}
	assert_int_equal(rep_write_receive(client, &written, &err), REP_BAD_REQUEST);
	/* What went with its connection is not known, and not repeated. */
	assert_int_equal(rep_observe_send(client, "r", &samples, &err), REP_OK);
	assert_int_equal(rep_write_receive(client, &written, &err), REP_CLOSED);
	assert_int_equal(rep_observe(client, "r", &samples, NULL, &err), REP_OK);
	client_fixture_end(&fake);
	assert_int_equal(fake.server.requests, 6);
	assert_int_equal(fake.server.connections, 2);
}

static void wrong_samples_are_not_sent(void **state)
{
	(void)state;
	const struct writer writer = {0};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_writes, &writer);
	const float scales[2] = {0};
	struct {
		const char *says;
		struct rep_samples samples;
	} wrong[] = {{"layer: none given", two_samples()}, {"dtype: 77 given", two_samples()},
		{"dtype: ", two_samples()}, {"dtype: ", two_samples()},
		{"scales: i8 rows need them", two_samples()},
		{"scales: i8 rows need them", two_samples()},
		{"rows_bytes: 23 given", two_samples()}, {"rows_bytes: 0 given", two_samples()},
		{"times and rows are needed", two_samples()},
		{"times and rows are needed", two_samples()},
		{"users: 1 given for 2 samples", two_samples()},
		{"items: 1 given for 2 samples", two_samples()},
		{"users: 0 given for 2 samples", two_samples()},
		{"users: keys: 15 bytes", two_samples()}, {"items: keys: ", two_samples()},
		{"rows_bytes: 24 given", two_samples()}};
	wrong[0].samples.layer = NULL;
	wrong[1].samples.dtype = (enum rep_dtype)77;
	wrong[2].samples.dtype = REP_BIT;
	wrong[3].samples.dtype = REP_DTYPE_TABLE;
	wrong[4].samples.dtype = REP_I8;
	wrong[5].samples.scales = scales;
	wrong[6].samples.rows_bytes = 23;
	wrong[7].samples.rows_bytes = 0;
	wrong[8].samples.times = NULL;
	wrong[9].samples.rows = NULL;
	wrong[10].samples.users = rep_keys_u64(two_keys, 1);
	wrong[11].samples.items = rep_keys_bytes(two_packed, 2, 1);
	wrong[12].samples.users = rep_keys_u64(NULL, 0);
	wrong[13].samples.users.bytes = 15;
	wrong[14].samples.items = rep_keys_bytes(two_packed, 4, 2);
	wrong[15].samples.count = 0;
	wrong[15].samples.rows = NULL;
	wrong[15].samples.users = wrong[15].samples.items = (struct rep_keys){0};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct rep_error err = {0};
		assert_int_equal(rep_observe(client, NULL, &wrong[i].samples, NULL, &err),
			REP_BAD_REQUEST);
		if (strstr(err.text, wrong[i].says) == NULL) {
			fail_msg("row %zu: %s", i, err.text);
		}
		assert_int_equal(rep_observe_send(client, NULL, &wrong[i].samples, &err),
			REP_BAD_REQUEST);
		assert_int_equal(rep_observe(client, NULL, &wrong[i].samples, NULL, NULL),
			REP_BAD_REQUEST);
	}
	client_fixture_end(&fake);
	assert_int_equal(fake.server.requests, 0);
}

static void a_refusal_leaves_the_connection(void **state)
{
	(void)state;
	static const enum status statuses[] = {STATUS_GAP, STATUS_NOT_FOUND, STATUS_NOT_SEALED,
		STATUS_BUSY, STATUS_BAD_REQUEST, STATUS_READ_ONLY};
	for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
		const struct writer writer = {.refuse = statuses[i]};
		struct client_fixture fake;
		rep_client *client = client_fixture_begin(&fake, answer_writes, &writer);
		const struct rep_samples samples = two_samples();
		struct rep_written written = {.count = 5, .next = 6};
		struct rep_position *positions = NULL;
		size_t count = 7;
		struct rep_error err = {0};
		assert_int_equal(rep_observe(client, "r", &samples, &written, &err), statuses[i]);
		assert_string_equal(err.text, "release 'r': no");
		assert_int_equal(written.count + written.next, 11);
		assert_int_equal(rep_positions(client, "r", &positions, &count, &err), statuses[i]);
		assert_true(positions == NULL && count == 7);
		assert_int_equal(rep_layer_choose(client, "r", "fm", &err), statuses[i]);
		client_fixture_end(&fake);
		assert_int_equal(fake.server.connections, 1);
		assert_int_equal(fake.server.requests, 3);
	}
}

static void an_answer_with_a_field_less_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *without;
		enum rep_status status;
	} rows[] = {{"release", REP_PROTOCOL}, {"sequence", REP_PROTOCOL},
		{"applied", REP_PROTOCOL}, {"next", REP_OK}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct writer writer = {.without = rows[i].without};
		struct client_fixture fake;
		rep_client *client = client_fixture_begin(&fake, answer_writes, &writer);
		const struct rep_samples samples = two_samples();
		struct rep_written written = {.next = 9};
		assert_int_equal(rep_observe(client, NULL, &samples, &written, NULL),
			rows[i].status);
		assert_int_equal(written.next, rows[i].status == REP_OK ? 0 : 9);
		client_fixture_end(&fake);
	}
}

/* ---- positions, layers ---- */

/* What is wrong with the answer to positions. */
enum damage_of_positions {
	POSITIONS_RIGHT,
	POSITIONS_NONE,
	POSITIONS_ABSENT,
	POSITIONS_NO_LIST,
	POSITIONS_NO_LAYER,
	POSITIONS_NO_SOURCE,
	POSITIONS_NO_NEXT,
	POSITIONS_NEXT_IS_TEXT,
	POSITIONS_LONG_SOURCE,
	POSITIONS_NIL,
	POSITIONS_DAMAGES,
};

struct layered {
	enum damage_of_positions damage;
	struct seen *seen;
	unsigned close_at; /* as in struct writer */
};

static void write_position(struct wire_writer *out, enum damage_of_positions damage, uint64_t next)
{
	char longest[100];
	memset(longest, 's', sizeof longest);
	wire_write_map(out, 3 - (damage == POSITIONS_NO_LAYER) - (damage == POSITIONS_NO_SOURCE) -
				    (damage == POSITIONS_NO_NEXT));
	if (damage != POSITIONS_NO_LAYER) {
		wire_write_str(out, "layer");
		wire_write_str(out, "fm");
	}
	if (damage != POSITIONS_NO_SOURCE) {
		wire_write_str(out, "source");
		wire_write_str_len(out, longest, damage == POSITIONS_LONG_SOURCE ? 100 : 64);
	}
	if (damage == POSITIONS_NEXT_IS_TEXT) {
		wire_write_str(out, "next");
		wire_write_str(out, "7");
	} else if (damage != POSITIONS_NO_NEXT) {
		wire_write_str(out, "next");
		wire_write_uint(out, next);
	}
}

static void answer_layers(struct fake_call *call, const void *arg)
{
	const struct layered *layered = arg;
	struct wire_writer *out = call->out;
	const struct writer writer = {.seen = layered->seen, .close_at = layered->close_at};
	if (!fake_is(call, "positions") || layered->close_at == call->number + 1) {
		answer_writes(call, &writer); /* whatever layer.choose says, it is done */
		return;
	}
	if (layered->seen != NULL) {
		struct wire_bytes release = {0};
		*layered->seen = (struct seen){.fields = fake_params(call)};
		if (wire_str(wire_get(call->params, "release"), &release)) {
			memcpy(layered->seen->release, release.data, release.len);
		}
	}
	const enum damage_of_positions damage = layered->damage;
	fake_result(call);
	if (damage == POSITIONS_NIL) {
		wire_write_nil(out);
		return;
	}
	wire_write_map(out, damage == POSITIONS_ABSENT ? 1 : 2);
	wire_write_str(out, "release");
	wire_write_str(out, "r");
	if (damage == POSITIONS_ABSENT) {
		return;
	}
	wire_write_str(out, "positions");
	if (damage == POSITIONS_NO_LIST) {
		wire_write_uint(out, 0);
		return;
	}
	wire_write_array(out, damage == POSITIONS_NONE ? 0 : 2);
	if (damage != POSITIONS_NONE) {
		write_position(out, POSITIONS_RIGHT, 5);
		write_position(out, damage, UINT64_MAX);
	}
}

static void positions_are_read(void **state)
{
	(void)state;
	struct seen seen = {0};
	struct layered layered = {.seen = &seen};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_layers, &layered);
	struct rep_position *positions = NULL;
	size_t count = 0;
	assert_int_equal(rep_positions(client, NULL, &positions, &count, NULL), REP_OK);
	assert_int_equal(seen.fields, 0);
	assert_int_equal(count, 2);
	assert_string_equal(positions[1].layer, "fm");
	assert_int_equal(strlen(positions[1].source), 64);
	assert_int_equal(positions[0].next, 5);
	assert_true(positions[1].next == UINT64_MAX);
	free(positions);
	layered.damage = POSITIONS_NONE;
	assert_int_equal(rep_positions(client, "r", &positions, &count, NULL), REP_OK);
	assert_string_equal(seen.release, "r");
	assert_int_equal(seen.fields, 1);
	assert_int_equal(count, 0);
	free(positions);
	client_fixture_end(&fake);
}

static void positions_of_another_form_are_refused(void **state)
{
	(void)state;
	for (int damage = POSITIONS_ABSENT; damage < POSITIONS_DAMAGES; damage++) {
		const struct layered layered = {.damage = (enum damage_of_positions)damage};
		struct client_fixture fake;
		rep_client *client = client_fixture_begin(&fake, answer_layers, &layered);
		struct rep_position *positions = NULL;
		size_t count = 7;
		struct rep_error err = {0};
		const enum rep_status status =
			rep_positions(client, NULL, &positions, &count, &err);
		if (status != REP_PROTOCOL) {
			fail_msg("damage %d: %s %s", damage, rep_status_name(status), err.text);
		}
		assert_true(positions == NULL && count == 7);
		client_fixture_end(&fake);
	}
}

/* Reading may be repeated, choosing is the caller's to repeat. */
static void positions_are_asked_again_and_a_choice_is_not(void **state)
{
	(void)state;
	struct seen seen = {0};
	const struct layered layered = {.seen = &seen, .close_at = 2};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_layers, &layered);
	struct rep_position *positions = NULL;
	size_t count = 0;
	struct rep_error err = {0};
	assert_int_equal(rep_layer_choose(client, NULL, "mlp2", &err), REP_OK);
	assert_string_equal(seen.method, "layer.choose");
	assert_string_equal(seen.release, "live");
	assert_string_equal(seen.layer, "mlp2");
	assert_int_equal(seen.fields, 2);
	assert_int_equal(rep_positions(client, NULL, &positions, &count, &err), REP_OK);
	assert_int_equal(count, 2);
	free(positions);
	assert_int_equal(rep_layer_choose(client, NULL, NULL, &err), REP_BAD_REQUEST);
	assert_string_equal(err.text, "layer: none given");
	client_fixture_end(&fake);
	assert_int_equal(fake.server.requests, 3);

	const struct layered closing = {.seen = &seen, .close_at = 1};
	client = client_fixture_begin(&fake, answer_layers, &closing);
	assert_int_equal(rep_layer_choose(client, "r", "fm", &err), REP_CLOSED);
	client_fixture_end(&fake);
	assert_int_equal(fake.server.requests, 1);
}

/* ---- memory ---- */

static bool attempt(void *arg)
{
	const struct fake_server *server = arg;
	const struct rep_options options = {.address = server->path};
	const struct rep_samples samples = two_samples();
	struct rep_position *positions = NULL;
	size_t count = 0;
	rep_client *client = NULL;
	struct rep_error err = {0};
	bool done = rep_connect(&options, &client, &err) == REP_OK &&
		    rep_observe(client, NULL, &samples, NULL, &err) == REP_OK &&
		    rep_observe_send(client, NULL, &samples, &err) == REP_OK &&
		    rep_write_receive(client, NULL, &err) == REP_OK &&
		    rep_layer_choose(client, NULL, "fm", &err) == REP_OK &&
		    rep_positions(client, NULL, &positions, &count, &err) == REP_OK;
	free(positions);
	rep_close(client);
	if (!done) {
		assert_int_equal(err.status, REP_NO_MEMORY);
	}
	return done;
}

static void refused_memory_is_said(void **state)
{
	(void)state;
	const struct layered layered = {0};
	struct fake_server server;
	fake_server_start(&server, answer_layers, &layered);
	assert_true(alloc_fail_each(attempt, &server) > 6);
	fake_server_stop(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_carry_what_they_were_given),
		cmocka_unit_test(a_batch_may_be_empty),
		cmocka_unit_test(samples_are_pipelined_among_writes),
		cmocka_unit_test(wrong_samples_are_not_sent),
		cmocka_unit_test(a_refusal_leaves_the_connection),
		cmocka_unit_test(an_answer_with_a_field_less_is_refused),
		cmocka_unit_test(positions_are_read),
		cmocka_unit_test(positions_of_another_form_are_refused),
		cmocka_unit_test(positions_are_asked_again_and_a_choice_is_not),
		cmocka_unit_test(refused_memory_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
