/* test_client_admin.c - releases, tables and scans: requests as asked, answers as checked. */
#include "repstore.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/client/client_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- a daemon with two releases of two tables ---- */

/* What the daemon leaves out or gets wrong: a field of a release, table or scan. */
struct admin {
	const char *without; /* this field is missing wherever it would be */
	const char *wrong;   /* this one is of a wrong type */
	const char *cut;     /* this bin is one byte too short */
	bool stuck;          /* the scan's cursor does not move */
	bool bytes;          /* the table has keys of bytes */
	char *log;           /* char[512]: methods and their params, in short */
};

static bool is(const char *a, const char *b)
{
	return a != NULL && strcmp(a, b) == 0;
}

/* A map that is written field by field, since fields may be missing. */
struct fields {
	const struct admin *admin;
	struct wire_writer body;
	size_t count;
};

static bool begin_field(struct fields *fields, const char *name)
{
	if (is(fields->admin->without, name)) {
		return false;
	}
	fields->count++;
	wire_write_str(&fields->body, name);
	if (is(fields->admin->wrong, name)) {
		wire_write_float(&fields->body, 0.5);
		return false;
	}
	return true;
}

static void add_uint(struct fields *fields, const char *name, uint64_t value)
{
	if (begin_field(fields, name)) {
		wire_write_uint(&fields->body, value);
	}
}

static void add_str(struct fields *fields, const char *name, const char *value)
{
	if (begin_field(fields, name)) {
		wire_write_str(&fields->body, value);
	}
}

static void add_bin(struct fields *fields, const char *name, const void *data, size_t len)
{
	if (begin_field(fields, name)) {
		wire_write_bin(&fields->body, data, len - (is(fields->admin->cut, name) ? 1 : 0));
	}
}

static void finish_map(struct fields *fields, struct wire_writer *out)
{
	wire_write_map(out, fields->count);
	wire_write_raw(out, fields->body.data, fields->body.len);
	wire_writer_fini(&fields->body);
}

static void write_release(const struct admin *admin, struct wire_writer *out)
{
	struct fields fields = {.admin = admin};
	add_str(&fields, "release", "r1");
	add_uint(&fields, "number", 3);
	add_str(&fields, "model", "m");
	add_str(&fields, "checkpoint", "c");
	add_str(&fields, "state", "sealed");
	add_uint(&fields, "created_ms", 1000);
	add_uint(&fields, "sealed_ms", 2000);
	add_uint(&fields, "tables", 2);
	add_uint(&fields, "rows", 10);
	add_uint(&fields, "bytes", 20);
	finish_map(&fields, out);
}

static void write_table(const struct admin *admin, struct wire_writer *out)
{
	struct fields fields = {.admin = admin};
	add_str(&fields, "release", "r1");
	add_str(&fields, "table", "ur");
	add_str(&fields, "entity", "user");
	add_str(&fields, "kind", "ur");
	add_uint(&fields, "dim", 2);
	add_uint(&fields, "views", 1);
	add_str(&fields, "dtype", "i8");
	add_str(&fields, "key", admin->bytes ? "bytes" : "u64");
	add_uint(&fields, "ttl_ms", 5);
	if (begin_field(&fields, "tags")) {
		wire_write_bool(&fields.body, true);
	}
	add_uint(&fields, "rows", 10);
	add_uint(&fields, "bytes", 20);
	add_uint(&fields, "segments", 1);
	add_uint(&fields, "damaged", 0);
	add_uint(&fields, "pending", 6);
	add_uint(&fields, "index_bytes", 7);
	add_uint(&fields, "index_build_ms", 8);
	if (begin_field(&fields, "rows_exact")) {
		wire_write_bool(&fields.body, false);
	}
	add_uint(&fields, "deltas", 3);
	add_uint(&fields, "delta_bytes", 9);
	add_uint(&fields, "image_bytes", 11);
	finish_map(&fields, out);
}

