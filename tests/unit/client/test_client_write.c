/* test_client_write.c - puts, deletes and merges: requests as asked, answers as checked. */
#include "schema/limits.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/client/client_fixture.h"
#include "tests/unit/client/fake_write.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- requests ---- */

static void a_put_carries_what_it_was_given(void **state)
{
	(void)state;
	struct seen seen = {0};
	const struct writer writer = {.seen = &seen};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_writes, &writer);
	struct rep_written written = {0};
	struct rep_rows rows = rows_of_two();
	assert_int_equal(rep_put(client, NULL, "ur", &rows, &written, NULL), REP_OK);
	assert_string_equal(written.release, "ckpt-3");
	assert_int_equal(written.sequence, 41);
	assert_int_equal(written.count, 42);
	assert_string_equal(seen.method, "put");
	assert_string_equal(seen.release, "live");
	assert_string_equal(seen.table, "ur");
	assert_string_equal(seen.dtype, "f32");
	assert_int_equal(seen.fields, 5);
	assert_column(&seen.keys, two_keys, sizeof two_keys);
	assert_column(&seen.rows, two_rows, sizeof two_rows);

	const float scales[2] = {0.5F, 0.25F};
	const int64_t times[2] = {-1, 1700000000000};
	const uint64_t tags[2] = {1, UINT64_MAX};
	rows.dtype = REP_I8;
	rows.rows_bytes = (size_t)2 * DIM;
	rows.scales = scales;
	rows.times = times;
	rows.tags = tags;
	rows.allow_nonfinite = true;
	rows.any_time = true;
	rows.if_newer = true;
	assert_int_equal(rep_put(client, "r", "ur@m", &rows, NULL, NULL), REP_OK);
	assert_string_equal(seen.release, "r");
	assert_string_equal(seen.table, "ur@m");
	assert_string_equal(seen.dtype, "i8");
	assert_int_equal(seen.fields, 11);
	assert_true(seen.if_newer && seen.allow_nonfinite && seen.any_time);
	assert_column(&seen.rows, two_rows, (size_t)2 * DIM);
	assert_column(&seen.scales, scales, sizeof scales);
	assert_column(&seen.times, times, sizeof times);
	assert_column(&seen.tags, tags, sizeof tags);

	/* As stored: whether that is i8 is the daemon's to know. */
	rows = rows_of_two();
	rows.dtype = REP_DTYPE_TABLE;
	assert_int_equal(rep_put(client, "r", "ur", &rows, NULL, NULL), REP_OK);
	assert_string_equal(seen.dtype, "");
	assert_int_equal(seen.fields, 4);
	client_fixture_end(&fake);
}

static void a_put_of_several_tables_carries_each(void **state)
{
	(void)state;
	struct seen seen = {0};
	const struct writer writer = {.seen = &seen};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_writes, &writer);
	const int64_t times[2] = {-1, 1700000000000};
	struct rep_rows ur = rows_of_two();
	struct rep_rows cr = rows_of_two();
	cr.times = times;
	cr.dtype = REP_DTYPE_TABLE;
	const struct rep_put_part parts[] = {{.table = "ur", .rows = &ur},
		{.table = "cr", .rows = &cr}, {.table = "ur", .rows = &ur}};
	struct rep_written written = {0};
	assert_int_equal(rep_put_parts(client, NULL, parts, 3, &written, NULL), REP_OK);
	assert_int_equal(written.count, 42);
	assert_string_equal(seen.method, "put");
	assert_int_equal(seen.fields, 2);
	assert_false(seen.if_newer);
	assert_int_equal(seen.part_count, 3);
	assert_string_equal(seen.parts[0].table, "ur");
	assert_int_equal(seen.parts[0].fields, 4);
	assert_column(&seen.parts[0].rows, two_rows, sizeof two_rows);
	assert_string_equal(seen.parts[1].table, "cr");
	assert_int_equal(seen.parts[1].fields, 4);
	assert_column(&seen.parts[1].rows, two_rows, sizeof two_rows);
	assert_column(&seen.parts[2].keys, two_keys, sizeof two_keys);
	assert_column(&seen.parts[2].rows, two_rows, sizeof two_rows);

	ur.if_newer = true;
	struct rep_error err = {0};
	assert_int_equal(rep_put_parts(client, NULL, parts, 3, NULL, &err), REP_BAD_REQUEST);
	assert_non_null(strstr(err.text, "parts[1].if_newer: "));
	cr.if_newer = true;
	assert_int_equal(rep_put_parts_send(client, "r", parts, 2, NULL), REP_OK);
	assert_int_equal(rep_write_receive(client, NULL, NULL), REP_OK);
	assert_true(seen.if_newer);
	assert_int_equal(seen.fields, 3);
	assert_int_equal(rep_put_parts(client, NULL, parts, 0, NULL, &err), REP_BAD_REQUEST);
	assert_int_equal(rep_put_parts(client, NULL, parts, 65, NULL, &err), REP_BAD_REQUEST);
	assert_non_null(strstr(err.text, "parts: 65 given"));
	client_fixture_end(&fake);
}

