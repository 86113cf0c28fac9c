/* fake_server.h - a daemon for tests of the client: says what the test wants, right or wrong.
 *
 * One thread serves one connection after another on a socket in a folder of its own. It answers
 * hello by itself and gives every other request to the test's function.
 */
#ifndef TESTS_UNIT_CLIENT_FAKE_SERVER_H
#define TESTS_UNIT_CLIENT_FAKE_SERVER_H

#include "schema/rpc.h"
#include "schema/wire.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake_call {
	uint32_t msgid;
	struct wire_bytes method;
	struct wire_value params;
	struct wire_writer *out; /* what is written here is sent afterwards, whatever it is */
	unsigned number;         /* of this request, from 0, over all connections */
	unsigned connection;     /* from 0 */
	bool slow;               /* set: `out` is sent byte by byte, 5 ms apart */
	bool close;              /* set: the connection is closed once `out` is sent */
};

/* Runs on the server's thread. */
typedef void fake_answer(struct fake_call *call, const void *arg);

struct fake_server {
	pthread_t thread;
	int listener;
	char folder[64];
	char path[96];
	fake_answer *answer;
	const void *arg;
	uint64_t protocol;   /* what hello says; 1 */
	bool can_limit;      /* hello says that it knows timeout_ms; true */
	atomic_int serving;  /* the socket of the connection; -1: none */
	const char *feature; /* and this, too; NULL: nothing else */
	atomic_uint requests;
	atomic_uint connections; /* that have ended */
};

void fake_server_start(struct fake_server *server, fake_answer *answer, const void *arg);
/* Waits until the client has left. */
void fake_server_stop(struct fake_server *server);
/* Ends the connection that is being served, and takes no other. */
void fake_server_hang_up(struct fake_server *server);

/* Waits until the server has ended its first connection. */
void fake_server_await_end(struct fake_server *server);

/* Begins a response whose result the caller writes. */
void fake_result(struct fake_call *call);
bool fake_is(const struct fake_call *call, const char *method);
/* How many params it has beside timeout_ms. */
size_t fake_params(const struct fake_call *call);

#endif
