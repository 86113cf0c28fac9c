/* guard.h - keeps peers to the roles that they have.
 *
 * Denials, peers that TLS refuses, and what an operator asks, are told as lines `event=audit`: who, what, of which
 * release, with which result. Never keys.
 *
 * Threads: the session's loop; guard_has_room_for: any.
 */
#ifndef DAEMON_NET_GUARD_H
#define DAEMON_NET_GUARD_H

#include "schema/status.h"
#include "schema/wire.h"
#include "tls/tls.h"

#include <stdbool.h>

struct method;
struct net;
struct request;
struct session;

enum {
	/* The longest request of a peer without a role: enough for what it may call, so that nobody lets the daemon
	 * keep 65 MiB only to be told no. */
	GUARD_STRANGER_BYTES = 16 << 10,
	/* So many lines that anybody can cause are told in this time, and so many of one user. */
	GUARD_WINDOW_MS = 10000,
	GUARD_LINES_MAX = 50,
	GUARD_USER_LINES_MAX = 10,
	/* And so many of peers that TLS refuses, beside those, for each thing that can be wrong: whoever comes
	 * without TLS again and again does not hide one whose certificate was revoked. */
	GUARD_REFUSED_LINES_MAX = 5,
};

/* The roles of the session's peer. They are looked up again when other rules have come into force. */
unsigned guard_roles(struct session *session);

/* Has the peer no role at all? */
bool guard_is_stranger(struct session *session);

/* Counts and tells a call of a method whose role the peer lacks; err says which one, and which it has. */
void guard_deny(struct session *session, const struct method *method, struct wire_bytes message,
	struct error *err);

/* Notes which release a request speaks of that is to be told. Before its message is taken. */
void guard_note(struct request *request, struct wire_bytes message);

/* Tells of a request that has ended, if it is to be told. */
void guard_tell(struct session *session, const struct request *request);

/* May one more line be told of a peer that TLS has refused? If not, it is counted as left out. */
bool guard_has_room_for(struct net *net, enum tls_refusal refusal);

/* Tells how many lines were left out. To be called once a second. */
void guard_tick(struct net *net, uint64_t now_ms);

#endif