static void a_delete_carries_keys_alone(void **state)
{
	(void)state;
	struct seen seen = {0};
	const struct writer writer = {.seen = &seen};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_writes, &writer);
	struct rep_written written = {0};
	const char packed[] = "\x01"
			      "a\x02"
			      "bc";
	assert_int_equal(rep_delete(client, "r", "ir", rep_keys_bytes(packed, 5, 2), &written,
				 NULL),
		REP_OK);
	assert_string_equal(written.release, "ckpt-3");
	assert_int_equal(written.sequence, 41);
	assert_int_equal(written.count, 42);
	assert_string_equal(seen.method, "delete");
	assert_string_equal(seen.release, "r");
	assert_string_equal(seen.table, "ir");
	assert_int_equal(seen.fields, 3);
	assert_column(&seen.keys, packed, 5);
	assert_int_equal(rep_delete(client, NULL, "ir", rep_keys_u64(two_keys, 2), NULL, NULL),
		REP_OK);
	assert_string_equal(seen.release, "live");
	assert_column(&seen.keys, two_keys, sizeof two_keys);
	client_fixture_end(&fake);
}

static void rows_of_any_size_arrive_whole(void **state)
{
	(void)state;
	enum { MANY = 1000000, ROW_BYTES = DIM * 4 };
	struct seen seen = {0};
	const struct writer writer = {.seen = &seen};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_writes, &writer);
	uint64_t *keys = calloc(MANY, sizeof *keys);
	uint8_t *data = malloc((size_t)MANY * ROW_BYTES);
	memset(data, 3, (size_t)MANY * ROW_BYTES);
	const uint32_t counts[] = {0, 1, 7, 100000, MANY};
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		const struct rep_rows rows = {.keys = rep_keys_u64(keys, counts[i]),
			.rows = data,
			.rows_bytes = (size_t)counts[i] * ROW_BYTES};
		assert_int_equal(rep_put(client, NULL, "ur", &rows, NULL, NULL), REP_OK);
		assert_int_equal(seen.keys.len, counts[i] * 8);
		assert_int_equal(seen.rows.len, counts[i] * ROW_BYTES);
		assert_int_equal(seen.row_sum, (uint64_t)counts[i] * ROW_BYTES * 3);
	}
	free(keys);
	free(data);
	client_fixture_end(&fake);
}

static void a_merge_waits_without_end_and_tells_what_it_did(void **state)
{
	(void)state;
	struct seen seen = {0};
	const struct writer writer = {.seen = &seen, .slow = true};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_writes, &writer);
	rep_set_timeout(client, 1);
	struct rep_merged merged = {0};
	assert_int_equal(rep_merge(client, &merged, NULL), REP_OK);
	assert_string_equal(seen.method, "merge");
	assert_int_equal(seen.fields, 0);
	assert_int_equal(merged.tables, 40);
	assert_int_equal(merged.rows, 41);
	assert_int_equal(merged.bytes, 42);
	assert_int_equal(merged.elapsed_ms, 43);
	assert_int_equal(rep_merge(client, NULL, NULL), REP_OK);
	client_fixture_end(&fake);
}

