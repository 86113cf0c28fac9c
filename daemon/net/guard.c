/* guard.c - looks roles up, and refuses calls. */
#include "daemon/net/guard.h"

#include "daemon/access/access.h"
#include "daemon/method/call/method.h"
#include "daemon/net/net.h"
#include "daemon/net/session.h"

#include <assert.h>

unsigned guard_roles(struct session *session)
{
	struct access *access = session->loop->net->access;
	loop_assert_here(session->loop);
	if (session->access_version != access_version(access)) {
		session->roles = access_ask(access, &session->peer, &session->access_version);
	}
	return session->roles;
}

bool guard_is_stranger(struct session *session)
{
	return guard_roles(session) == ROLE_ANYBODY;
}

void guard_deny(struct session *session, const struct method *method, struct error *err)
{
	struct loop *loop = session->loop;
	const unsigned kind = (unsigned)session->peer.kind;
	char peer[IDENTITY_TEXT_BYTES];
	char has[ROLE_TEXT_BYTES];
	assert(kind < IDENTITY_KINDS);
	loop_count_call(loop, method, STATUS_DENIED);
	counter_add(&loop->figures.denied[kind], 1);
	error_set(err, STATUS_DENIED, "%s wants the role '%s'; %s has '%s'", method->name,
		role_name(method->role), identity_text(peer, &session->peer),
		role_text(has, session->roles));
}
