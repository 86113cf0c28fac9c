/* request.h - a request that leaves its loop to run in a lane; it owns its bytes and its reply.
 *
 *   request_new on the loop -> lane -> request_run -> back to the loop -> request_free
 *
 * Threads: one at a time. Queues that have locks hand it from thread to thread.
 */
#ifndef DAEMON_NET_REQUEST_H
#define DAEMON_NET_REQUEST_H

#include "daemon/method/call/answer.h"
#include "daemon/net/heap.h"
#include "daemon/net/read_buffer.h"
#include "daemon/net/slow.h"

struct lane;
struct net;
struct session;
struct write_ticket;

enum { REQUEST_SUBJECT_BYTES = 72 }; /* of a name, escaped; cut */

/* Whether the end of a request is a line of the audit. */
enum request_telling {
	REQUEST_UNTOLD,
	REQUEST_TOLD_IN_TURN, /* if its user has not had too many lines */
	REQUEST_TOLD,
};

struct request {
	struct request *next;    /* in its queue; a request is in one queue at most */
	struct net *net;         /* borrowed */
	struct session *session; /* borrowed: it lives until the request is back */
	struct question question;
	uint64_t cost_ns;    /* how long it is expected to run */
	uint64_t read_ns;    /* when its last byte came in, by uv_hrtime */
	uint64_t queued_ns;  /* when it went to its lane */
	uint64_t timeout_ms; /* from question.stop.read_ms on; 0: it may take any time */
	uint64_t queue_ms;   /* how long it may wait for a thread, from then on; 0: for any time */
	struct heap_node expiry; /* in loop->expiries while a lane has it; for the loop's thread */
	struct lane *lane;       /* borrowed */
	uint64_t began_ns;       /* when it ran; 0: it did not */
	uint64_t ended_ns;
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint32_t head_len; /* of `head` */
	/* The beginning of its message, which is freed when it has run. */
	uint8_t head[SLOW_HEAD_BYTES];
	char client[LIMIT_CLIENT_BYTES + 1]; /* as its session had it when it was read */
	struct slow_entry *subject;          /* owned: of one that was slow by then; else NULL */
	struct read_taken message;           /* owned; empty once the request has run */
	struct wire_writer out;              /* owned: the reply */
	size_t reserved;                     /* what `out` holds of the reply budget */
	enum status status;                  /* of the call */
	enum request_telling telling;
	char subject_text
		[REQUEST_SUBJECT_BYTES]; /* whom or what the audit says it is about; "" else */
	/* Of a write that has run: its answer waits for this ticket. NULL: it waits for nothing. */
	struct write_ticket *ticket;
};

/* First in, first out. A zeroed queue is empty. */
struct request_queue {
	struct request *first;
	struct request *last; /* undefined while the queue is empty */
	size_t count;
};

/* A request without a message. NULL: there is no memory. */
struct request *request_new(struct session *session, const struct question *question);

/* Gives the request its message, which it owns from then on. */
void request_own(struct request *request, struct read_taken message);

/* Runs the method, and frees the message. */
void request_run(struct request *request);

/* Until when the request has to begin: monotonic clock; UINT64_MAX: at any time. */
uint64_t request_expires_ms(const struct request *request);

/* Makes TIMEOUT or BUSY the reply of a request that did not begin in time. */
void request_expire(struct request *request);

/* Makes the error the reply: of a request that is not run, or that has run but whose success does
 * not hold. */
void request_fail(struct request *request, const struct error *err);

/* Tells of the request, if it was slow or has failed by the daemon's fault. Its reply was given to the
 * socket by now_ns. On the session's loop. */
void request_tell(const struct request *request, uint64_t now_ns);

/* The request is in no queue, and its ticket was passed on. NULL is fine. */
void request_free(struct request *request);

void request_queue_push(struct request_queue *queue, struct request *request);
struct request *request_queue_pop(struct request_queue *queue); /* NULL: empty */
/* Takes the request out. False: it is not in the queue. */
bool request_queue_remove(struct request_queue *queue, struct request *request);

#endif
