/* guard.h - keeps peers to the roles that they have.
 *
 * Threads: the session's loop.
 */
#ifndef DAEMON_NET_GUARD_H
#define DAEMON_NET_GUARD_H

#include "schema/status.h"

#include <stdbool.h>

struct method;
struct session;

enum {
	/* The longest request of a peer without a role: enough for what it may call, so that nobody lets the daemon
	 * keep 65 MiB only to be told no. */
	GUARD_STRANGER_BYTES = 16 << 10,
};

/* The roles of the session's peer. They are looked up again when other rules have come into force. */
unsigned guard_roles(struct session *session);

/* Has the peer no role at all? */
bool guard_is_stranger(struct session *session);

/* Counts a call of a method whose role the peer lacks; err says which one, and which it has. */
void guard_deny(struct session *session, const struct method *method, struct error *err);

#endif
