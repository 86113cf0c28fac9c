/* user.h - who is connected, and what all connections of one user hold and ask together.
 *
 * A peer at a Unix socket is the user that the kernel names. All peers at TCP count as one user,
 * since nobody knows who they are.
 *
 * Threads: any.
 */
#ifndef DAEMON_NET_USER_H
#define DAEMON_NET_USER_H

#include "daemon/net/budget.h"
#include "daemon/net/lane.h"
#include "daemon/net/link.h"
#include "daemon/store/system/lock.h"

#include <sys/types.h>

/* One for a server. */
struct users {
	struct lock lock;
	struct link all; /* guarded by lock */
};

struct user {
	struct link all; /* guarded by users->lock, as is `connections` */
	unsigned connections;
	struct users *users; /* borrowed */
	uid_t uid;
	bool is_known; /* false: everybody at TCP */
	bool own;      /* the user whom the daemon runs as, or root */
	struct budget_user requests;
	struct budget_user replies;
	struct turns_user
		turns[LANE_COUNT]; /* what it asks of each lane; guarded by the lanes' locks */
};

void users_init(struct users *users);
void users_fini(struct users *users); /* everybody has left */

/* Finds the peer of a connected socket, and counts the connection. NULL: there is no memory. */
struct user *users_enter(struct users *users, int fd);

/* Is the peer of a connected socket the user whom the daemon runs as, or root? */
bool users_is_own(int fd);

/* The connection is closed. The user is freed with its last connection. NULL is fine. */
void users_leave(struct user *user);

#endif