/* Three replies of two rows each. */
static void write_scan(const struct admin *admin, struct fake_call *call)
{
	uint64_t cursor = 0;
	wire_uint(wire_get(call->params, "cursor"), &cursor);
	const uint64_t keys[2] = {cursor, cursor + 1};
	const char packed[] = "\x01"
			      "a\x02"
			      "bc";
	const int8_t rows[4] = {1, 2, 3, 4};
	const float scales[2] = {0.5F, 0.25F};
	const int64_t times[2] = {7, 8};
	const uint64_t tags[2] = {9, 10};
	struct fields fields = {.admin = admin};
	add_str(&fields, "release", "r1");
	add_uint(&fields, "sequence", 4);
	add_uint(&fields, "n", 2);
	add_str(&fields, "dtype", "i8");
	add_uint(&fields, "stride", 2);
	if (admin->bytes) {
		add_bin(&fields, "keys", packed, 5);
	} else {
		add_bin(&fields, "keys", keys, sizeof keys);
	}
	add_bin(&fields, "rows", rows, sizeof rows);
	add_bin(&fields, "scales", scales, sizeof scales);
	add_bin(&fields, "times", times, sizeof times);
	add_bin(&fields, "tags", tags, sizeof tags);
	if (cursor < 4) {
		add_uint(&fields, "cursor", admin->stuck ? 2 : cursor + 2);
	}
	finish_map(&fields, call->out);
}

static void note(const struct admin *admin, const struct fake_call *call)
{
	if (admin->log == NULL) {
		return;
	}
	struct wire_bytes release = {0};
	wire_str(wire_get(call->params, "release"), &release);
	size_t len = strlen(admin->log);
	snprintf(admin->log + len, 512 - len, "%.*s(%.*s,%zu) ", (int)call->method.len,
		(const char *)call->method.data, (int)release.len,
		release.len > 0 ? (const char *)release.data : "", fake_params(call));
}

static void answer_admin(struct fake_call *call, const void *arg)
{
	const struct admin *admin = arg;
	struct wire_writer *out = call->out;
	note(admin, call);
	fake_result(call);
	if (fake_is(call, "release.list") || fake_is(call, "table.list")) {
		bool releases = fake_is(call, "release.list");
		wire_write_map(out, 1);
		wire_write_str(out, releases ? "releases" : "tables");
		wire_write_array(out, 2);
		for (int i = 0; i < 2; i++) {
			if (releases) {
				write_release(admin, out);
			} else {
				write_table(admin, out);
			}
		}
	} else if (fake_is(call, "table.show")) {
		write_table(admin, out);
	} else if (fake_is(call, "scan")) {
		write_scan(admin, call);
	} else {
		write_release(admin, out);
	}
}

/* ---- tests ---- */

static void every_function_asks_its_method(void **state)
{
	(void)state;
	char log[512] = "";
	const struct admin admin = {.log = log};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_admin, &admin);
	const struct rep_table_spec spec = {.name = "ur",
		.entity = REP_USER,
		.kind = REP_UR,
		.dim = 2};
	struct rep_table table;
	struct rep_release release;
	char now[72] = "";
	assert_int_equal(rep_release_create(client, "a", NULL, NULL, NULL), REP_OK);
	assert_int_equal(rep_release_create(client, "a", "m", "c", NULL), REP_OK);
	assert_int_equal(rep_table_create(client, "a", &spec, NULL), REP_OK);
	assert_int_equal(rep_release_seal(client, "a", NULL), REP_OK);
	assert_int_equal(rep_release_publish(client, "a", NULL), REP_OK);
	assert_int_equal(rep_release_rollback(client, now, NULL), REP_OK);
	assert_string_equal(now, "r1");
	assert_int_equal(rep_release_rollback(client, NULL, NULL), REP_OK);
	assert_int_equal(rep_release_show(client, NULL, &release, NULL), REP_OK);
	assert_int_equal(rep_table_show(client, "a", "ur", &table, NULL), REP_OK);
	assert_int_equal(rep_release_drop(client, "a", NULL), REP_OK);
	struct rep_table_spec wrong = spec;
	memset(wrong.name, 'x', sizeof wrong.name);
	assert_int_equal(rep_table_create(client, "a", &wrong, NULL), REP_BAD_REQUEST);
	client_fixture_end(&fake);
	assert_string_equal(log,
		"release.create(a,1) release.create(a,3) table.create(a,11) release.seal(a,1) "
		"release.publish(a,1) release.rollback(,0) release.rollback(,0) release.show(,0) "
		"table.show(a,2) release.drop(a,1) ");
}

