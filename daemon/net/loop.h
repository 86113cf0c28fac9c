/* loop.h - a worker: one thread, one uv_loop_t, and the connections that live there.
 *
 * Other threads put things into an inbox, which has a lock, and wake the loop by a uv_async_t. They
 * put there: new connections from the acceptor, requests that come back from lanes, and the order
 * to stop.
 *
 * Threads: any may call loop_add, loop_return and loop_stop, and read the counters. All else is for
 * the loop's thread alone; loop_assert_here asserts that.
 */
#ifndef DAEMON_NET_LOOP_H
#define DAEMON_NET_LOOP_H

#include "daemon/access/identity.h"
#include "daemon/net/closing.h"
#include "daemon/net/heap.h"
#include "daemon/net/request.h"
#include "daemon/store/system/histogram.h"
#include "daemon/store/system/lock.h"
#include "schema/link.h"
#include "schema/spin.h"
#include "schema/status.h"
#include "schema/wire.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct method;
struct net;
struct queued;
struct session;

enum {
	LOOP_TICK_MS = 1000, /* how often time-outs are checked and the heartbeat is written */
	LOOP_RETRY_MS = 5,   /* how often connections that wait for request memory try again */
	LOOP_RETRIES = 64,   /* how many of them then do */
	LOOP_RETURNS_NS = 1000000, /* how long it sends replies of lanes, at most, before the others
				      have their turn */
	LOOP_LOOK_NS = 1000000,    /* how often it looks at the CPU time of its thread, at most */
	LOOP_EXPIRIES = 64,        /* how many requests are answered TIMEOUT in one turn */
};

struct loop_figures {
	_Atomic uint64_t bytes_in;
	_Atomic uint64_t bytes_out;
	/* The most CPU time that the thread has spent from one look at it to the next. */
	_Atomic uint64_t longest_turn_ns;
	_Atomic uint64_t denied[IDENTITY_KINDS]; /* calls of methods whose role the peer lacked */
	_Atomic uint64_t closed[CLOSING_COUNT];  /* connections that were closed */
	_Atomic uint64_t read_stopped;           /* how often a session has stopped reading */
	_Atomic uint64_t writes_held;  /* writes that had to wait for those of other users */
	struct method_counts *methods; /* [method_count + 1], owned; the last: of no known method */
};

/* Of the calls of one method that a loop has read. */
struct method_counts {
	_Atomic uint64_t codes[STATUS_COUNT]; /* how they have ended */
	_Atomic uint64_t away;                /* calls that are in lanes */
	/* From the last byte of a request that came in to the last byte of its reply that was given
	 * to the socket, or queued behind others; in HISTOGRAM_SHORT_NS. */
	struct histogram times;
};

enum { LOOP_ANSWERED_MAX = 256 };

/* The methods whose replies stand in loop->reply: when these are sent, their times are counted. All
 * are of one session, and came in at the same time. */
struct loop_answered {
	unsigned count;
	uint16_t methods[LOOP_ANSWERED_MAX];
};

struct loop {
	uv_loop_t uv;
	uv_async_t wake;
	uv_timer_t tick;
	uv_timer_t retry;  /* runs while `waiting` has members */
	uv_timer_t expire; /* runs while a request has to be answered in time */
	uv_idle_t resume;  /* runs while `ready` has members */
	uv_check_t turn_over;
	struct link sessions; /* all that are here */
	struct link ready;    /* those that used up their turn and have more to parse */
	struct link waiting;  /* those that wait for request memory; the first waits longest */

	struct heap expiries; /* of requests in lanes; key: the monotonic clock, ms */

	struct net *net; /* borrowed */
	unsigned number; /* of it among the loops */
	void (*on_end)(void *arg);
	void *on_end_arg;
	pthread_t thread;
	_Atomic(pthread_t) running; /* the thread while it runs the loop, else 0 */

	struct lock lock; /* guards the inbox, which is the next three */
	struct link arrivals;
	struct request_queue returns;
	bool stop_asked;

