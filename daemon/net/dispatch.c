/* dispatch.c - looks up the method of a message, and runs it here or sends it to its lane. */
#include "daemon/net/dispatch.h"

#include "daemon/method/call/method.h"
#include "daemon/method/call/slow_subject.h"
#include "daemon/net/guard.h"
#include "daemon/net/net.h"
#include "daemon/net/reply_reserve.h"
#include "schema/limits.h"

#include <assert.h>
#include <stdlib.h>

enum {
	/* To parse a message of more elements takes over a millisecond, so a lane does it. */
	DISPATCH_INLINE_ELEMENTS = 16384,
	/* What a request is expected to cost in a lane, by what is known before it runs. */
	DISPATCH_COST_NS = 20000,
	DISPATCH_ELEMENT_NS = 50,
	DISPATCH_BYTES_IN_NS = 4,
};

static enum lane_number lane_of(enum method_place place, bool is_cold)
{
	switch (place) {
	case METHOD_SEARCH:
		return LANE_SEARCH;
	case METHOD_OPERATOR:
	case METHOD_ROLLBACK:
		return LANE_OPERATOR;
	case METHOD_ADMIN:
		return LANE_ADMIN;
	case METHOD_PUBLISH:
		return LANE_PUBLISH;
	case METHOD_SEAL:
		return LANE_SEAL;
	case METHOD_MERGE:
		return LANE_MERGE;
	case METHOD_BACKUP:
		return LANE_BACKUP;
	case METHOD_VERIFY:
		return LANE_VERIFY;
	case METHOD_LOAD:
		return LANE_LOAD;
	case METHOD_WRITE:
		return LANE_WRITE;
	case METHOD_INLINE:
	case METHOD_POOL:
		break;
	}
	return is_cold ? LANE_COLD : LANE_POOL;
}

/* ---- on the loop ---- */

/* Appends an error to the loop's replies. */
static void reply_error(struct session *session, const struct rpc_head *head,
	const struct error *err)
{
	struct wire_writer *out = &session->loop->reply;
	answer_error(head, err, out, out->len);
}

/* Tells of a request that was run here, if it was slow or has failed by the daemon's fault. */
static void tell(struct session *session, const struct question *question, enum status status,
	size_t bytes_out)
{
	struct loop *loop = session->loop;
	const uint64_t began_ns = loop->clock_ns;
	loop->clock_ns = uv_hrtime();
	const uint64_t total_ns = loop->clock_ns - session->read_ns;
	if (!slow_wants(loop->net, total_ns, status)) {
		return;
	}
	const struct slow_request slow = {
		.session = session,
		.method = question->method,
		.status = status,
		.message = question->message,
		.bytes_in = question->message.len,
		.bytes_out = bytes_out,
		.total_ns = total_ns,
		.work_ns = loop->clock_ns - began_ns,
	};
	slow_tell(loop->net, &slow);
}

/* What a hello leaves out stays as it was. */
static void greet(struct session *session, struct wire_bytes message)
{
	bool is_local;
	slow_client_read(session->client, message);
	if (rpc_param_flag(message.data, message.len, "local", &is_local)) {
		session->loop->local_readers += (unsigned)is_local - session->is_local_reader;
		session->is_local_reader = is_local;
	}
}

static enum status run_here(struct session *session, const struct question *question)
{
	struct loop *loop = session->loop;
	size_t start = loop->reply.len;
	size_t reserved = 0;
	enum status status = answer_run(question, NULL, &loop->reply);
	assert(loop->reply.len >= start); /* the replies before it are still there */
	if (status == STATUS_AGAIN) {
		return status;
	}
	if (status == STATUS_OK) {
		status = reply_reserve(&session->replies, &question->head, &loop->reply, start,
			&reserved);
		if (status != STATUS_OK) {
			atomic_fetch_add_explicit(&loop->net->replies_full, 1,
				memory_order_relaxed);
		}
	}
	loop->reply_reserved += reserved;
	loop_count_call(loop, question->method, status);
	tell(session, question, status, loop->reply.len - start);
	if (session->greets && status == STATUS_OK) {
		greet(session, question->message);
	}
	read_buffer_done(&session->in);
	return STATUS_OK;
}

/* ---- in a lane ---- */

/* Whether no read may run now, because large replies that nobody has read fill their budget. */
static bool is_overfull(const struct net *net, const struct method *method)
{
	return method_is_read(method) && budget_used(&net->replies) >= net->replies.limit;
}

