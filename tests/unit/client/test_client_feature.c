/* test_client_feature.c - what a daemon may lack is sent only to one that has it. */
#include "repstore.h"
#include "tests/unit/client/fake_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { LOG_BYTES = 512 };

/* What was asked of the server, in its order. */
static char seen[LOG_BYTES];

static void note(const char *text)
{
	strncat(seen, text, sizeof seen - strlen(seen) - 1);
}

static void write_table(struct wire_writer *out)
{
	static const char *const texts[][2] = {{"release", "r1"}, {"table", "ur"},
		{"entity", "user"}, {"kind", "ur"}};
	static const char *const zeros[] = {"rows", "bytes", "segments", "damaged"};
	wire_write_map(out, 9);
	for (size_t i = 0; i < 4; i++) {
		wire_write_str(out, texts[i][0]);
		wire_write_str(out, texts[i][1]);
		wire_write_str(out, zeros[i]);
		wire_write_uint(out, 0);
	}
	wire_write_str(out, "dim");
	wire_write_uint(out, 1);
}

/* A reply without rows; all but the third have a cursor. */
static void write_scan(struct wire_writer *out, unsigned number)
{
	const bool more = number < 3;
	wire_write_map(out, more ? 9 : 8);
	if (more) {
		wire_write_str(out, "cursor");
		wire_write_uint(out, number);
	}
	wire_write_str(out, "release");
	wire_write_str(out, "r1");
	wire_write_str(out, "sequence");
	wire_write_uint(out, 1);
	wire_write_str(out, "n");
	wire_write_uint(out, 0);
	wire_write_str(out, "dtype");
	wire_write_str(out, "f32");
	wire_write_str(out, "stride");
	wire_write_uint(out, 4);
	static const char *const columns[] = {"keys", "rows", "times"};
	for (size_t i = 0; i < 3; i++) {
		wire_write_str(out, columns[i]);
		wire_write_bin(out, "", 0);
	}
}

/* Notes what each part says is to be done about missing rows, and answers one f32 for each. */
static void write_fetch(const struct fake_call *call)
{
	const struct wire_value parts = wire_get(call->params, "parts");
	static const uint32_t one = 1;
	wire_write_map(call->out, 3);
	wire_write_str(call->out, "release");
	wire_write_str(call->out, "r1");
	wire_write_str(call->out, "sequence");
	wire_write_uint(call->out, 1);
	wire_write_str(call->out, "parts");
	wire_write_array(call->out, wire_size(parts));
	for (size_t i = 0; i < wire_size(parts); i++) {
		struct wire_bytes missing = {0};
		char text[32];
		(void)wire_str(wire_get(wire_item(parts, i), "missing"), &missing);
		(void)snprintf(text, sizeof text, "[%.*s]", (int)missing.len,
			(const char *)missing.data);
		note(text);
		static const char *const numbers[] = {"n", "dim", "views"};
		wire_write_map(call->out, 9);
		for (size_t j = 0; j < 3; j++) {
			wire_write_str(call->out, numbers[j]);
			wire_write_uint(call->out, 1);
		}
		wire_write_str(call->out, "table");
		wire_write_str(call->out, "ur");
		wire_write_str(call->out, "dtype");
		wire_write_str(call->out, "f32");
		wire_write_str(call->out, "stride");
		wire_write_uint(call->out, 4);
		wire_write_str(call->out, "found");
		wire_write_bin(call->out, "", 1);
		wire_write_str(call->out, "rows");
		wire_write_bin(call->out, &one, 4);
		wire_write_str(call->out, "why");
		wire_write_bin(call->out, "\5", 1);
	}
}

static void note_default(struct wire_value params)
{
	struct wire_bytes kind = {0};
	struct wire_bytes row = {0};
	double scale = -1;
	char text[64];
	(void)wire_str(wire_get(params, "default"), &kind);
	(void)wire_bin(wire_get(params, "default_row"), &row);
	(void)wire_float(wire_get(params, "default_scale"), &scale);
	(void)snprintf(text, sizeof text, "%.*s:%.*s:%g ", (int)kind.len, (const char *)kind.data,
		(int)row.len, (const char *)row.data, scale);
	note(text);
}

