/* turns.h - whose request is next: users take turns, and the connections of each user do, by what
 * their requests cost.
 *
 *   turns_push -> turns_take -> the request runs -> turns_end
 *
 * A member is what one connection asks of one lane. Its requests are taken in the order in which
 * they came. Each begins at a virtual time: not before the one before it has ended, as long as that
 * one was expected to take, and not in the past. Of a user's members the one of the earliest time is
 * next, and of all users the one whose time, counted alike over all of its members, is earliest. So
 * the requests of a connection that asks much wait for each other, and those of others pass them;
 * and a user who asks on many connections has no more than one who asks on one. What a request has
 * really taken is known at its end: the difference is added to the time of the next one, unless its
 * user has closed the last connection meanwhile.
 *
 * Source: Goyal, Vin, Cheng, Start-time Fair Queuing, 1996, with its hierarchy of schedulers.
 *
 * Threads: one at a time. Knows no thread and no clock.
 */
#ifndef DAEMON_NET_TURNS_H
#define DAEMON_NET_TURNS_H

#include "daemon/net/heap.h"
#include "daemon/net/request.h"

/* Who has used more than others is this much behind them at most, so that it need not wait for ever
 * for those who come now. In ns. */
#define TURNS_DEBT_MAX_NS (UINT64_C(10) * 1000000000)

/* The place of a user among users, or of a member among those of its user. */
struct turns_place {
	struct heap_node node; /* in `idle` or `busy` of its level while a request waits */
	uint64_t next_ns;      /* virtual time at which the next request begins */
	unsigned running;      /* requests that were taken and have not ended */
	unsigned waiting;
};

/* Those that take turns with each other. */
struct turns_level {
	/* Members of which none runs; users with such a member that run fewer than running_max. */
	struct heap idle;
	struct heap busy;  /* the others that ask for something */
	uint64_t now_ns;   /* virtual time: when the request began that was taken last */
	uint64_t arrivals; /* the next `order` of a node */
};

/* What the connections of one user ask of one lane. Zeroed, it asks for nothing. */
struct turns_user {
	struct turns_place place;
	struct turns_level members;
};

/* `user` is set by its owner; else zeroed, it asks for nothing. */
struct turns_member {
	struct turns_place place;
	struct turns_user *user; /* borrowed */
	struct request_queue queue;
};

/* `waiting_max` and `running_max` are set by its owner; else zeroed, nobody asks for anything. */
struct turns {
	struct turns_level users;
	size_t waiting; /* requests of all */
	size_t waiting_max;
	unsigned running_max; /* a user that runs so many counts as busy */
};

enum turns_who {
	TURNS_ALL,
	TURNS_IDLE, /* only members of which none runs, of users that run fewer than running_max */
};

/* The request is the member's last; its cost_ns says how long it is expected to take. Let `most` be
 * twice the places that are left. False, and the caller keeps it, if the user has `most` waiting, or
 * the member and its user together have `most`. So some cannot take all places: one connection alone
 * has half of waiting_max, and k users with many connections have 2 / (2 k + 1) of it each.
 * Source: Choudhury, Hahne, Dynamic Queue Length Thresholds, 1998. */
bool turns_push(struct turns *turns, struct turns_member *member, struct request *request);

/* Takes the next request, and *out is its member. NULL: none waits. */
struct request *turns_take(struct turns *turns, enum turns_who who, struct turns_member **out);

/* Is there a request that turns_take would take? */
bool turns_has(const struct turns *turns, enum turns_who who);

/* A request of the member that was expected to take cost_ns has taken spent_ns. */
void turns_end(struct turns *turns, struct turns_member *member, uint64_t cost_ns,
	uint64_t spent_ns);

/* Takes back a request. False: it does not wait. */
bool turns_withdraw(struct turns *turns, struct turns_member *member, struct request *request);

#endif