static void releases_and_tables_are_read(void **state)
{
	(void)state;
	const struct admin admin = {0};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_admin, &admin);
	struct rep_release *releases = NULL;
	struct rep_table *tables = NULL;
	size_t count = 0;
	assert_int_equal(rep_release_list(client, &releases, &count, NULL), REP_OK);
	assert_int_equal(count, 2);
	assert_string_equal(releases[1].id, "r1");
	assert_string_equal(releases[1].checkpoint, "c");
	assert_string_equal(releases[1].state, "sealed");
	assert_int_equal(releases[1].sealed_ms, 2000);
	assert_int_equal(releases[1].published_ms, 0);
	assert_int_equal(rep_table_list(client, "r1", &tables, &count, NULL), REP_OK);
	assert_int_equal(count, 2);
	assert_string_equal(tables[1].spec.name, "ur");
	assert_int_equal(tables[1].spec.dtype, REP_I8);
	assert_int_equal(tables[1].spec.key_type, REP_KEY_U64);
	assert_int_equal(tables[1].spec.ttl_ms, 5);
	assert_true(tables[1].spec.tags);
	assert_int_equal(tables[1].rows, 10);
	assert_int_equal(tables[1].pending, 6);
	assert_int_equal(tables[1].index_bytes, 7);
	assert_int_equal(tables[1].index_build_ms, 8);
	assert_int_equal(tables[1].rows_at_most, 1);
	assert_int_equal(tables[1].deltas, 3);
	assert_int_equal(tables[1].delta_bytes, 9);
	assert_int_equal(tables[1].image_bytes, 11);
	assert_int_equal(releases[1].rows_at_most, 0);
	free(releases);
	free(tables);
	client_fixture_end(&fake);
}

/* As an older daemon answers. */
static void what_a_table_does_not_tell_is_none(void **state)
{
	(void)state;
	static const char *const names[] = {"pending", "rows_exact"};
	for (size_t i = 0; i < 2; i++) {
		const struct admin admin = {.without = names[i]};
		struct client_fixture fake;
		rep_client *client = client_fixture_begin(&fake, answer_admin, &admin);
		struct rep_table table = {.pending = 1, .rows_at_most = 1};
		assert_int_equal(rep_table_show(client, NULL, "ur", &table, NULL), REP_OK);
		assert_int_equal(table.pending, i == 0 ? 0 : 6);
		assert_int_equal(table.rows_at_most,
			1); /* it has deltas, so that nothing is sure */
		client_fixture_end(&fake);
	}
}

static void a_description_with_a_field_less_is_refused(void **state)
{
	(void)state;
	const struct admin rows[] = {{.without = "release"}, {.without = "state"},
		{.without = "rows"}, {.wrong = "model"}, {.without = "bytes"},
		{.without = "created_ms"}, {.wrong = "tables"}};
	const struct admin table_rows[] = {{.without = "table"}, {.without = "dim"},
		{.without = "rows"}, {.wrong = "entity"}, {.wrong = "damaged"},
		{.wrong = "pending"}, {.wrong = "index_bytes"}, {.wrong = "index_build_ms"},
		{.wrong = "rows_exact"}, {.wrong = "deltas"}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct client_fixture fake;
		struct rep_release *releases = NULL;
		size_t count = 0;
		rep_client *client = client_fixture_begin(&fake, answer_admin, &rows[i]);
		assert_int_equal(rep_release_list(client, &releases, &count, NULL), REP_PROTOCOL);
		assert_null(releases);
		client_fixture_end(&fake);
	}
	for (size_t i = 0; i < sizeof table_rows / sizeof table_rows[0]; i++) {
		struct client_fixture fake;
		struct rep_table *tables = NULL;
		size_t count = 0;
		rep_client *client = client_fixture_begin(&fake, answer_admin, &table_rows[i]);
		assert_int_equal(rep_table_list(client, NULL, &tables, &count, NULL), REP_PROTOCOL);
		assert_null(tables);
		client_fixture_end(&fake);
	}
}

static void a_scan_walks_to_its_end_on_one_release(void **state)
{
	(void)state;
	char log[512] = "";
	const struct admin admin = {.log = log};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_admin, &admin);
	struct rep_scan scan = {0};
	unsigned steps = 0;
	do {
		assert_int_equal(rep_scan_next(client, NULL, "ur", REP_DTYPE_TABLE, 2, &scan, NULL),
			REP_OK);
		assert_int_equal(scan.keys.type, REP_KEY_U64);
		assert_int_equal(scan.keys.count, 2);
		assert_int_equal(((const uint64_t *)scan.keys.data)[1], steps * 2 + 1);
		assert_memory_equal(scan.rows, "\x01\x02\x03\x04", 4);
		assert_int_equal(scan.dtype, REP_I8);
		assert_int_equal(scan.dim, 2);
		assert_int_equal(scan.stride, 2);
		assert_true(scan.scales[1] == 0.25F);
		assert_int_equal(scan.times[1], 8);
		assert_int_equal(scan.tags[1], 10);
		assert_string_equal(scan.release, "r1");
		steps++;
	} while (scan.more);
	assert_int_equal(steps, 3);
	assert_int_equal(rep_scan_next(client, NULL, "ur", REP_DTYPE_TABLE, 2, &scan, NULL),
		REP_BAD_REQUEST);
	rep_scan_free(&scan);
	rep_scan_free(&scan);
	client_fixture_end(&fake);
	assert_string_equal(log, "table.show(,1) scan(r1,3) scan(r1,4) scan(r1,4) ");
}

