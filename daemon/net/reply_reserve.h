/* reply_reserve.h - takes the size of a reply from the budget of replies.
 *
 * Threads: the one that ran the method of the reply.
 */
#ifndef DAEMON_NET_REPLY_RESERVE_H
#define DAEMON_NET_REPLY_RESERVE_H

#include "schema/status.h"

#include <stddef.h>

struct budget_holder;
struct rpc_head;
struct wire_writer;

enum {
	/* A reply of at most this size needs nothing from the budget of replies. So errors and
	 * figures can be sent even when that budget is used up. A larger reply reserves its size
	 * first. What is free is bounded, since a connection has at most 64 requests in flight. */
	REPLY_FREE_BYTES = 4 << 10,
};

/* A large reply stands in `out` from `start` on. Takes its size from the budget of replies; *reserved says how
 * much was taken. If the budget has no room, the error BUSY replaces the reply. So this is not for
 * methods that have changed something. */
enum status reply_reserve(struct budget_holder *replies, const struct rpc_head *head,
	struct wire_writer *out, size_t start, size_t *reserved);

#endif