	/* owned: replies that are made on the loop. It is empty between two sessions. */
	struct wire_writer reply;
	struct wire_message *parsed; /* owned: the memory of the message that runs here; or NULL */
	struct queued *dropped;      /* owned, see sender_free_some; NULL: none */
	struct loop_answered answered;
	uint64_t clock_ns;     /* uv_hrtime, of the last look while a message was run here */
	size_t reply_reserved; /* what `reply` holds of the reply budget */
	uint8_t *spare;        /* owned: a read buffer that no session has now; or NULL */
	uint8_t *records;   /* owned: SESSION_TLS_LOOP_BYTES, for one session at a time; or NULL */
	uint64_t turn;      /* the number of this iteration: it grows by one with each */
	uint64_t turn_ns;   /* how long this iteration has worked on messages */
	uint64_t looked_ns; /* monotonic clock: when it looked at the CPU time */
	uint64_t looked_cpu_ns;
	struct spin spin;
	uint64_t stop_at_ms; /* when the grace ends */
	bool stopping;
	bool ended; /* uv_loop_close returned 0: no handle was left open */

	struct loop_figures figures;
	_Atomic unsigned connections;     /* the acceptor adds, the loop subtracts; the next, too */
	_Atomic unsigned tcp_connections; /* in the clear */
	_Atomic unsigned tls_connections;
	_Atomic unsigned
		local_readers; /* connections whose hello said `local`; the loop alone changes it */
	_Atomic uint64_t heartbeat_ms; /* when the last tick was, by uv_now */
};

/* Asserts that the calling thread is the loop's. */
static inline void loop_assert_here(const struct loop *loop)
{
	assert(atomic_load_explicit(&loop->running, memory_order_relaxed) == pthread_self());
	(void)loop;
}

/* Starts the thread. The last thing that the thread does is to call `on_end`. `number`: below
 * net->users.loops, another for each loop. Errors: NO_MEMORY, IO. */
enum status loop_start(struct loop *loop, unsigned number, struct net *net, void (*on_end)(void *),
	void *arg, struct error *err);

/* Gives the loop a session of its own. The acceptor has counted it in `connections`. */
void loop_add(struct loop *loop, struct session *session);

/* Gives a request back to the loop that it came from. */
void loop_return(struct request *request);

/* Asks the loop to end. It takes no new requests, answers those in flight if they come back within
 * the grace, and then ends its thread. */
void loop_stop(struct loop *loop);

/* Waits for the thread. STATUS_INTERNAL: a handle was left open. A zeroed loop is fine. */
enum status loop_join(struct loop *loop);

/* ---- for sessions, on the loop's thread ---- */

/* Counts a call of the method (NULL: of none that there is) that has ended with the status, and whose
 * reply stands in loop->reply. Its time is counted by loop_count_sent. */
void loop_count_call(struct loop *loop, const struct method *method, enum status status);

/* What loop->reply held was sent, or queued, by now; read_ns: when its requests had come in. */
void loop_count_sent(struct loop *loop, uint64_t read_ns, uint64_t now_ns);

/* A call has gone to a lane; it is back, and its reply was sent. */
void loop_count_away(struct loop *loop, const struct method *method);
void loop_count_back(struct loop *loop, const struct request *request, uint64_t now_ns);

/* Continues the session in the next iteration, after the others had their turn. */
void loop_make_ready(struct loop *loop, struct session *session);

/* Does what waits for an iteration of the loop in the next one. */
void loop_resume(struct loop *loop);

/* Continues the session when there may be request memory again. */
void loop_make_wait(struct loop *loop, struct session *session);

/* A lane has got the request. If its time is over before it runs there, it is taken back and
 * answered TIMEOUT. */
void loop_expect(struct loop *loop, struct request *request);

/* The request is back. */
void loop_expect_no_more(struct loop *loop, struct request *request);

/* Frees a session that is closed and has no request in flight. */
void loop_release(struct loop *loop, struct session *session);

#endif
