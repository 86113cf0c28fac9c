/* client_fixture.h - a fake daemon and a client that is connected to it.
 *
 * What a call here cannot do fails the test.
 */
#ifndef TESTS_UNIT_CLIENT_CLIENT_FIXTURE_H
#define TESTS_UNIT_CLIENT_CLIENT_FIXTURE_H

#include "repstore.h"
#include "tests/unit/client/fake_server.h"

struct client_fixture {
	struct fake_server server;
	rep_client *client; /* owned */
};

/* Starts the daemon, connects and returns the client. Requests time out after ten seconds, so a
 * test that hangs fails. */
rep_client *client_fixture_begin(struct client_fixture *fixture, fake_answer *answer,
	const void *arg);
/* The same with other options; their address is not used. */
rep_client *client_fixture_begin_with(struct client_fixture *fixture, fake_answer *answer,
	const void *arg, struct rep_options options);

/* Closes the client and waits for the daemon's thread: what the daemon counted may be read now. */
void client_fixture_end(struct client_fixture *fixture);

#endif
