/* acceptor.h - takes connections from one listening socket and hands them to the loops.
 *
 * Each goes to the loop with the fewest. (Loops that poll one socket together were measured:
 * one of them gets nearly all.)
 *
 * Threads: that of the uv loop it was started on.
 */
#ifndef DAEMON_NET_ACCEPTOR_H
#define DAEMON_NET_ACCEPTOR_H

#include "daemon/net/listener.h"
#include "daemon/net/loop.h"

#include <uv.h>

struct acceptor {
	uv_poll_t poll;
	struct listener listener; /* owned */
	struct net *net;          /* borrowed */
	struct loop *loops;       /* borrowed */
	unsigned loop_count;
	int spare_fd; /* given up to accept and close when descriptors have run out */
	uint64_t warned_ms;
	_Atomic uint64_t accepted;
	_Atomic uint64_t refused;
};

/* Takes the listener over, also on failure. Errors: IO, NO_MEMORY. */
enum status acceptor_start(struct acceptor *acceptor, uv_loop_t *uv, struct listener *listener);

/* Closes the socket; the handle is closed when the loop has run once more. Twice is fine. */
void acceptor_stop(struct acceptor *acceptor);

#endif