static void refuse_busy(struct session *session, struct request *request, const char *why)
{
	struct error err;
	error_set(&err, STATUS_BUSY, "%s", why);
	loop_count_call(session->loop, request->question.method, STATUS_BUSY);
	request->status = STATUS_BUSY;
	guard_tell(session, request);
	reply_error(session, &request->question.head, &err);
	request_free(request);
}

/* How long the request may wait and run, by what it says or by its method; 0: for any time. What it
 * says wrongly, or too far behind, its method will read. */
static uint64_t timeout_of(const struct method *method, const struct read_message *message)
{
	uint64_t given;
	const bool is_given =
		rpc_param_read(message->data, message->len, "timeout_ms", &given) && given != 0;
	return is_given && given <= LIMIT_TIMEOUT_MS ? given : method_timeout_ms(method);
}

/* A write waits where it is, in the buffer of its session, while its user has written most and others
 * would have to wait for what that makes necessary: syncs and merges. */
static bool must_hold(const struct session *session, const struct question *question)
{
	return question->method->place == METHOD_WRITE && user_has_others(session->user) &&
	       user_writes_most(session->user) && method_write_is_crowded(question->service);
}

/* is_cold: it was run here, and would have to read from the disk. */
static enum status send_away(struct session *session, const struct question *question,
	const struct read_message *message, bool is_cold)
{
	struct net *net = session->loop->net;
	if (must_hold(session, question)) {
		session->held = true;
		counter_add(&session->loop->figures.writes_held,
			session->waiting_since_ms == 0 ? 1 : 0);
		return STATUS_BUSY;
	}
	struct read_taken taken;
	size_t parsed = (size_t)message->elements * DISPATCH_ELEMENT_BYTES;
	struct request *request = request_new(session, question);
	if (request == NULL) {
		return STATUS_NO_MEMORY;
	}
	/* Before the message has left the buffer. */
	const uint64_t timeout_ms = timeout_of(question->method, message);
	guard_note(request, question->message);
	enum status status = read_buffer_take(&session->in, parsed + sizeof *request, &taken);
	if (status != STATUS_OK) {
		request_free(request);
		return status;
	}
	request_own(request, taken);
	request->timeout_ms = timeout_ms;
	request->queue_ms = method_may_be_busy(question->method) ? net->limits.queue_ms : 0;
	request->lane = &net->lanes[lane_of(question->method->place, is_cold)];
	request->cost_ns = DISPATCH_COST_NS + message->len / DISPATCH_BYTES_IN_NS +
			   (uint64_t)message->elements * DISPATCH_ELEMENT_NS;

	if (is_overfull(net, question->method)) {
		atomic_fetch_add_explicit(&net->replies_full, 1, memory_order_relaxed);
		refuse_busy(session, request, "replies that were not yet read hold all memory");
	} else if (!lane_push(request->lane, request)) {
		atomic_fetch_add_explicit(&net->lanes_full, 1, memory_order_relaxed);
		refuse_busy(session, request, "too many requests wait for this method");
	} else {
		session->in_flight++;
		loop_count_away(session->loop, question->method);
		loop_expect(session->loop, request);
		if (question->method->place == METHOD_WRITE) {
			user_count_write(session->user, taken.len);
		}
	}
	return STATUS_OK;
}

/* ---- which method ---- */

/* Counts the error as that of the method (NULL: none was found) and makes it the answer of the first message, which is
 * not run. */
static enum status answer_without_run(struct session *session, const struct method *method,
	const struct rpc_head *head, const struct error *err)
{
	loop_count_call(session->loop, method, err->status);
	reply_error(session, head, err);
	read_buffer_done(&session->in);
	return STATUS_OK;
}

/* Answers an envelope that has a msgid, but no method that could be called, or wrong params. */
static enum status answer_bad_envelope(struct session *session, const struct rpc_head *head,
	const struct read_message *message)
{
	struct error err;
	struct wire_message *parsed = NULL;
	struct rpc_envelope envelope;
	if (message->elements > DISPATCH_INLINE_ELEMENTS) {
		/* Only a parse of all of it would tell what exactly is wrong, and that takes too
		 * long on a loop. */
		error_set(&err, STATUS_BAD_REQUEST,
			"request: [0, msgid, method, params] expected, method a str of 1..%u bytes",
			LIMIT_METHOD_BYTES);
		return answer_without_run(session, NULL, head, &err);
	}
	enum status status = wire_open(message->data, message->len, &parsed);
	if (status == STATUS_OK) {
		status = rpc_read(wire_root(parsed), &envelope, &err);
	} else {
		error_set(&err, status, "the request could not be parsed");
	}
	wire_close(parsed);
	if (status == STATUS_OK) {
		error_set(&err, STATUS_INTERNAL, "the request's head could not be read");
	}
	return answer_without_run(session, NULL, head, &err);
}

