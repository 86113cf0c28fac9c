/* guard.c - looks roles up, refuses calls, and tells of both. */
#include "daemon/net/guard.h"

#include "daemon/access/access.h"
#include "daemon/method/call/method.h"
#include "daemon/net/net.h"
#include "daemon/net/request.h"
#include "daemon/net/session.h"
#include "daemon/store/system/clock.h"

#include <assert.h>
#include <stdio.h>
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

/* Begins another window when its time has come. With the lock. */
static void turn_window(struct net_audit *audit, uint64_t now_ms)
{
	if (audit->window == 0 || now_ms >= audit->began_ms + GUARD_WINDOW_MS) {
		audit->window++;
		audit->began_ms = now_ms;
		audit->told = 0;
		memset(audit->refused_told, 0, sizeof audit->refused_told);
	}
}

/* May one more line be told that anybody can cause? Each user has a share, so that nobody's denials hide those of
 * others. */
static bool has_room(struct session *session)
{
	struct net_audit *audit = &session->loop->net->audit;
	struct user *user = session->user;
	lock_take(&audit->lock);
	turn_window(audit, uv_now(&session->loop->uv));
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

bool guard_has_room_for(struct net *net, enum tls_refusal refusal)
{
	struct net_audit *audit = &net->audit;
	lock_take(&audit->lock);
	turn_window(audit, (uint64_t)clock_monotonic_ms()); /* which uv_now follows */
	const bool has = audit->refused_told[refusal] < GUARD_REFUSED_LINES_MAX;
	audit->refused_told[refusal] += has ? 1 : 0;
	audit->untold += has ? 0 : 1;
	lock_release(&audit->lock);
	return has;
}

static void write_subject(char out[REQUEST_SUBJECT_BYTES], const struct wire_bytes *name)
{
	(void)identity_escape(out, REQUEST_SUBJECT_BYTES, name->data, name->len);
}

void guard_deny(struct session *session, const struct method *method, struct wire_bytes message,
	struct error *err)
{
	struct loop *loop = session->loop;
	const unsigned kind = (unsigned)session->peer.kind;
	char peer[IDENTITY_TEXT_BYTES];
	char has[ROLE_TEXT_BYTES];
	char release[REQUEST_SUBJECT_BYTES] = "";
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
		write_subject(release, &name);
	}
	net_event(loop->net,
		"event=audit result=DENIED peer=%s method=%s release=%s wants=%s has=\"%s\"", peer,
		method->name, release, role_name(method->role), has);
}

/* Two methods for operators only read, and are told all the same: who asks what others may do, and who makes the slow
 * requests vanish, of which it looks at the list each second otherwise. */
static bool is_look(const struct method *method)
{
	return method->role == ROLE_ADMIN && method_is_read(method);
}

static bool is_slow_log(const struct method *method)
{
	return is_look(method) && strcmp(method->name, "slowlog") == 0;
}

/* What decides what is live, what is lost, or what others find is told; what fills a release, now and then. */
static enum request_telling telling_of(const struct method *method, struct wire_bytes message)
{
	bool reset = false;
	if (is_slow_log(method)) {
		return rpc_param_flag(message.data, message.len, "reset", &reset) && reset
			       ? REQUEST_TOLD
			       : REQUEST_UNTOLD;
	}
	if (method->role == ROLE_PUBLISH || method->role == ROLE_ADMIN) {
		return REQUEST_TOLD;
	}
	return method->place == METHOD_ADMIN || method->place == METHOD_SEAL ? REQUEST_TOLD_IN_TURN
									     : REQUEST_UNTOLD;
}

/* What the audit says of a request beside its method. */
static const char *subject_name(const struct method *method)
{
	return !is_look(method) ? "release" : is_slow_log(method) ? "reset" : "as";
}

void guard_note(struct request *request, struct wire_bytes message)
{
	const struct method *method = request->question.method;
	struct wire_bytes name;
	request->telling = telling_of(method, message);
	if (request->telling == REQUEST_UNTOLD) {
		return;
	}
	if (is_slow_log(method)) {
		(void)snprintf(request->subject_text, sizeof request->subject_text, "yes");
	} else if (rpc_param_text(message.data, message.len, subject_name(method), &name)) {
		write_subject(request->subject_text, &name);
	}
}

void guard_tell(struct session *session, const struct request *request)
{
	const struct method *method = request->question.method;
	if (request->telling == REQUEST_UNTOLD ||
		(request->telling == REQUEST_TOLD_IN_TURN && !has_room(session))) {
		return;
	}
	char peer[IDENTITY_TEXT_BYTES];
	char subject[REQUEST_SUBJECT_BYTES];
	struct wire_bytes name;
	memcpy(subject, request->subject_text, sizeof subject);
	/* A rollback names none: the answer does. */
	if (subject[0] == '\0' && request->status == STATUS_OK &&
		rpc_result_text(request->out.data, request->out.len, "release", &name)) {
		write_subject(subject, &name);
	}
	net_event(session->loop->net, "event=audit result=%s peer=%s method=%s %s=%s",
		status_name(request->status), identity_text(peer, &session->peer), method->name,
		subject_name(method), subject);
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
