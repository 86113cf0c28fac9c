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

static void answer(struct fake_call *call, const void *arg)
{
	(void)arg;
	fake_result(call);
	if (fake_is(call, "table.show")) {
		write_table(call->out);
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
	assert_int_equal(server.requests, 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_shard_goes_with_each_step),
		cmocka_unit_test(without_a_shard_nothing_is_needed),
		cmocka_unit_test(an_older_daemon_is_named),
		cmocka_unit_test(a_newer_daemon_is_found_at_the_next_connection),
		cmocka_unit_test(a_shard_that_there_is_not_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