static enum status answer_unknown(struct session *session, const struct rpc_head *head)
{
	struct error err;
	error_set(&err, STATUS_UNSUPPORTED, "method '%.*s': there is none of that name",
		(int)head->method.len, (const char *)head->method.data);
	return answer_without_run(session, NULL, head, &err);
}

/* A peer mostly asks for the method that it asked for last. */
static const struct method *find_method(struct session *session, struct wire_bytes name)
{
	if (session->method == NULL || !wire_bytes_are(name, session->method->name)) {
		session->method = method_find((const char *)name.data, name.len);
		session->greets = wire_bytes_are(name, "hello");
	}
	return session->method;
}

static enum status answer_denied(struct session *session, const struct question *question)
{
	struct error err;
	guard_deny(session, question->method, question->message, &err);
	return answer_without_run(session, question->method, &question->head, &err);
}

/* Have the requests before it taken so much of this turn of the loop that a read has waited for as long as it
 * may? What is ready in one turn has come in one, so nearly all of it has waited since the turn began. */
static bool is_late(const struct session *session, const struct method *method)
{
	const struct loop *loop = session->loop;
	const uint64_t queue_ms = loop->net->limits.queue_ms;
	return queue_ms != 0 && loop->turn_ns >= queue_ms * 1000000 && method_may_be_busy(method);
}

static enum status answer_late(struct session *session, const struct question *question)
{
	struct error err;
	error_set(&err, STATUS_BUSY,
		"the requests of others have taken %u ms (queue_time); this one was not begun",
		session->loop->net->limits.queue_ms);
	atomic_fetch_add_explicit(&session->loop->net->queue_late, 1, memory_order_relaxed);
	return answer_without_run(session, question->method, &question->head, &err);
}

enum status dispatch(struct session *session, const struct read_message *message)
{
	loop_assert_here(session->loop);
	assert(!session->closing);
	assert(!session->deaf);
	bool is_cold = false;
	struct question question = {
		.service = session->loop->net->service,
		.message = {.data = message->data, .len = message->len},
		.elements = message->elements,
		.turn_ns = session->loop->turn_ns,
		.parsed = &session->loop->parsed,
		.is_cold = &is_cold,
		.peer = &session->peer,
		.client = session->client,
		.roles = guard_roles(session),
	};
	switch (rpc_head_read(message->data, message->len, &question.head)) {
	case RPC_HEAD_NONE:
		return STATUS_PROTOCOL;
	case RPC_HEAD_MSGID:
		return answer_bad_envelope(session, &question.head, message);
	case RPC_HEAD_WHOLE:
		break;
	}
	question.method = find_method(session, question.head.method);
	if (question.method == NULL) {
		return answer_unknown(session, &question.head);
	}
	if ((question.roles & (unsigned)question.method->role) == 0) {
		return answer_denied(session, &question);
	}

	if (is_late(session, question.method)) {
		return answer_late(session, &question);
	}
	const enum method_place place = question.method->place;
	bool here = (place == METHOD_INLINE || place == METHOD_SEARCH) &&
		    message->elements <= DISPATCH_INLINE_ELEMENTS;
	enum status status = here ? run_here(session, &question) : STATUS_AGAIN;
	return status == STATUS_AGAIN ? send_away(session, &question, message, is_cold) : status;
}

bool dispatch_refuse(struct session *session, enum status status)
{
	struct read_buffer *in = &session->in;
	struct rpc_head head;
	struct error err;
	loop_assert_here(session->loop);
	assert(status != STATUS_OK);
	if (rpc_head_read(in->data + in->at, in->len - in->at, &head) == RPC_HEAD_NONE) {
		return false;
	}
	if (status == STATUS_TOO_LARGE) {
		error_set(&err, status, "a message may have %u bytes, %u elements and %u levels",
			LIMIT_MESSAGE_BYTES, LIMIT_MESSAGE_ELEMENTS, LIMIT_MESSAGE_DEPTH);
	} else if (status == STATUS_DENIED) {
		error_set(&err, status, "a peer without a role may send requests of %d bytes",
			GUARD_STRANGER_BYTES);
	} else if (status == STATUS_PROTOCOL) {
		error_set(&err, status, "the byte 0xc1 is not MessagePack");
	} else if (session->held) {
		error_set(&err, status, "the writes of other users come first: wait for a merge");
	} else {
		error_set(&err, status, "there is no memory for the request");
	}
	loop_count_call(session->loop, NULL, status);
	reply_error(session, &head, &err);
	return true;
}
