/* loop.h - a worker: one thread, one uv_loop_t, and the connections that live there.
 *
 * From outside things come in through one locked inbox and a uv_async_t: new connections
 * from the acceptor, requests that come back from lanes, and the word to stop.
 *
 * Threads: loop_add, loop_return, loop_stop and the counters from any; all else belongs to
 * the loop's thread.
 */
#ifndef DAEMON_NET_LOOP_H
#define DAEMON_NET_LOOP_H

#include "daemon/net/counter.h"
#include "daemon/net/link.h"
#include "daemon/net/request.h"
#include "schema/status.h"
#include "schema/wire.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct method;
struct net;
struct session;

enum {
	LOOP_TICK_MS = 1000, /* time-outs and the heartbeat */
	LOOP_RETRY_MS = 5,   /* connections that wait for request memory try again */
};

struct loop_figures {
	_Atomic uint64_t bytes_in;
	_Atomic uint64_t bytes_out;
	_Atomic uint64_t *calls;  /* [method_count], owned */
	_Atomic uint64_t *errors; /* [method_count], within `calls` */
};

struct loop {
	uv_loop_t uv;
	uv_async_t wake;
	uv_timer_t tick;
	uv_timer_t retry; /* runs while `waiting` has members */
	uv_idle_t resume; /* runs while `ready` has members */
	uv_check_t turn_over;
	struct link sessions;
	struct link ready;   /* have used up their turn and have more to parse */
	struct link waiting; /* for request memory, first come first served */

	struct net *net; /* borrowed */
	void (*on_end)(void *arg);
	void *on_end_arg;
	pthread_t thread;

	pthread_mutex_t lock; /* of the inbox: */
	struct link arrivals;
	struct request_queue returns;
	bool stop_asked;

	struct wire_writer reply; /* owned: where inline replies are made, one session at a time */
	size_t reply_reserved;    /* of the reply budget, for `reply` */
	uint8_t *spare;           /* owned: the read buffer that no session has now */
	uint64_t turn;            /* grows at every iteration */
	uint64_t stop_at_ms;      /* when the grace ends */
	bool stopping;
	bool ended; /* uv_loop_close was 0 */

	struct loop_figures figures;
	_Atomic unsigned connections;  /* the acceptor adds, the loop subtracts */
	_Atomic uint64_t heartbeat_ms; /* uv_hrtime of the last tick */
};

/* Starts the thread. `on_end` is called from it as the last thing that it does.
 * Errors: NO_MEMORY, IO. */
enum status loop_start(struct loop *loop, struct net *net, void (*on_end)(void *), void *arg);

/* Takes the session over. */
void loop_add(struct loop *loop, struct session *session);

/* A request comes back from its lane. */
void loop_return(struct request *request);

/* Requests in flight are finished and answered, within the grace; then the thread ends. */
void loop_stop(struct loop *loop);

/* Waits for the thread. STATUS_INTERNAL if a handle was left open. A zeroed loop is fine. */
enum status loop_join(struct loop *loop);

/* ---- for sessions, on the loop's thread ---- */

/* A call has ended so. */
void loop_count_call(struct loop *loop, const struct method *method, enum status status);

/* Continues the session in the next iteration, after others had their turn. */
void loop_make_ready(struct loop *loop, struct session *session);

/* Continues the session when there may be request memory again. */
void loop_make_wait(struct loop *loop, struct session *session);

/* The session is closed and free of requests: it is freed. */
void loop_release(struct loop *loop, struct session *session);

#endif
