/* test_client_fetch.c - fetches: what is asked, and what is believed of the answer. */
#include "schema/limits.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/client/client_fixture.h"
#include "tests/unit/client/fake_fetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void rows_arrive_where_they_were_asked(void **state)
{
	(void)state;
	const struct fake_fetch daemon = {.dtype = "i8"};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_fetch, &daemon);
	struct room rooms[2] = {0};
	struct rep_part parts[2] = {part_of(&rooms[0], REP_I8),
		part_of(&rooms[1], REP_DTYPE_TABLE)};
	struct rep_fetched fetched;
	assert_int_equal(rep_fetch(client, "r", parts, 2, &fetched, NULL), REP_OK);
	assert_string_equal(fetched.release, "rr");
	assert_int_equal(fetched.sequence, 42);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(parts[i].dim, DIM);
		assert_int_equal(parts[i].views, VIEWS);
		assert_int_equal(parts[i].row_dtype, REP_I8);
		assert_int_equal(parts[i].stride, DIM * VIEWS);
		assert_int_equal(parts[i].found_count, 8);
		assert_counts_up(rooms[i].rows, KEYS * parts[i].stride);
		assert_int_equal(rooms[i].rows[KEYS * parts[i].stride], 0);
		assert_counts_up(rooms[i].scales, sizeof rooms[i].scales);
		assert_counts_up(rooms[i].times, sizeof rooms[i].times);
		assert_counts_up(rooms[i].tags, sizeof rooms[i].tags);
		assert_counts_up(rooms[i].weights, sizeof rooms[i].weights);
		assert_counts_up(rooms[i].why, sizeof rooms[i].why);
		assert_string_equal(parts[i].resolved, "ur");
	}
	client_fixture_end(&fake);
}

static void what_is_not_wanted_may_be_left_out(void **state)
{
	(void)state;
	const struct fake_fetch daemon = {.dtype = "f32", .untagged = true};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_fetch, &daemon);
	struct room room = {0};
	struct rep_part bare = {.table = "ur", .keys = rep_keys_u64(room.keys, KEYS)};
	assert_int_equal(rep_fetch(client, NULL, &bare, 1, NULL, NULL), REP_OK);
	assert_int_equal(bare.found_count, 8);
	/* A table without tags: zeros, not what was there before. */
	memset(room.tags, 0xee, sizeof room.tags);
	struct rep_part tagged = part_of(&room, REP_F32);
	assert_int_equal(rep_fetch(client, NULL, &tagged, 1, NULL, NULL), REP_OK);
	for (size_t i = 0; i < KEYS; i++) {
		assert_int_equal(room.tags[i], 0);
	}
	struct rep_part none = {.table = "ur", .keys = rep_keys_u64(NULL, 0)};
	assert_int_equal(rep_fetch(client, NULL, &none, 1, NULL, NULL), REP_OK);
	assert_int_equal(none.found_count, 0);
	client_fixture_end(&fake);
}

static void sums_are_asked_for_and_the_table_that_it_was_is_told(void **state)
{
	(void)state;
	bool was_raw = false;
	/* The longest name that there is. */
	char table[] = "0123456789012345678901234567890123456789012345678901234567890123@"
		       "0123456789012345678901234567890123456789012345678901234567890123";
	const struct fake_fetch daemon = {.dtype = "f32", .table = table, .was_raw = &was_raw};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_fetch, &daemon);
	struct room room = {0};
	struct rep_part part = part_of(&room, REP_F32);
	part.table = "cr_user";
	part.raw = true;
	assert_int_equal(rep_fetch(client, NULL, &part, 1, NULL, NULL), REP_OK);
	assert_true(was_raw);
	assert_string_equal(part.resolved, table);
	assert_string_equal(part.table, "cr_user");
	part.raw = false;
	assert_int_equal(rep_fetch_send(client, NULL, &part, 1, NULL), REP_OK);
	memset(part.resolved, 0, sizeof part.resolved);
	memset(room.weights, 0, sizeof room.weights);
	assert_int_equal(rep_fetch_receive(client, &part, 1, NULL, NULL), REP_OK);
	assert_false(was_raw);
	assert_string_equal(part.resolved, table);
	assert_counts_up(room.weights, sizeof room.weights);
	part.weights = NULL;
	assert_int_equal(rep_fetch(client, NULL, &part, 1, NULL, NULL), REP_OK);
	client_fixture_end(&fake);
}