static void keys_of_bytes_are_told_as_such(void **state)
{
	(void)state;
	const struct admin admin = {.bytes = true};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_admin, &admin);
	struct rep_scan scan = {0};
	assert_int_equal(rep_scan_next(client, NULL, "ur", REP_I8, 0, &scan, NULL), REP_OK);
	assert_int_equal(scan.keys.type, REP_KEY_BYTES);
	assert_int_equal(scan.keys.bytes, 5);
	rep_scan_free(&scan);
	client_fixture_end(&fake);
}

static void a_scan_of_the_wrong_shape_is_not_believed(void **state)
{
	(void)state;
	const struct admin rows[] = {{.without = "sequence"}, {.without = "n"},
		{.without = "stride"}, {.without = "dtype"}, {.without = "keys"}, {.cut = "keys"},
		{.without = "rows"}, {.cut = "rows"}, {.cut = "scales"}, {.without = "scales"},
		{.cut = "times"}, {.without = "times"}, {.wrong = "tags"}, {.cut = "tags"},
		{.stuck = true}, {.bytes = true, .cut = "keys"}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct client_fixture fake;
		struct rep_scan scan = {0};
		rep_client *client = client_fixture_begin(&fake, answer_admin, &rows[i]);
		enum rep_status status = REP_OK;
		do {
			status = rep_scan_next(client, NULL, "ur", REP_DTYPE_TABLE, 2, &scan, NULL);
		} while (status == REP_OK && scan.more);
		if (status != REP_PROTOCOL) {
			fail_msg("row %zu: %s", i, rep_status_name(status));
		}
		rep_scan_free(&scan);
		client_fixture_end(&fake);
	}
	/* Another dtype than asked. */
	const struct admin right = {0};
	struct client_fixture fake;
	struct rep_scan scan = {0};
	rep_client *client = client_fixture_begin(&fake, answer_admin, &right);
	assert_int_equal(rep_scan_next(client, NULL, "ur", REP_F32, 2, &scan, NULL), REP_PROTOCOL);
	rep_scan_free(&scan);
	client_fixture_end(&fake);
}

static bool attempt(void *arg)
{
	const struct fake_server *server = arg;
	const struct rep_options options = {.address = server->path};
	rep_client *client = NULL;
	struct rep_error err = {0};
	struct rep_release *releases = NULL;
	struct rep_table *tables = NULL;
	size_t count = 0;
	struct rep_scan scan = {0};
	bool done = rep_connect(&options, &client, &err) == REP_OK &&
		    rep_release_list(client, &releases, &count, &err) == REP_OK &&
		    rep_table_list(client, NULL, &tables, &count, &err) == REP_OK &&
		    rep_scan_next(client, NULL, "ur", REP_I8, 2, &scan, &err) == REP_OK;
	free(releases);
	free(tables);
	rep_scan_free(&scan);
	rep_close(client);
	if (!done) {
		assert_int_equal(err.status, REP_NO_MEMORY);
	}
	return done;
}

static void refused_memory_is_said(void **state)
{
	(void)state;
	const struct admin admin = {0};
	struct fake_server server;
	fake_server_start(&server, answer_admin, &admin);
	assert_true(alloc_fail_each(attempt, &server) > 8);
	fake_server_stop(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_function_asks_its_method),
		cmocka_unit_test(releases_and_tables_are_read),
		cmocka_unit_test(what_a_table_does_not_tell_is_none),
		cmocka_unit_test(a_description_with_a_field_less_is_refused),
		cmocka_unit_test(a_scan_walks_to_its_end_on_one_release),
		cmocka_unit_test(keys_of_bytes_are_told_as_such),
		cmocka_unit_test(a_scan_of_the_wrong_shape_is_not_believed),
		cmocka_unit_test(refused_memory_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
