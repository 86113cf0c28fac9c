/* session.h - one connection.
 *
 * The acceptor makes it, and gives it to one loop, where it stays. loop_release frees it when its
 * handle is closed and none of its requests is in flight. session.c draws the path of a request.
 *
 * Threads: any may call session_new, may call session_free if no loop has the session, and may read
 * `gone`. All else is for the loop's thread.
 */
#ifndef DAEMON_NET_SESSION_H
#define DAEMON_NET_SESSION_H

#include "daemon/access/role.h"
#include "daemon/net/admit.h"
#include "daemon/net/lane.h"
#include "daemon/net/loop.h"
#include "daemon/net/read_buffer.h"
#include "daemon/net/request.h"
#include "daemon/net/user.h"
#include "schema/link.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum {
	/* One turn ends with the first of these. Then the other connections of the loop run. */
	SESSION_TURN_MESSAGES = 256,
	SESSION_TURN_NS = 200 * 1000,
	SESSION_TURN_BYTES = 256 << 10,
	/* All sessions of a user together begin nothing more in a turn, while there are other users. */
	SESSION_USER_TURN_NS = 500 * 1000,
	/* How long a peer that was refused has time to read why. */
	SESSION_LINGER_MS = 2000,
	/* How much the kernel may hold of a Unix socket, so that one call sends a whole reply. */
	SESSION_SOCKET_BYTES = 4 << 20,
};

/* The work done for the session in one iteration of its loop. */
struct session_turn {
	uint64_t turn; /* which iteration: loop->turn of then */
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
	struct link all;     /* in loop->sessions, before that in loop->arrivals */
	struct link ready;   /* in loop->ready, or alone */
	struct link waiting; /* in loop->waiting, or alone */
	struct loop *loop;   /* borrowed */

	struct user *user;         /* owned: one of its connections */
	struct peer_identity peer; /* owned; who that is */
	uint64_t access_version;   /* of the rules that gave `roles`; 0: none have */
	unsigned roles;            /* of enum role */
	struct tls *tls;           /* owned; NULL: the connection is plain */
	uint64_t tls_generation;   /* of the credentials by which its peer was found valid */
	struct budget_holder requests;
	struct budget_holder replies;
	struct read_buffer in;
	struct session_turn turn;
	const struct method
		*method; /* of its last request; NULL: there was none, or none of that name */
	/* When bytes came in last; at first when it was opened. By then all whole messages in the buffer had come,
	 * since a session that has one does not read. */
	uint64_t read_ns;
	uint64_t partial_since_ms; /* since when a message is half sent; 0: none is */
	uint64_t waiting_since_ms; /* since when a message waits for memory; 0: none does */
	/* The session was refused, and until then its bytes are read and dropped. 0: it was not. */
	uint64_t linger_until_ms;
	uint64_t unsent_since_ms; /* since when it is measured how fast the peer reads */
	uint64_t taken_then;      /* what it had read of `queued` at that time */
	uint64_t queued;          /* all bytes that were ever given to uv_write */
	/* Replies that wait for the socket, in their order: uv_write has a piece of the first. Owned;
	 * `last` is undefined while there is none. */
	struct queued *first;
	struct queued *last;
	size_t unsent;      /* bytes of these */
	unsigned in_flight; /* requests in lanes or on their way back */
	/* What it asks of each lane; guarded by the locks of the lanes. */
	struct turns_member turns[LANE_COUNT];
	int fd; /* the socket until the handle owns it, then -1 */
	bool tcp;
	bool reading;
	bool held;    /* the first message is a write that waits for those of other users */
	bool starved; /* the read buffer has no whole message */
	bool deaf;    /* bytes that are buffered or still come are ignored */
	bool ending;  /* the session closes when all is answered and sent */
	bool closing;
	bool closed;
	bool greets;          /* the last request is a hello */
	bool is_local_reader; /* its process reads the data folder itself: a hello said so */
	char client[LIMIT_CLIENT_BYTES + 1]; /* what its hello said; printable */
	atomic_bool gone;                    /* nobody reads what is answered; for other threads */
};

/* The session owns what has arrived. NULL: there is no memory, and that is closed. */
struct session *session_new(struct net *net, struct arrival *arrival);

/* Begins to read. The session is on its loop. */
void session_open(struct session *session);

/* Sends the answer of a request that has come back, and frees the request. The session may be freed
 * too. */
void session_finish(struct session *session, struct request *request);

/* Goes on with the messages that are in the read buffer. */
void session_continue(struct session *session);

/* The same, for a session that waited for memory. */
void session_retry(struct session *session);

/* Notes whether the peer has closed its socket, after which it cannot read either. Only a Unix socket tells:
 * over TCP that is known once something is sent, since a peer may have ended its requests alone. */
void session_note_hang_up(struct session *session);

/* Checks its time-outs. To be called once a second. */
void session_tick(struct session *session, uint64_t now_ms);

/* The first message has waited too long, for its own rest or for memory. A whole message is refused
 * with an error, and the session goes on. Else the session is closed. */
void session_give_up(struct session *session);

/* Takes no more requests, answers those in flight, then closes. */
void session_stop(struct session *session);

/* Closes at once. A second call does nothing. */
void session_close(struct session *session);

/* The same, and counts why. */
void session_close_for(struct session *session, enum closing why);

void session_free(struct session *session);

#endif
