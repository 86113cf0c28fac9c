/* request.h - a request that runs away from its loop: it owns its bytes and its reply.
 *
 *   request_new on the loop -> lane -> request_run -> back to the loop -> request_free
 *
 * Threads: one at a time; queues with locks hand it over.
 */
#ifndef DAEMON_NET_REQUEST_H
#define DAEMON_NET_REQUEST_H

#include "daemon/net/answer.h"
#include "daemon/net/read_buffer.h"

struct net;
struct session;
struct write_ticket;

struct request {
	struct request *next;    /* in the one queue that it is in */
	struct net *net;         /* borrowed */
	struct session *session; /* borrowed: lives until the request is back */
	struct question question;
	uint64_t read_ms;            /* monotonic clock: when it came */
	uint64_t turn;               /* in a lane where peers take turns */
	struct read_taken message;   /* owned; empty once it has run */
	struct wire_writer out;      /* owned: the reply */
	size_t reserved;             /* of the reply budget, for `out` */
	enum status status;          /* of the call */
	struct write_ticket *ticket; /* of a write: what its answer waits for; NULL: nothing */
};

/* First in, first out. Zeroed, it is empty. */
struct request_queue {
	struct request *first;
	struct request *last;
	size_t count;
};

/* Has no message yet. NULL when there is no memory. */
struct request *request_new(struct session *session, const struct question *question);

/* Takes the message over. */
void request_own(struct request *request, struct read_taken message);

/* Runs the method. The message is freed before the reply leaves. */
void request_run(struct request *request);

/* Ends a request without a run, or takes back the success of one: an error is the reply. */
void request_fail(struct request *request, const struct error *err);

void request_free(struct request *request);

void request_queue_push(struct request_queue *queue, struct request *request);
/* Before all whose turn is later; the queue is in the order of turns. */
void request_queue_insert(struct request_queue *queue, struct request *request);
struct request *request_queue_pop(struct request_queue *queue); /* NULL: empty */

#endif
