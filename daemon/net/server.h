/* server.h - the network side: listeners, loops and lanes, started and stopped together.
 *
 *   server_open -> uv_run of the caller's loop -> server_stop -> on_stopped -> the caller's
 *   loop runs dry -> server_close
 *
 * Threads: that of the caller's loop.
 */
#ifndef DAEMON_NET_SERVER_H
#define DAEMON_NET_SERVER_H

#include "daemon/net/listener.h"
#include "daemon/net/net.h"

#include <uv.h>

enum {
	SERVER_LISTENERS_MAX = 16,
	SERVER_WORKERS_MAX = 256,
};

struct server;

struct server_options {
	uv_loop_t *uv;              /* borrowed: accepts run here */
	struct listener *listeners; /* taken over, also on failure */
	unsigned listener_count;    /* 1..SERVER_LISTENERS_MAX */
	unsigned workers;           /* 1..SERVER_WORKERS_MAX */
	unsigned pool;              /* threads, 1..LANE_THREADS_MAX */
	unsigned search_threads;    /* 1..LANE_THREADS_MAX */
	unsigned search_waiting;    /* searches that wait for them; beyond, BUSY */
	struct net_limits limits;
	size_t request_memory_bytes;
	size_t reply_memory_bytes;
	struct service *service; /* borrowed; server_open sets its net_stats */
	void (*on_event)(void *arg, const char *line);
	void *on_event_arg;
};

/* Errors: IO, NO_MEMORY. After a failure *out is NULL, or a server with nothing but closing
 * handles: the caller's loop has to run dry before server_close. */
enum status server_open(const struct server_options *options, struct server **out,
	struct error *err);

/* Accepts no more; requests in flight are answered, within the grace. `on_stopped` is called
 * on the caller's loop when every connection is closed. Once. */
void server_stop(struct server *server, void (*on_stopped)(void *arg), void *arg);

/* Whether every worker's loop has turned within the last `within_ms`. */
bool server_is_alive(const struct server *server, uint64_t within_ms);

/* Ends what is left and frees it; the caller's loop must have run dry. INTERNAL: a loop was
 * left with an open handle. NULL is fine. */
enum status server_close(struct server *server);

#endif
