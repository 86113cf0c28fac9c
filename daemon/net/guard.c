/* guard.c - looks roles up, refuses calls, and tells of both. */
#include "daemon/net/guard.h"

#include "daemon/access/access.h"
#include "daemon/method/call/method.h"
#include "daemon/net/net.h"
#include "daemon/net/request.h"
#include "daemon/net/session.h"

#include <assert.h>
#include <string.h>

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

/* May one more line be told that anybody can cause? Each user has a share, so that nobody's denials hide those of
 * others. */
static bool has_room(struct session *session)
{
	struct net_audit *audit = &session->loop->net->audit;
	struct user *user = session->user;
	const uint64_t now_ms = uv_now(&session->loop->uv);
	lock_take(&audit->lock);
	if (audit->window == 0 || now_ms >= audit->began_ms + GUARD_WINDOW_MS) {
		audit->window++;
		audit->began_ms = now_ms;
		audit->told = 0;
	}
	if (user->audit_window != audit->window) {
		user->audit_window = audit->window;
		user->audit_told = 0;
	}
	const bool has = audit->told < GUARD_LINES_MAX && user->audit_told < GUARD_USER_LINES_MAX;
	audit->told += has ? 1 : 0;
	user->audit_told += has ? 1 : 0;
	audit->untold += has ? 0 : 1;
	lock_release(&audit->lock);
	return has;
}

static void write_release(char out[REQUEST_RELEASE_BYTES], const struct wire_bytes *name)
{
	(void)identity_escape(out, REQUEST_RELEASE_BYTES, name->data, name->len);
}

void guard_deny(struct session *session, const struct method *method, struct wire_bytes message,
	struct error *err)
{
	struct loop *loop = session->loop;
	const unsigned kind = (unsigned)session->peer.kind;
	char peer[IDENTITY_TEXT_BYTES];
	char has[ROLE_TEXT_BYTES];
	char release[REQUEST_RELEASE_BYTES] = "";
	struct wire_bytes name;
	assert(kind < IDENTITY_KINDS);
	counter_add(&loop->figures.denied[kind], 1);
	(void)identity_text(peer, &session->peer);
	(void)role_text(has, session->roles);
	error_set(err, STATUS_DENIED, "%s wants the role '%s'; %s has '%s'", method->name,
		role_name(method->role), peer, has);
	if (!has_room(session)) {
		return;
	}
	if (rpc_param_text(message.data, message.len, "release", &name)) {
		write_release(release, &name);
	}
	net_event(loop->net,
		"event=audit result=DENIED peer=%s method=%s release=%s wants=%s has=\"%s\"", peer,
		method->name, release, role_name(method->role), has);
}

/* What decides what is live, what is lost, or what others find is told; what fills a release, now and then. */
static bool is_told(const struct method *method, bool *always)
{
	*always = (method->role == ROLE_PUBLISH || method->role == ROLE_ADMIN) &&
		  !method_is_read(method);
	return *always || method->place == METHOD_ADMIN || method->place == METHOD_SEAL;
}

void guard_note(struct request *request, struct wire_bytes message)
{
	bool always;
	struct wire_bytes name;
	if (is_told(request->question.method, &always) &&
		rpc_param_text(message.data, message.len, "release", &name)) {
		write_release(request->release, &name);
	}
}

void guard_tell(struct session *session, const struct request *request)
{
	const struct method *method = request->question.method;
	bool always;
	if (!is_told(method, &always) || (!always && !has_room(session))) {
		return;
	}
	char peer[IDENTITY_TEXT_BYTES];
	char release[REQUEST_RELEASE_BYTES];
	struct wire_bytes name;
	memcpy(release, request->release, sizeof release);
	/* A rollback names none: the answer does. */
	if (release[0] == '\0' && request->status == STATUS_OK &&
		rpc_result_text(request->out.data, request->out.len, "release", &name)) {
		write_release(release, &name);
	}
	net_event(session->loop->net, "event=audit result=%s peer=%s method=%s release=%s",
		status_name(request->status), identity_text(peer, &session->peer), method->name,
		release);
}

void guard_tick(struct net *net, uint64_t now_ms)
{
	unsigned untold = 0;
	lock_take(&net->audit.lock);
	if (net->audit.untold > 0 && now_ms >= net->audit.began_ms + GUARD_WINDOW_MS) {
		untold = net->audit.untold;
		net->audit.untold = 0;
	}
	lock_release(&net->audit.lock);
	if (untold > 0) {
		net_event(net, "event=audit result=untold lines=%u", untold);
	}
}