static void answer(struct fake_call *call, const void *arg)
{
	(void)arg;
	fake_result(call);
	if (fake_is(call, "table.show")) {
		write_table(call->out);
	} else if (fake_is(call, "fetch")) {
		write_fetch(call);
	} else if (fake_is(call, "table.create")) {
		note_default(call->params);
		wire_write_map(call->out, 0);
	} else if (fake_is(call, "scan")) {
		uint64_t number = 99;
		uint64_t count = 99;
		char text[64];
		const struct wire_value shard = wire_get(call->params, "shard");
		if (wire_size(shard) == 2) {
			(void)wire_uint(wire_item(shard, 0), &number);
			(void)wire_uint(wire_item(shard, 1), &count);
		}
		(void)snprintf(text, sizeof text, "%u/%u ", (unsigned)number, (unsigned)count);
		note(text);
		write_scan(call->out, call->number);
	} else {
		wire_write_map(call->out, 0);
		call->close = true;
	}
}

static rep_client *connect_to(const struct fake_server *server)
{
	const struct rep_options options = {.address = server->path};
	rep_client *client = NULL;
	assert_int_equal(rep_connect(&options, &client, NULL), REP_OK);
	return client;
}

static enum rep_status scan_step(rep_client *client, struct rep_scan *scan, struct rep_error *err)
{
	return rep_scan_next(client, NULL, "ur", REP_DTYPE_TABLE, 0, scan, err);
}

static void a_shard_goes_with_each_step(void **state)
{
	(void)state;
	struct fake_server server;
	seen[0] = '\0';
	fake_server_start(&server, answer, NULL);
	server.feature = "scan.shard";
	rep_client *client = connect_to(&server);
	struct rep_scan scan = {.shard = 2, .shards = 5};
	unsigned steps = 0;
	do {
		assert_int_equal(scan_step(client, &scan, NULL), REP_OK);
		assert_int_equal(scan.shard, 2);
		assert_int_equal(scan.shards, 5);
		steps++;
	} while (scan.more);
	assert_int_equal(steps, 3);
	rep_scan_free(&scan);
	assert_int_equal(scan.shards, 0);
	rep_close(client);
	fake_server_stop(&server);
	assert_string_equal(seen, "2/5 2/5 2/5 ");
}

static void without_a_shard_nothing_is_needed(void **state)
{
	(void)state;
	struct fake_server server;
	seen[0] = '\0';
	fake_server_start(&server, answer, NULL);
	rep_client *client = connect_to(&server);
	struct rep_scan scan = {0};
	assert_int_equal(scan_step(client, &scan, NULL), REP_OK);
	rep_scan_free(&scan);
	rep_close(client);
	fake_server_stop(&server);
	assert_string_equal(seen, "99/99 ");
}

static void an_older_daemon_is_named(void **state)
{
	(void)state;
	struct fake_server server;
	seen[0] = '\0';
	fake_server_start(&server, answer, NULL);
	rep_client *client = connect_to(&server);
	struct rep_scan scan = {.shard = 0, .shards = 1};
	struct rep_error err = {0};
	assert_int_equal(scan_step(client, &scan, &err), REP_UNSUPPORTED);
	assert_non_null(strstr(err.text, "version 0.1.7"));
	assert_non_null(strstr(err.text, "'scan.shard'"));
	rep_scan_free(&scan);
	rep_close(client);
	fake_server_stop(&server);
	assert_string_equal(seen, ""); /* no scan was asked */
}

/* The daemon is upgraded while a client is connected: the client finds out by itself. */
static void a_newer_daemon_is_found_at_the_next_connection(void **state)
{
	(void)state;
	struct fake_server server;
	fake_server_start(&server, answer, NULL);
	rep_client *client = connect_to(&server);
	struct rep_scan scan = {.shard = 1, .shards = 2};
	assert_int_equal(scan_step(client, &scan, NULL), REP_UNSUPPORTED);
	assert_int_equal(rep_ping(client, NULL), REP_OK); /* and the connection ends */
	server.feature = "scan.shard";
	fake_server_await_end(&server);
	assert_int_equal(scan_step(client, &scan, NULL), REP_OK);
	rep_scan_free(&scan);
	rep_close(client);
	fake_server_stop(&server);
}

