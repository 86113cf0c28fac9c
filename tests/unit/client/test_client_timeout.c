/* test_client_timeout.c - the daemon is told how long the client will wait, unless it waits without end or
 * the daemon does not know of it. */
#include "repstore.h"
#include "tests/unit/client/fake_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_BYTES = 256 };

/* Notes each request as "METHOD:TIMEOUT ", or "METHOD: " where none is told, and refuses it. */
static void note(struct fake_call *call, const void *arg)
{
	char *const *log = arg;
	const size_t used = strlen(*log);
	uint64_t told;
	if (!wire_uint(wire_get(call->params, "timeout_ms"), &told)) {
		(void)snprintf(*log + used, TEXT_BYTES - used, "%.*s: ", (int)call->method.len,
			(const char *)call->method.data);
	} else {
		(void)snprintf(*log + used, TEXT_BYTES - used, "%.*s:%llu ", (int)call->method.len,
			(const char *)call->method.data, (unsigned long long)told);
	}
	const struct error err = {.status = STATUS_TIMEOUT, .text = "not done in timeout_ms"};
	rpc_write_error(call->out, call->msgid, &err);
}

static void ask(rep_client *client)
{
	const uint64_t key = 1;
	const float row = 1;
	float score;
	const struct rep_keys keys = rep_keys_u64(&key, 1);
	struct rep_rows rows = {.keys = keys, .rows = &row, .rows_bytes = sizeof row};
	assert_int_equal(rep_ping(client, NULL), REP_TIMEOUT);
	assert_int_equal(rep_put(client, NULL, "t", &rows, NULL, NULL), REP_TIMEOUT);
	/* These take as long as the work does. */
	assert_int_equal(rep_release_publish(client, "r", NULL), REP_TIMEOUT);
	assert_int_equal(rep_release_rollback(client, NULL, NULL), REP_TIMEOUT);
	assert_int_equal(rep_release_seal(client, "r", NULL), REP_TIMEOUT);
	assert_int_equal(rep_merge(client, NULL, NULL), REP_TIMEOUT);
	const struct rep_scoring scoring = {.query = {.table = "t", .keys = keys},
		.in = "t",
		.keys = keys,
		.scores = &score};
	assert_int_equal(rep_score(client, NULL, &scoring, NULL, NULL), REP_TIMEOUT);
}

static void check(bool knows, unsigned timeout_ms, const char *told)
{
	char log[TEXT_BYTES] = "";
	char *arg = log;
	struct fake_server server;
	fake_server_start(&server, note, &arg);
	server.can_limit = knows;
	const struct rep_options options = {.address = server.path};
	rep_client *client = NULL;
	assert_int_equal(rep_connect(&options, &client, NULL), REP_OK);
	rep_set_timeout(client, timeout_ms);
	ask(client);
	rep_close(client);
	fake_server_stop(&server);
	assert_string_equal(log, told);
}

#define LONG "release.publish: release.rollback: release.seal: merge: "

static void a_part_less_is_told(void **state)
{
	(void)state;
	check(true, 16000, "ping:15000 put:15000 " LONG "score:15000 ");
}

static void at_most_what_is_allowed_is_told(void **state)
{
	(void)state;
	check(true, UINT32_MAX, "ping:86400000 put:86400000 " LONG "score:600000 ");
	check(true, 620000, "ping:581250 put:581250 " LONG "score:581250 ");
}

static void a_client_that_waits_without_end_limits_searches_alone(void **state)
{
	(void)state;
	check(true, 0, "ping: put: " LONG "score:600000 ");
}

static void a_daemon_that_does_not_know_of_it_is_told_nothing(void **state)
{
	(void)state;
	check(false, 16000, "ping: put: " LONG "score: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_part_less_is_told),
		cmocka_unit_test(at_most_what_is_allowed_is_told),
		cmocka_unit_test(a_client_that_waits_without_end_limits_searches_alone),
		cmocka_unit_test(a_daemon_that_does_not_know_of_it_is_told_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