static void wrong_writes_are_not_sent(void **state)
{
	(void)state;
	const struct writer writer = {0};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_writes, &writer);
	const float scales[2] = {0};
	struct rep_error err = {0};
	struct {
		const char *says;
		struct rep_rows rows;
	} wrong[] = {{"keys: 16 bytes hold 2, not 3", rows_of_two()},
		{"dtype: 77 given", rows_of_two()}, {"scales: i8 rows need them", rows_of_two()},
		{"scales: i8 rows need them", rows_of_two()}, {"rows: none given", rows_of_two()},
		{"rows_bytes: 0 given", rows_of_two()}, {"rows_bytes: 23 given", rows_of_two()}};
	wrong[0].rows.keys.count = 3;
	wrong[1].rows.dtype = (enum rep_dtype)77;
	wrong[2].rows.dtype = REP_I8;
	wrong[3].rows.scales = scales;
	wrong[4].rows.rows = NULL;
	wrong[5].rows.rows_bytes = 0;
	wrong[6].rows.rows_bytes = 23;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		assert_int_equal(rep_put(client, NULL, "ur", &wrong[i].rows, NULL, &err),
			REP_BAD_REQUEST);
		if (strstr(err.text, wrong[i].says) == NULL) {
			fail_msg("row %zu: %s", i, err.text);
		}
		assert_int_equal(rep_put_send(client, NULL, "ur", &wrong[i].rows, &err),
			REP_BAD_REQUEST);
	}
	const struct rep_rows right = rows_of_two();
	struct rep_rows large = rows_of_two();
	large.rows_bytes = LIMIT_MESSAGE_BYTES;
	assert_int_equal(rep_put(client, NULL, "ur", &large, NULL, &err), REP_TOO_LARGE);
	assert_int_equal(rep_put(client, NULL, NULL, &right, NULL, &err), REP_BAD_REQUEST);
	assert_string_equal(err.text, "table: none given");
	struct rep_keys keys = right.keys;
	assert_int_equal(rep_delete(client, NULL, NULL, keys, NULL, &err), REP_BAD_REQUEST);
	keys.bytes = 15;
	assert_int_equal(rep_delete(client, NULL, "ur", keys, NULL, &err), REP_BAD_REQUEST);
	assert_int_equal(rep_delete_send(client, NULL, "ur", keys, &err), REP_BAD_REQUEST);
	assert_int_equal(rep_write_receive(client, NULL, &err), REP_BAD_REQUEST);
	assert_string_equal(err.text, "no write was sent that waits to be received");
	client_fixture_end(&fake);
	assert_int_equal(fake.server.requests, 0);
}

/* ---- answers ---- */

static void an_error_of_the_daemon_leaves_the_connection(void **state)
{
	(void)state;
	const enum status statuses[] = {STATUS_NOT_SEALED, STATUS_BUSY, STATUS_DISK_FULL,
		STATUS_READ_ONLY, STATUS_CORRUPT, STATUS_TOO_LARGE, STATUS_BAD_REQUEST};
	for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
		const struct writer writer = {.refuse = statuses[i]};
		struct client_fixture fake;
		rep_client *client = client_fixture_begin(&fake, answer_writes, &writer);
		const struct rep_rows rows = rows_of_two();
		struct rep_written written = {.count = 5};
		struct rep_error err = {0};
		assert_int_equal(rep_put(client, "r", "ur", &rows, &written, &err), statuses[i]);
		assert_string_equal(err.text, "release 'r': no");
		assert_int_equal(written.count, 5);
		assert_int_equal(rep_delete(client, "r", "ur", rows.keys, &written, &err),
			statuses[i]);
		assert_int_equal(rep_merge(client, NULL, &err), statuses[i]);
		client_fixture_end(&fake);
		assert_int_equal(fake.server.connections, 1);
		assert_int_equal(fake.server.requests, 3);
	}
}