static void an_answer_of_the_wrong_shape_is_not_believed(void **state)
{
	(void)state;
	for (int damage = NO_DAMAGE + 1; damage < DAMAGES; damage++) {
		const struct fake_fetch daemon = {.dtype = "i8", .damage = (enum damage)damage};
		struct client_fixture fake;
		rep_client *client = client_fixture_begin(&fake, answer_fetch, &daemon);
		struct room room = {0};
		struct room untouched = {0};
		struct rep_part part = part_of(&room, REP_I8);
		struct rep_error err = {0};
		enum rep_status status = rep_fetch(client, NULL, &part, 1, NULL, &err);
		if (status != REP_PROTOCOL) {
			fail_msg("damage %d: %s %s", damage, rep_status_name(status), err.text);
		}
		assert_memory_equal(&room, &untouched, sizeof room);
		assert_int_equal(rep_fetch(client, NULL, &part, 1, NULL, &err), REP_OK);
		client_fixture_end(&fake);
		assert_int_equal(fake.server.connections, 2);
	}
}

static void wrong_questions_are_not_sent(void **state)
{
	(void)state;
	const struct fake_fetch daemon = {.dtype = "f32"};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_fetch, &daemon);
	struct room room = {0};
	struct rep_error err = {0};
	struct rep_part part = part_of(&room, REP_F32);
	assert_int_equal(rep_fetch(client, NULL, &part, 0, NULL, &err), REP_BAD_REQUEST);
	assert_int_equal(rep_fetch(client, NULL, &part, LIMIT_PARTS + 1, NULL, &err),
		REP_BAD_REQUEST);
	part.keys.bytes--;
	assert_int_equal(rep_fetch(client, NULL, &part, 1, NULL, &err), REP_BAD_REQUEST);
	part.keys = rep_keys_bytes("\x01"
				   "a",
		2, 2);
	assert_int_equal(rep_fetch(client, NULL, &part, 1, NULL, &err), REP_BAD_REQUEST);
	part.keys.type = (enum rep_key_type)0;
	assert_int_equal(rep_fetch(client, NULL, &part, 1, NULL, &err), REP_BAD_REQUEST);
	part = part_of(&room, REP_F32);
	part.keys.data = NULL;
	assert_int_equal(rep_fetch(client, NULL, &part, 1, NULL, &err), REP_BAD_REQUEST);
	assert_non_null(strstr(err.text, "keys: NULL given"));
	part = part_of(&room, REP_F32);
	part.table = NULL;
	assert_int_equal(rep_fetch(client, NULL, &part, 1, NULL, &err), REP_BAD_REQUEST);
	/* Too little room is known from the answer only. */
	part = part_of(&room, REP_F32);
	part.rows_bytes--;
	assert_int_equal(rep_fetch(client, NULL, &part, 1, NULL, &err), REP_TOO_LARGE);
	assert_non_null(strstr(err.text, "240 bytes"));
	assert_int_equal(rep_ping(client, &err), REP_OK);
	client_fixture_end(&fake);
	assert_int_equal(fake.server.requests, 2);
	assert_int_equal(fake.server.connections, 1);
}

static bool attempt(void *arg)
{
	const struct fake_server *server = arg;
	const struct rep_options options = {.address = server->path};
	rep_client *client = NULL;
	struct rep_error err = {0};
	struct room room = {0};
	struct rep_part part = part_of(&room, REP_F32);
	bool done = rep_connect(&options, &client, &err) == REP_OK &&
		    rep_fetch_send(client, NULL, &part, 1, &err) == REP_OK &&
		    rep_fetch_send(client, NULL, &part, 1, &err) == REP_OK &&
		    rep_fetch_receive(client, &part, 1, NULL, &err) == REP_OK &&
		    rep_fetch_receive(client, &part, 1, NULL, &err) == REP_OK &&
		    rep_fetch(client, NULL, &part, 1, NULL, &err) == REP_OK;
	rep_close(client);
	if (!done) {
		assert_int_equal(err.status, REP_NO_MEMORY);
	}
	return done;
}

static void refused_memory_is_said(void **state)
{
	(void)state;
	const struct fake_fetch daemon = {.dtype = "f32"};
	struct fake_server server;
	fake_server_start(&server, answer_fetch, &daemon);
	assert_true(alloc_fail_each(attempt, &server) > 5);
	fake_server_stop(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_arrive_where_they_were_asked),
		cmocka_unit_test(what_is_not_wanted_may_be_left_out),
		cmocka_unit_test(sums_are_asked_for_and_the_table_that_it_was_is_told),
		cmocka_unit_test(an_answer_of_the_wrong_shape_is_not_believed),
		cmocka_unit_test(wrong_questions_are_not_sent),
		cmocka_unit_test(refused_memory_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
