/* turns.h - whose request is next: members take turns, by what their requests cost.
 *
 *   turns_push -> turns_take -> the request runs -> turns_end
 *
 * A member is what one connection asks of one lane. Its requests are taken in the order in which
 * they came. Each begins at a virtual time: not before the one before it has ended, as long as that
 * one was expected to take, and not in the past. The request of the earliest time is next. So the
 * requests of a connection that asks much wait for each other, and those of others pass them. What a
 * request has really taken is known at its end: the difference is added to the time of the next one.
 *
 * Source: Goyal, Vin, Cheng, Start-time Fair Queuing, 1996.
 *
 * Threads: one at a time. Knows no thread and no clock.
 */
#ifndef DAEMON_NET_TURNS_H
#define DAEMON_NET_TURNS_H

#include "daemon/net/heap.h"
#include "daemon/net/request.h"

/* A member that has used more than others is this much behind them at most, so that it need not
 * wait for ever for those who come now. In ns. */
#define TURNS_DEBT_MAX_NS (UINT64_C(10) * 1000000000)

/* Zeroed, it asks for nothing. */
struct turns_member {
	struct heap_node node;      /* in `idle` or `busy` while a request waits */
	struct request_queue queue; /* those that wait */
	uint64_t next_ns;           /* virtual time at which the first of them begins */
	unsigned running;           /* requests that were taken and have not ended */
};

/* Zeroed, it has no room. */
struct turns {
	struct heap idle; /* members of which none runs */
	struct heap busy; /* members of which one runs already */
	size_t waiting;   /* requests of all members */
	size_t waiting_max;
	uint64_t now_ns;   /* virtual time: when the request began that was taken last */
	uint64_t arrivals; /* members that came into a heap so far */
};

enum turns_who {
	TURNS_ALL,
	TURNS_IDLE, /* only members of which none runs */
};

/* Errors: NO_MEMORY. */
enum status turns_init(struct turns *turns, size_t waiting_max);
void turns_fini(struct turns *turns); /* nobody waits; zeroed is fine */

/* The request is the member's last; its cost_ns says how long it is expected to take. False, and the
 * caller keeps it, if waiting_max requests wait, or if as many of the member wait as places are
 * left: so some members cannot take all places, and k of them have waiting_max / (k + 1) each.
 * Source: Choudhury, Hahne, Dynamic Queue Length Thresholds, 1998. */
bool turns_push(struct turns *turns, struct turns_member *member, struct request *request);

/* Takes the next request, and *out is its member. NULL: none waits. */
struct request *turns_take(struct turns *turns, enum turns_who who, struct turns_member **out);

/* A request of the member that was expected to take cost_ns has taken spent_ns. */
void turns_end(struct turns *turns, struct turns_member *member, uint64_t cost_ns,
	uint64_t spent_ns);

/* Takes back a request. False: it does not wait. */
bool turns_withdraw(struct turns *turns, struct turns_member *member, struct request *request);

#endif
