/* budget.h - a bound on the bytes of memory that all connections together may hold, and what part
 * of them one connection and one user may hold while others need memory.
 *
 *   budget         all bytes, of all connections
 *   budget_user    what the connections of one user hold of them
 *   budget_holder  what one connection holds of them
 *
 * A connection holds at most a quarter and a user at most half of the budget, but always one whole
 * message. These shares bind only when others need memory: when another connection, or a connection
 * of another user, waits for it; and of the last quarter of the budget nobody gets anything beyond
 * its share. Some bytes are kept for the user whom the daemon runs as.
 *
 * Messages grow while they are read, so all bytes may be held by messages that are read by half.
 * Then one of the connections that wait, the first of them, leads: it may take what a whole message
 * needs, even beyond the limit.
 *
 * Whoever has taken bytes gives as many back. So the budget is at 0 when all connections are
 * closed.
 *
 * Threads: any; but budget_wait and budget_wait_over of a holder are called on one thread.
 */
#ifndef DAEMON_NET_BUDGET_H
#define DAEMON_NET_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct budget_holder;

struct budget {
	_Atomic size_t used;
	atomic_uint waiting; /* connections that wait for bytes */
	_Atomic(struct budget_holder *) leader;
	_Atomic size_t limit; /* a reload may change it, and the next */
	_Atomic size_t kept;  /* of the limit: for holders that are `own` */
	size_t whole;         /* what one message needs, at most; constant while in use */
};

/* Zeroed, it holds nothing. */
struct budget_user {
	_Atomic size_t used;
	atomic_uint waiting;
};

/* Filled in by its owner; `used` and `waits` are zeroed. */
struct budget_holder {
	struct budget *budget;    /* borrowed */
	struct budget_user *user; /* borrowed */
	bool own;                 /* may it use what is kept? */
	bool waits;
	_Atomic size_t used;
};

/* False, and nothing is taken, if more than the limit would be used then, or more than a share that
 * binds. */
bool budget_take(struct budget_holder *holder, size_t bytes);

/* Takes the bytes even beyond the limit: for memory that is in use already. */
void budget_force(struct budget_holder *holder, size_t bytes);

void budget_give(struct budget_holder *holder, size_t bytes);

/* The holder was refused and waits: the shares of others bind now. If it is refused again, and
 * nobody leads, it leads. A second call does nothing. */
void budget_wait(struct budget_holder *holder);

/* It waits for nothing any more; but if it leads, it does so until budget_follow. */
void budget_wait_over(struct budget_holder *holder);

/* Its message is read, or will never be: it does not lead any more. */
void budget_follow(struct budget_holder *holder);

size_t budget_used(const struct budget *budget);
unsigned budget_waiting(const struct budget *budget);

#endif
