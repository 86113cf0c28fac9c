/* test_client_trace.c - what a call belongs to is told to the daemon with each request, unless it is too old for
 * that. */
#include "repstore.h"
#include "repstore_release.h"
#include "tests/unit/client/fake_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_BYTES = 512 };

/* Notes each request as "METHOD:TRACE/COUNT ", with the number of its params, of which one may be timeout_ms. */
static void note(struct fake_call *call, const void *arg)
{
	char *const *log = arg;
	const size_t used = strlen(*log);
	struct wire_bytes trace = {0};
	(void)wire_str(wire_get(call->params, "trace"), &trace);
	(void)snprintf(*log + used, TEXT_BYTES - used, "%.*s:%.*s/%zu ", (int)call->method.len,
		(const char *)call->method.data, (int)trace.len, (const char *)trace.data,
		wire_size(call->params));
	fake_result(call);
	wire_write_map(call->out, 0);
}

static void any(rep_client *client, const void *params, size_t len)
{
	void *result = NULL;
	size_t result_len = 0;
	assert_int_equal(rep_call(client, "any", params, len, &result, &result_len, NULL), REP_OK);
	free(result);
}

/* Asks in each of the ways in which requests are written. */
static void ask(rep_client *client)
{
	assert_int_equal(rep_ping(client, NULL), REP_OK);
	assert_int_equal(rep_release_seal(client, "r", NULL), REP_OK);
	any(client, NULL, 0);
	any(client, "\x81\xa1k\x07", 4);
	any(client, "\xde\x00\x01\xa1k\x07", 6);
	any(client, "\xdf\x00\x00\x00\x01\xa1k\x07", 8);
	any(client, "\x81\xa5trace\xa1x", 9); /* its own */
}

static void check(const char *feature, const char *trace, const char *told)
{
	char log[TEXT_BYTES] = "";
	char *arg = log;
	struct fake_server server;
	fake_server_start(&server, note, &arg);
	server.feature = feature;
	const struct rep_options options = {.address = server.path, .client = "test"};
	rep_client *client = NULL;
	assert_int_equal(rep_connect(&options, &client, NULL), REP_OK);
	assert_int_equal(rep_set_trace(client, trace, NULL), REP_OK);
	ask(client);
	assert_int_equal(rep_set_trace(client, NULL, NULL), REP_OK);
	assert_int_equal(rep_ping(client, NULL), REP_OK);
	rep_close(client);
	fake_server_stop(&server);
	assert_string_equal(log, told);
}

static void each_request_has_it(void **state)
{
	(void)state;
	check("trace", "00-a-b-01",
		"ping:00-a-b-01/2 release.seal:00-a-b-01/2 any:00-a-b-01/1 any:00-a-b-01/2 "
		"any:00-a-b-01/2 any:00-a-b-01/2 any:x/1 ping:/1 ");
}

static void a_daemon_that_is_too_old_is_not_told(void **state)
{
	(void)state;
	check(NULL, "00-a-b-01",
		"ping:/1 release.seal:/1 any:/0 any:/1 any:/1 any:/1 any:x/1 ping:/1 ");
}

static void what_is_too_long_is_refused(void **state)
{
	(void)state;
	char text[65];
	struct fake_server server;
	struct rep_error err;
	rep_client *client = NULL;
	memset(text, 'x', sizeof text);
	text[64] = '\0';
	fake_server_start(&server, NULL, NULL);
	struct rep_options options = {.address = server.path, .client = text};
	assert_int_equal(rep_connect(&options, &client, &err), REP_BAD_REQUEST);
	assert_string_equal(err.text, "client: 64 bytes given, at most 63 allowed");
	options.client = text + 1;
	assert_int_equal(rep_connect(&options, &client, NULL), REP_OK);
	assert_int_equal(rep_set_trace(client, text + 64 - 55, NULL), REP_OK);
	assert_int_equal(rep_set_trace(client, text + 64 - 56, &err), REP_BAD_REQUEST);
	assert_string_equal(err.text, "trace: 56 bytes given, at most 55 allowed");
	rep_close(client);
	fake_server_stop(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_request_has_it),
		cmocka_unit_test(a_daemon_that_is_too_old_is_not_told),
		cmocka_unit_test(what_is_too_long_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
