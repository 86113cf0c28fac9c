/* acceptor.h - takes connections from one listening socket and hands them to the loops; those at TLS to the
 * handshakes before.
 *
 * Each connection goes to the loop that has the fewest. (It was also measured what happens when
 * all loops poll the one socket: one of them gets nearly all connections.)
 *
 * Threads: only the thread of the uv loop that it was started on. Any thread may read the two
 * counters.
 */
#ifndef DAEMON_NET_ACCEPTOR_H
#define DAEMON_NET_ACCEPTOR_H

#include "daemon/net/admit.h"
#include "daemon/net/handshake.h"
#include "daemon/net/listener.h"

#include <uv.h>

struct acceptor {
	uv_poll_t poll;
	uv_timer_t pause;         /* runs while nothing is accepted, since nothing can be */
	struct listener listener; /* owned */
	struct admission to;
	struct handshakes *handshakes; /* borrowed; of a listener for TLS */
	/* Kept so that one descriptor is left when all others are in use: see
	 * refuse_without_descriptor. -1: it could not be opened. */
	int spare_fd;
	uint64_t warned_ms; /* when an event last said that connections are refused; 0: never */
	_Atomic uint64_t accepted;
	_Atomic uint64_t refused;
};

/* The acceptor owns the listener afterwards, also after a failure. Errors: IO, NO_MEMORY. */
enum status acceptor_start(struct acceptor *acceptor, uv_loop_t *uv, struct listener *listener);

/* Closes the socket. Its handles are closed when the loop has run once more. A second call does
 * nothing. */
void acceptor_stop(struct acceptor *acceptor);

#endif
