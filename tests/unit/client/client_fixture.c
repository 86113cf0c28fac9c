/* client_fixture.c - starts, connects, ends. */
#include "tests/unit/client/client_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { TIMEOUT_MS = 10000 };

rep_client *client_fixture_begin_with(struct client_fixture *fixture, fake_answer *answer,
	const void *arg, struct rep_options options)
{
	struct rep_error err = {0};
	fixture->client = NULL;
	fake_server_start(&fixture->server, answer, arg);
	options.address = fixture->server.path;
	if (rep_connect(&options, &fixture->client, &err) != REP_OK) {
		fail_msg("connect: %s", err.text);
	}
	return fixture->client;
}

rep_client *client_fixture_begin(struct client_fixture *fixture, fake_answer *answer,
	const void *arg)
{
	return client_fixture_begin_with(fixture, answer, arg,
		(struct rep_options){.connect_timeout_ms = TIMEOUT_MS, .timeout_ms = TIMEOUT_MS});
}

void client_fixture_end(struct client_fixture *fixture)
{
	rep_close(fixture->client);
	fixture->client = NULL;
	fake_server_stop(&fixture->server);
}