static void a_shard_that_there_is_not_is_refused(void **state)
{
	(void)state;
	struct fake_server server;
	fake_server_start(&server, answer, NULL);
	server.feature = "scan.shard";
	rep_client *client = connect_to(&server);
	static const uint32_t pairs[][2] = {{1, 0}, {1, 1}, {UINT32_MAX, 7}};
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		struct rep_scan scan = {.shard = pairs[i][0], .shards = pairs[i][1]};
		struct rep_error err = {0};
		assert_int_equal(scan_step(client, &scan, &err), REP_BAD_REQUEST);
		assert_non_null(strstr(err.text, "0 to shards - 1 allowed"));
		rep_scan_free(&scan);
	}
	rep_close(client);
	fake_server_stop(&server);
	assert_int_equal(server.requests, 0);
}

/* ---- default rows ---- */

static const uint64_t key = 1;

static enum rep_status fetch(rep_client *client, enum rep_missing first, enum rep_missing second,
	struct rep_error *err)
{
	uint8_t why[2] = {0};
	uint32_t rows[2] = {0};
	struct rep_part parts[2] = {
		{.table = "ur",
			.keys = rep_keys_u64(&key, 1),
			.missing = first,
			.rows = &rows[0],
			.rows_bytes = 4,
			.why = &why[0]},
		{.table = "ur",
			.keys = rep_keys_u64(&key, 1),
			.missing = second,
			.rows = &rows[1],
			.rows_bytes = 4,
			.why = &why[1]},
	};
	const enum rep_status status = rep_fetch(client, NULL, parts, 2, NULL, err);
	if (status == REP_OK) {
		/* The row of a key that was not found comes as it is. */
		assert_int_equal(parts[0].found_count, 0);
		assert_int_equal(rows[0], 1);
		assert_int_equal(why[1], 5);
	}
	return status;
}

static void each_part_says_what_it_wants(void **state)
{
	(void)state;
	struct fake_server server;
	seen[0] = '\0';
	fake_server_start(&server, answer, NULL);
	server.feature = "default_row";
	rep_client *client = connect_to(&server);
	assert_int_equal(fetch(client, REP_MISSING_ZERO, REP_MISSING_ZERO, NULL), REP_OK);
	assert_int_equal(fetch(client, REP_MISSING_DEFAULT, REP_MISSING_ZERO, NULL), REP_OK);
	rep_close(client);
	fake_server_stop(&server);
	assert_string_equal(seen, "[][][default][]");
}

static void a_fetch_without_it_needs_no_feature(void **state)
{
	(void)state;
	struct fake_server server;
	struct rep_error err = {0};
	fake_server_start(&server, answer, NULL);
	rep_client *client = connect_to(&server);
	assert_int_equal(fetch(client, REP_MISSING_ZERO, REP_MISSING_ZERO, NULL), REP_OK);
	assert_int_equal(server.requests, 1);
	assert_int_equal(fetch(client, REP_MISSING_ZERO, REP_MISSING_DEFAULT, &err),
		REP_UNSUPPORTED);
	assert_non_null(strstr(err.text, "version 0.1.7"));
	assert_non_null(strstr(err.text, "'default_row'"));
	assert_int_equal(server.requests, 1);
	rep_close(client);
	fake_server_stop(&server);
}

static void what_there_is_not_is_not_sent(void **state)
{
	(void)state;
	struct fake_server server;
	struct rep_error err = {0};
	fake_server_start(&server, answer, NULL);
	server.feature = "default_row";
	rep_client *client = connect_to(&server);
	assert_int_equal(fetch(client, REP_MISSING_ZERO, (enum rep_missing)2, &err),
		REP_BAD_REQUEST);
	assert_non_null(strstr(err.text, "parts[1]: missing: 2 given"));
	assert_int_equal(fetch(client, (enum rep_missing) - 1, REP_MISSING_ZERO, &err),
		REP_BAD_REQUEST);
	rep_close(client);
	fake_server_stop(&server);
	assert_int_equal(server.requests, 0);
}

