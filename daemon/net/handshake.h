/* handshake.h - connections whose peers have not shown yet who they are.
 *
 * The daemon signs before it has seen a peer's certificate, so anybody can make it work: 4 ms for each
 * connection with a key of RSA-4096, 0.02 with P-256. So that is done by threads of their own, which
 * `handshakes` are. None of them waits for a peer: one that says nothing holds memory, until its
 * time is over or others come after it, and no thread.
 *
 *   handshakes_add -> bell -> a thread: recv, tls_handshake, send ... -> admit -> a loop
 *                                                               \-> refused: an alert, then closed
 *
 * Threads: that of the acceptors.
 */
#ifndef DAEMON_NET_HANDSHAKE_H
#define DAEMON_NET_HANDSHAKE_H

#include "daemon/net/admit.h"
#include "daemon/store/system/lock.h"
#include "schema/link.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { HANDSHAKES_THREADS_MAX = 64 };

struct handshakes_options {
	struct admission to;
	unsigned threads; /* 1..HANDSHAKES_THREADS_MAX */
	unsigned timeout_ms;
};

struct handshaker {
	struct handshakes *of; /* borrowed */
	pthread_t thread;
	bool is_running;
	int epoll;
	int bell;         /* an eventfd: there are arrivals, or it is to stop */
	struct lock lock; /* guards the next two */
	struct link arrivals;
	bool stop_asked;
	atomic_uint under_way; /* those that arrived and are not over */
	/* The thread's own. Each is in the order in which their time is over. */
	struct link open;
	struct link over;
	unsigned over_count;
};

struct handshakes {
	struct handshakes_options options;
	unsigned open_max; /* of one thread */
	unsigned count;
	bool is_stopped;
	struct handshaker of_threads[HANDSHAKES_THREADS_MAX];
};

/* Errors: NO_MEMORY, IO; handshakes_stop ends what was started. */
enum status handshakes_start(struct handshakes *handshakes,
	const struct handshakes_options *options, struct error *err);

/* The socket is no longer the caller's. Errors: NO_MEMORY, after which it is closed. */
enum status handshakes_add(struct handshakes *handshakes, int fd);

/* Ends the threads; none gives a loop anything afterwards. A zeroed one, or a second call, is fine. */
void handshakes_stop(struct handshakes *handshakes);

/* How many are under way. Any thread. */
unsigned handshakes_under_way(struct handshakes *handshakes);

#endif
