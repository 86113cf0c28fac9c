/* server.h - all that serves the network: listeners, loops and lanes.
 *
 *   server_open -> uv_run of the caller's loop -> server_stop -> on_stopped -> the caller's
 *   loop runs dry -> server_close
 *
 * Threads: that of the caller's loop.
 */
#ifndef DAEMON_NET_SERVER_H
#define DAEMON_NET_SERVER_H

#include "daemon/net/handshake.h"
#include "daemon/net/listener.h"
#include "daemon/net/net.h"

#include <uv.h>

enum {
	SERVER_LISTENERS_MAX = 16,
	SERVER_WORKERS_MAX = 256,
	/* For `spare`: while they wait they take some KiB each. */
	SERVER_SPARE = 32,
};

struct server;
struct stats_sources;

/* Memory of large requests and replies, of all connections. */
struct server_memory {
	size_t request_bytes;
	size_t reply_bytes;
	/* Of each of the two: for the daemon's own user, and never so much that a message does not
	 * fit. */
	size_t kept_bytes;
};

struct server_options {
	uv_loop_t *uv;              /* borrowed: connections are accepted here */
	struct listener *listeners; /* the server owns them afterwards, also after a failure */
	unsigned listener_count;    /* 1..SERVER_LISTENERS_MAX */
	unsigned workers;           /* 1..SERVER_WORKERS_MAX */
	unsigned pool;              /* threads, 1..LANE_THREADS_MAX */
	unsigned search_threads;    /* 1..LANE_THREADS_MAX */
	unsigned search_waiting;    /* how many searches may wait for them; others are BUSY */
	unsigned spare;             /* threads that pool and search have besides (lane.h) */
	struct net_limits limits;
	/* Becomes the server's, also after a failure. NULL: no listener speaks TLS. */
	struct tls_context *tls;
	unsigned handshakes; /* threads, 1..HANDSHAKES_THREADS_MAX */
	unsigned handshake_timeout_ms;
	struct server_memory memory;
	struct service *service; /* borrowed; server_open sets its net_stats */
	struct access *access;   /* borrowed: who may call which method */
	void (*on_event)(void *arg, const char *line);
	void *on_event_arg;
};

/* Errors: IO, NO_MEMORY. After a failure *out is NULL, or a server whose handles are closing: the
 * caller runs its loop until no handle is left, then calls server_close. */
enum status server_open(const struct server_options *options, struct server **out,
	struct error *err);

/* Accepts no more connections. Requests in flight are answered if they end within the grace.
 * `on_stopped` is called once, on the caller's loop, when every connection is closed; from then on nobody
 * reads server_stats. A second call does nothing. */
void server_stop(struct server *server, void (*on_stopped)(void *arg), void *arg);

/* What the threads of the server have counted. It may be read until `on_stopped` has returned. */
const struct stats_sources *server_stats(const struct server *server);

/* Takes other limits while it runs. Spinning stays as it is. The thread of the caller's loop. */
void server_retune(struct server *server, const struct net_limits *limits,
	const struct server_memory *memory);

/* Was it opened with a certificate? */
bool server_has_tls(const struct server *server);

/* Takes another certificate, authority and list of revoked ones: for new connections, and for each of the
 * others at its next request. The server was opened with one. Any thread. */
void server_replace_tls(struct server *server, struct tls_context *tls);

/* Whether the loop of every worker has had a tick within the last `within_ms`. */
bool server_is_alive(const struct server *server, uint64_t within_ms);

/* Ends the lanes and frees the server. The caller's loop must have run until no handle was left.
 * INTERNAL: a worker has left a handle open. NULL is fine. */
enum status server_close(struct server *server);

#endif
