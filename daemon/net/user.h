/* user.h - who is connected, and what all connections of one user hold and ask together.
 *
 * A peer at a Unix socket is the user that the kernel names, and one at TLS is the first name of its
 * certificate. All peers at plain TCP count as one user, since nobody knows who they are.
 *
 * Threads: any.
 */
#ifndef DAEMON_NET_USER_H
#define DAEMON_NET_USER_H

#include "daemon/access/identity.h"
#include "daemon/net/budget.h"
#include "daemon/net/lane.h"
#include "daemon/store/system/lock.h"
#include "schema/link.h"

#include <sys/types.h>

/* One for a server. */
struct users {
	struct lock lock;
	struct link all; /* guarded by lock */
	atomic_uint count;
	_Atomic uint64_t written; /* by all of them */
	unsigned loops;           /* of the server */
};

/* The work that one iteration of a loop has done for a user. */
struct user_turn {
	uint64_t turn; /* which iteration: loop->turn of then */
	uint64_t ns;
	uint64_t unused[6]; /* so that no two loops write to one line of the cache */
};

struct user {
	struct link all; /* guarded by users->lock, as is `connections` */
	unsigned connections;
	struct users *users;            /* borrowed */
	enum identity_kind kind;        /* of all that are no more than a kind there is one */
	uid_t uid;                      /* of IDENTITY_UNIX, else 0 */
	char name[IDENTITY_TEXT_BYTES]; /* of IDENTITY_CERTIFICATE, else "" */
	bool own;                       /* the user whom the daemon runs as, or root */
	uint64_t audit_window;          /* guarded by net->audit.lock, as is the next */
	unsigned audit_told;            /* in that window */
	struct budget_user requests;
	struct budget_user replies;
	_Atomic uint64_t written; /* bytes of its writes, lately: halved every second */
	/* What it asks of each lane; guarded by the lanes' locks. */
	struct turns_user turns[LANE_COUNT];
	struct user_turn of_loops[]; /* users->loops; each for the thread of its loop */
};

void users_init(struct users *users, unsigned loops);
void users_fini(struct users *users); /* everybody has left */

/* Finds the user who a peer is, and counts the connection. NULL: there is no memory. */
struct user *users_enter(struct users *users, const struct peer_identity *peer);

/* How many connections the user has who a peer is. */
unsigned users_connections(struct users *users, const struct peer_identity *peer);

/* It has sent a write of so many bytes. */
void user_count_write(struct user *user, uint64_t bytes);

/* Has it written more than all others together, lately? */
bool user_writes_most(const struct user *user);

/* To be called once a second. */
void users_forget_writes(struct users *users);

/* Are there others beside it? */
static inline bool user_has_others(const struct user *user)
{
	return atomic_load_explicit(&user->users->count, memory_order_relaxed) > 1;
}

/* Is the peer the user whom the daemon runs as, or root? */
bool users_is_own(const struct peer_identity *peer);

/* The connection is closed. The user is freed with its last connection. NULL is fine. */
void users_leave(struct user *user);

#endif