static enum rep_status create(rep_client *client, struct rep_table_spec spec, struct rep_error *err)
{
	memcpy(spec.name, "ur", 3);
	spec.entity = REP_USER;
	spec.kind = REP_UR;
	spec.dim = 2;
	return rep_table_create(client, "r", &spec, err);
}

static void a_default_goes_with_its_row(void **state)
{
	(void)state;
	struct fake_server server;
	seen[0] = '\0';
	fake_server_start(&server, answer, NULL);
	server.feature = "default_row";
	rep_client *client = connect_to(&server);
	assert_int_equal(create(client, (struct rep_table_spec){0}, NULL), REP_OK);
	assert_int_equal(create(client, (struct rep_table_spec){.default_kind = REP_DEFAULT_ZEROS},
				 NULL),
		REP_OK);
	assert_int_equal(create(client, (struct rep_table_spec){.default_kind = REP_DEFAULT_MEAN},
				 NULL),
		REP_OK);
	assert_int_equal(create(client,
				 (struct rep_table_spec){.default_kind = REP_DEFAULT_ROW,
					 .dtype = REP_I8,
					 .default_row = "ab",
					 .default_row_bytes = 2,
					 .default_scale = 0.5f},
				 NULL),
		REP_OK);
	rep_close(client);
	fake_server_stop(&server);
	assert_string_equal(seen, "::-1 zeros::-1 mean::-1 row:ab:0.5 ");
}

static void half_a_default_is_refused(void **state)
{
	(void)state;
	const struct rep_table_spec wrong[] = {
		{.default_kind = REP_DEFAULT_ROW},
		{.default_kind = REP_DEFAULT_ROW, .default_row = "ab"},
		{.default_kind = REP_DEFAULT_ROW, .default_row_bytes = 2},
		{.default_kind = REP_DEFAULT_ZEROS, .default_row = "ab", .default_row_bytes = 2},
		{.default_row = "ab", .default_row_bytes = 2},
		{.default_kind = REP_DEFAULT_MEAN, .default_scale = 1},
		{.default_kind = (enum rep_default)4},
		{.default_kind = (enum rep_default) - 1},
	};
	struct fake_server server;
	fake_server_start(&server, answer, NULL);
	server.feature = "default_row";
	rep_client *client = connect_to(&server);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct rep_error err = {0};
		assert_int_equal(create(client, wrong[i], &err), REP_BAD_REQUEST);
		assert_non_null(strstr(err.text, "rep_table_spec: default_"));
	}
	rep_close(client);
	fake_server_stop(&server);
	assert_int_equal(server.requests, 0);
}

static void an_older_daemon_gets_no_table_with_a_default(void **state)
{
	(void)state;
	struct fake_server server;
	struct rep_error err = {0};
	fake_server_start(&server, answer, NULL);
	rep_client *client = connect_to(&server);
	const struct rep_table_spec spec = {.default_kind = REP_DEFAULT_ZEROS};
	assert_int_equal(create(client, spec, &err), REP_UNSUPPORTED);
	assert_non_null(strstr(err.text, "'default_row'"));
	assert_int_equal(create(client, (struct rep_table_spec){0}, NULL), REP_OK);
	rep_close(client);
	fake_server_stop(&server);
	assert_int_equal(server.requests, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_shard_goes_with_each_step),
		cmocka_unit_test(without_a_shard_nothing_is_needed),
		cmocka_unit_test(an_older_daemon_is_named),
		cmocka_unit_test(a_newer_daemon_is_found_at_the_next_connection),
		cmocka_unit_test(a_shard_that_there_is_not_is_refused),
		cmocka_unit_test(each_part_says_what_it_wants),
		cmocka_unit_test(a_fetch_without_it_needs_no_feature),
		cmocka_unit_test(what_there_is_not_is_not_sent),
		cmocka_unit_test(a_default_goes_with_its_row),
		cmocka_unit_test(half_a_default_is_refused),
		cmocka_unit_test(an_older_daemon_gets_no_table_with_a_default),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
