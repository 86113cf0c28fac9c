/* session.h - one connection.
 *
 * Made by the acceptor, it lives on one loop until its handle is closed and none of its
 * requests is in flight: then loop_release frees it. session.c has the life of a request.
 *
 * Threads: session_new and session_free of one that no loop has: any. `gone` may be read
 * by any. All else: the loop's.
 */
#ifndef DAEMON_NET_SESSION_H
#define DAEMON_NET_SESSION_H

#include "daemon/net/link.h"
#include "daemon/net/loop.h"
#include "daemon/net/read_buffer.h"
#include "daemon/net/request.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum {
	/* Requests that are away in lanes; the next ones stay in the socket. */
	SESSION_IN_FLIGHT_MAX = 64,
	/* While so much waits for the peer to read, nothing more is taken from it. */
	SESSION_UNSENT_BYTES = 256 << 10,
	/* One turn: then the other connections of the loop are served. */
	SESSION_TURN_MESSAGES = 256,
	SESSION_TURN_NS = 200 * 1000,
	SESSION_TURN_BYTES = 256 << 10,
	/* For a peer that was refused to read why. */
	SESSION_LINGER_MS = 2000,
	/* What the kernel may hold of a Unix socket: a reply leaves in one call. */
	SESSION_SOCKET_BYTES = 4 << 20,
};

/* What the session has had of the loop's iteration `turn`. */
struct session_turn {
	uint64_t turn;
	uint64_t ns;
	size_t bytes;
	unsigned messages;
};

struct session {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_pipe_t pipe;
		uv_tcp_t tcp;
	} uv;
	struct link all;
	struct link ready;
	struct link waiting;
	struct loop *loop; /* borrowed */

	struct read_buffer in;
	struct session_turn turn;
	uint64_t partial_since_ms; /* a message is half sent; 0: none */
	uint64_t waiting_since_ms; /* a message waits for memory; 0: none */
	uint64_t linger_until_ms;  /* was refused: its bytes are read and dropped; 0: no */
	uint64_t unsent_since_ms;  /* the peer has taken nothing since */
	size_t unsent_then;        /* as it was then */
	size_t unsent;             /* bytes given to uv_write */
	unsigned in_flight;
	uint64_t search_turn; /* of its last request in the search lane; under that lane's lock */
	int fd;               /* until the handle has it, else -1 */
	bool tcp;
	bool reading;
	bool starved; /* what is buffered is no whole message */
	bool deaf;    /* what is buffered or still comes is not looked at */
	bool ending;  /* closes when all is answered and sent */
	bool closing;
	bool closed;
	atomic_bool gone; /* as closing, for other threads */
};

/* Takes the socket over; NULL, and it is closed, when there is no memory. */
struct session *session_new(int fd, bool tcp);

/* Its loop has it: begins to read. */
void session_open(struct session *session);

/* One of its requests is back: answers it and frees it. */
void session_finish(struct session *session, struct request *request);

/* Goes on with what is buffered. */
void session_continue(struct session *session);

/* The same, for one that waited for memory. */
void session_retry(struct session *session);

/* Once a second. */
void session_tick(struct session *session, uint64_t now_ms);

/* Its message has waited too long, for its own rest or for memory: it is refused, and the session
 * closed unless the message is whole. */
void session_give_up(struct session *session);

/* Takes nothing more, answers what is in flight, then closes. */
void session_stop(struct session *session);

/* Closes at once. Twice is fine. */
void session_close(struct session *session);

void session_free(struct session *session);

#endif
