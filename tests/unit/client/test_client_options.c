/* test_client_options.c - other addresses, and calls that are interrupted. */
#include "repstore.h"
#include "tests/unit/client/fake_server.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { TIMEOUT_MS = 10000 };

static void answer_ping(struct fake_call *call, const void *arg)
{
	(void)arg;
	fake_result(call);
	wire_write_map(call->out, 0);
}

/* ---- other addresses ---- */

static void the_address_that_answers_is_used(void **state)
{
	(void)state;
	struct fake_server server;
	rep_client *client = NULL;
	struct rep_error err = {0};
	fake_server_start(&server, answer_ping, NULL);
	const char *const others[] = {"/nowhere/else", server.path, "/never"};
	struct rep_options options = {.address = "/nowhere", .others = others, .others_count = 3};
	assert_int_equal(rep_connect(&options, &client, &err), REP_OK);
	assert_int_equal(rep_ping(client, &err), REP_OK);
	rep_close(client);
	fake_server_stop(&server);
	/* Nobody is there any more: the last one that was tried is named. */
	assert_int_equal(rep_connect(&options, &client, &err), REP_IO);
	assert_non_null(strstr(err.text, "/never"));
}

static void another_daemon_goes_on(void **state)
{
	(void)state;
	struct fake_server first;
	struct fake_server second;
	rep_client *client = NULL;
	fake_server_start(&first, answer_ping, NULL);
	fake_server_start(&second, answer_ping, NULL);
	const char *const others[] = {second.path};
	const struct rep_options options = {.address = first.path,
		.others = others,
		.others_count = 1};
	assert_int_equal(rep_connect(&options, &client, NULL), REP_OK);
	assert_int_equal(rep_ping(client, NULL), REP_OK);
	assert_int_equal(second.requests, 0);
	fake_server_hang_up(&first);
	assert_int_equal(rep_ping(client, NULL), REP_OK);
	rep_close(client);
	fake_server_stop(&first);
	fake_server_stop(&second);
	assert_int_equal(second.requests, 1);
}

/* ---- interruptions ---- */

static atomic_bool was_signalled;

static void on_signal(int number)
{
	(void)number;
	atomic_store(&was_signalled, true);
}

static bool ask(void *context)
{
	unsigned *asked = context;
	(*asked)++;
	return atomic_load(&was_signalled);
}

/* Sends the signal to the thread that waits, and never answers the first request. */
static void answer_with_a_signal(struct fake_call *call, const void *arg)
{
	const pthread_t *waits = arg;
	if (call->number == 0) {
		pthread_kill(*waits, SIGUSR1);
	} else {
		answer_ping(call, NULL);
	}
}

static void a_call_that_is_interrupted_ends(void **state)
{
	(void)state;
	struct fake_server server;
	rep_client *client = NULL;
	struct rep_error err = {0};
	unsigned asked = 0;
	pthread_t self = pthread_self();
	const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	sigaction(SIGUSR1, &action, NULL);
	fake_server_start(&server, answer_with_a_signal, &self);
	const struct rep_options options = {.address = server.path,
		.timeout_ms = TIMEOUT_MS,
		.interrupted = ask,
		.interrupted_context = &asked};
	assert_int_equal(rep_connect(&options, &client, NULL), REP_OK);
	rep_set_timeout(client, 0); /* nothing else would end it */
	assert_int_equal(rep_ping(client, &err), REP_CLOSED);
	assert_non_null(strstr(err.text, "interrupted"));
	assert_true(asked > 0);
	/* It was not sent again, and the client goes on. */
	atomic_store(&was_signalled, false);
	assert_int_equal(rep_ping(client, &err), REP_OK);
	rep_close(client);
	fake_server_stop(&server);
	assert_int_equal(server.requests, 2);
}

/* ---- looking for answers ---- */

static void a_client_that_looks_gets_the_same_answers(void **state)
{
	(void)state;
	enum { CALLS = 200 };
	struct fake_server server;
	rep_client *client = NULL;
	struct rep_error err = {0};
	fake_server_start(&server, answer_ping, NULL);
	struct rep_options options = {.address = server.path, .spin_us = 10001};
	assert_int_equal(rep_connect(&options, &client, &err), REP_BAD_REQUEST);
	assert_non_null(strstr(err.text, "spin_us: 10001 given, at most 10000 allowed"));
	options.spin_us = 100;
	assert_int_equal(rep_connect(&options, &client, NULL), REP_OK);
	for (unsigned i = 0; i < CALLS; i++) {
		assert_int_equal(rep_ping(client, NULL), REP_OK);
	}
	rep_close(client);
	fake_server_stop(&server);
	assert_int_equal(server.requests, CALLS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_address_that_answers_is_used),
		cmocka_unit_test(another_daemon_goes_on),
		cmocka_unit_test(a_call_that_is_interrupted_ends),
		cmocka_unit_test(a_client_that_looks_gets_the_same_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