static void an_answer_with_a_field_less_is_refused(void **state)
{
	(void)state;
	const struct {
		const char *without;
		bool put;
		bool delete;
		bool merge;
	} rows[] = {{"release", true, true, false}, {"sequence", true, true, false},
		{"applied", true, false, false}, {"deleted", false, true, false},
		{"tables", false, false, true}, {"rows", false, false, true},
		{"bytes", false, false, true}, {"elapsed_ms", false, false, true}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct writer writer = {.without = rows[i].without};
		struct client_fixture fake;
		rep_client *client = client_fixture_begin(&fake, answer_writes, &writer);
		const struct rep_rows two = rows_of_two();
		assert_int_equal(rep_put(client, NULL, "ur", &two, NULL, NULL),
			rows[i].put ? REP_PROTOCOL : REP_OK);
		assert_int_equal(rep_delete(client, NULL, "ur", two.keys, NULL, NULL),
			rows[i].delete ? REP_PROTOCOL : REP_OK);
		assert_int_equal(rep_merge(client, NULL, NULL),
			rows[i].merge ? REP_PROTOCOL : REP_OK);
		client_fixture_end(&fake);
	}
}

static void a_write_whose_outcome_is_not_known_is_not_repeated(void **state)
{
	(void)state;
	const struct writer writer = {.close_at = 2};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_writes, &writer);
	const struct rep_rows rows = rows_of_two();
	struct rep_error err = {0};
	assert_int_equal(rep_put(client, NULL, "ur", &rows, NULL, &err), REP_OK);
	assert_int_equal(rep_put(client, NULL, "ur", &rows, NULL, &err), REP_CLOSED);
	/* The next one connects again. */
	assert_int_equal(rep_put(client, NULL, "ur", &rows, NULL, &err), REP_OK);
	client_fixture_end(&fake);
	assert_int_equal(fake.server.requests, 3);
	assert_int_equal(fake.server.connections, 2);
}

static bool attempt(void *arg)
{
	const struct fake_server *server = arg;
	const struct rep_options options = {.address = server->path};
	const struct rep_rows rows = rows_of_two();
	rep_client *client = NULL;
	struct rep_error err = {0};
	bool done = rep_connect(&options, &client, &err) == REP_OK &&
		    rep_put(client, NULL, "ur", &rows, NULL, &err) == REP_OK &&
		    rep_delete(client, NULL, "ur", rows.keys, NULL, &err) == REP_OK &&
		    rep_put_send(client, NULL, "ur", &rows, &err) == REP_OK &&
		    rep_write_receive(client, NULL, &err) == REP_OK &&
		    rep_merge(client, NULL, &err) == REP_OK;
	rep_close(client);
	if (!done) {
		assert_int_equal(err.status, REP_NO_MEMORY);
	}
	return done;
}

static void refused_memory_is_said(void **state)
{
	(void)state;
	const struct writer writer = {0};
	struct fake_server server;
	fake_server_start(&server, answer_writes, &writer);
	assert_true(alloc_fail_each(attempt, &server) > 8);
	fake_server_stop(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_put_carries_what_it_was_given),
		cmocka_unit_test(a_put_of_several_tables_carries_each),
		cmocka_unit_test(a_delete_carries_keys_alone),
		cmocka_unit_test(rows_of_any_size_arrive_whole),
		cmocka_unit_test(a_merge_waits_without_end_and_tells_what_it_did),
		cmocka_unit_test(wrong_writes_are_not_sent),
		cmocka_unit_test(an_error_of_the_daemon_leaves_the_connection),
		cmocka_unit_test(an_answer_with_a_field_less_is_refused),
		cmocka_unit_test(a_write_whose_outcome_is_not_known_is_not_repeated),
		cmocka_unit_test(refused_memory_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
