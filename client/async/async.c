/* async.c - a client for event loops: opened, stepped, and its calls begun, ended and cancelled. */
#include "client/async/async.h"

#include "client/async/calls.h"
#include "client/async/side.h"
#include "client/client.h"
#include "client/clock.h"
#include "client/response.h"
#include "schema/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
	/* A daemon that owed answers for so long and said nothing is given up. */
	SILENT_US = 3 * 1000 * 1000,
};

/* ---- what is due ---- */

static int64_t sooner(int64_t left, int64_t right)
{
	return left < right ? left : right;
}

/* Until when a call has to get on. */
static int64_t due_of(const rep_async *async, const struct async_call *call)
{
	const bool waits = call->peers[ASYNC_MAIN].part == PART_QUEUED &&
			   async->sides[ASYNC_MAIN].peer.state != PEER_UP;
	return waits ? sooner(call->deadline_us, call->connect_by_us) : call->deadline_us;
}

/* Ends calls whose time is over; returns whether there were any. That one is, is known by a bound: it is
 * moved to the next call only when it is reached, so that to begin and end calls costs nothing here. */
static bool expire(rep_async *async, int64_t now_us)
{
	bool has_ended = false;
	if (now_us < async->due_us) {
		return false;
	}
	async->due_us = CLOCK_NEVER_US;
	for (uint32_t i = 0; i < async->slots_count; i++) {
		struct async_call *call = async->slots[i];
		if (!call->is_used || call->is_over) {
			continue;
		}
		const int64_t due_us = due_of(async, call);
		if (now_us < due_us) {
			async->due_us = sooner(async->due_us, due_us);
			continue;
		}
		calls_end(async, call, now_us < call->deadline_us ? STATUS_IO : STATUS_TIMEOUT,
			NULL);
		has_ended = true;
	}
	return has_ended;
}

static bool may_receive(const rep_async *async)
{
	return async->kept_bytes < CLIENT_KEPT_BYTES_MAX;
}

/* After calls whose time was over: a daemon that says nothing while it owes answers may be gone without a
 * word. */
static void give_up_silent(rep_async *async, int64_t now_us)
{
	const struct async_side *main = &async->sides[ASYNC_MAIN];
	if (main->peer.state == PEER_UP && !link_is_alone(&main->owed) && may_receive(async) &&
		now_us - main->heard_us >= SILENT_US) {
		struct error err;
		error_set(&err, STATUS_TIMEOUT, "'%s': no answer in time",
			main->peer.transport.address);
		side_lose(async, ASYNC_MAIN, &err, now_us);
	}
}

/* When the first read that may be asked twice is to be: after it has waited, and when that may be. */
static int64_t hedge_due_us(const rep_async *async)
{
	const struct peer *peer = &async->sides[ASYNC_HEDGE].peer;
	if (link_is_alone(&async->may_hedge) || peer->state != PEER_UP) {
		return CLOCK_NEVER_US;
	}
	const struct async_call *call =
		LINK_OWNER(async->may_hedge.next, struct async_call, may_hedge);
	const int64_t waited_us = call->begun_us + async->hedge.delay_us;
	const int64_t ready_us = hedge_ready_us(&async->hedge);
	return waited_us > ready_us ? waited_us : ready_us;
}

/* Sends reads that have waited for long to the second daemon as well. Those that cannot be sent there now
 * stay what they are: it may come up, or the budget may grow. */
static void hedge(rep_async *async, int64_t now_us)
{
	const struct peer *peer = &async->sides[ASYNC_HEDGE].peer;
	while (hedge_due_us(async) <= now_us) {
		struct async_call *call =
			LINK_OWNER(async->may_hedge.next, struct async_call, may_hedge);
		link_remove(&call->may_hedge);
		if (hello_need(&peer->daemon, call->needs, NULL) == STATUS_OK) {
			hedge_take(&async->hedge);
			call->hedged_us = now_us;
			side_queue(async, ASYNC_HEDGE, call);
			async->counters.hedges++;
		}
	}
}

static int64_t next_due(const rep_async *async)
{
	int64_t due_us = async->due_us;
	const struct async_side *main = &async->sides[ASYNC_MAIN];
	const struct async_side *second = &async->sides[ASYNC_HEDGE];
	if (main->peer.state != PEER_DOWN || !link_is_alone(&main->queue)) {
		due_us = sooner(due_us, peer_due_us(&main->peer));
	}
	if (async->has_hedge && (second->peer.state != PEER_DOWN || async->under_way > 0)) {
		due_us = sooner(due_us, peer_due_us(&second->peer));
	}
	due_us = sooner(due_us, hedge_due_us(async));
	return due_us;
}

static void arm_at(rep_async *async, int64_t at_us)
{
	at_us = at_us > 0 ? at_us : 1; /* a time of 0 disarms */
	const struct itimerspec when = {
		.it_value = {.tv_sec = at_us / 1000000, .tv_nsec = at_us % 1000000 * 1000}};
	if (timerfd_settime(async->timer, TFD_TIMER_ABSTIME, &when, NULL) == 0) {
		async->armed_us = at_us;
	}
}

/* The timer may fire too early, which does no harm, but not too late. */
static void arm(rep_async *async)
{
	const int64_t due_us = next_due(async);
	if (due_us < async->armed_us) {
		arm_at(async, due_us);
	}
}

static void note_timer(rep_async *async, int64_t now_us)
{
	uint64_t count = 0;
	if (now_us >= async->armed_us &&
		read(async->timer, &count, sizeof count) == (ssize_t)sizeof count) {
		async->armed_us = CLOCK_NEVER_US;
	}
}

static unsigned sides_of(const rep_async *async)
{
	return async->has_hedge ? ASYNC_PEERS : 1;
}

/* Watches the sockets for what is wanted now, and the clock. */
static void settle(rep_async *async, int64_t now_us)
{
	for (unsigned i = 0; i < sides_of(async); i++) {
		struct async_side *side = &async->sides[i];
		struct error err;
		if (peer_watch(&side->peer, may_receive(async), !link_is_alone(&side->queue),
			    &err) != STATUS_OK) {
			side_lose(async, (enum async_peer)i, &err, now_us);
		}
	}
	arm(async);
}

/* After what is no step: calls that have ended by it make the descriptor readable. */
static void settle_between(rep_async *async, int64_t now_us)
{
	settle(async, now_us);
	if (!link_is_alone(&async->done) && async->armed_us > now_us) {
		arm_at(async, now_us);
	}
}

void rep_async_step(rep_async *async)
{
	const int64_t now_us = clock_now_us();
	note_timer(async, now_us);
	for (unsigned i = 0; i < sides_of(async); i++) {
		side_send(async, (enum async_peer)i, now_us);
		if (may_receive(async)) {
			side_receive(async, (enum async_peer)i, now_us);
		}
	}
	if (expire(async, now_us)) {
		give_up_silent(async, now_us);
	}
	if (async->has_hedge) {
		hedge(async, now_us);
		side_send(async, ASYNC_HEDGE, now_us);
	}
	settle(async, now_us);
}

void async_connect(rep_async *async)
{
	const int64_t now_us = clock_now_us();
	for (unsigned i = 0; i < sides_of(async); i++) {
		peer_tend(&async->sides[i].peer, now_us);
	}
	settle(async, now_us);
}

/* ---- calls ---- */

static enum status check_gone(const rep_async *async, struct error *err)
{
	return !async->is_gone ? STATUS_OK
			       : error_set(err, STATUS_CLOSED, "the connection is gone: %s",
					 async->sides[ASYNC_MAIN].peer.error.text);
}

enum status async_begin(rep_async *async, enum call_kind kind, struct async_call **out,
	struct error *err)
{
	enum status status = check_gone(async, err);
	if (status == STATUS_OK) {
		status = calls_new(async, out, err);
	}
	if (status == STATUS_OK) {
		(*out)->kind = kind;
		(*out)->is_read = kind == CALL_FETCH || kind == CALL_RETRIEVE || kind == CALL_SCORE;
		async->request.msgid = (uint32_t)(*out)->ticket;
		/* Who it will be is not known before there is a connection. */
		const struct peer *main = &async->sides[ASYNC_MAIN].peer;
		async->request.can_trace =
			main->state != PEER_UP || (main->daemon.features & HELLO_TRACE) != 0;
	}
	return status;
}

static enum status copy_request(const rep_async *async, struct async_call *call, struct error *err)
{
	const struct request *request = &async->request;
	call->len = request->writer.len + request->tail.len;
	call->needs = request->needs;
	if (async->queued_bytes > 0 && async->queued_bytes + call->len > async->send_bytes_max) {
		return error_set(err, STATUS_BUSY,
			"%zu bytes wait to be sent, %zu more do not fit into %zu; send it later",
			async->queued_bytes, call->len, async->send_bytes_max);
	}
	call->bytes = malloc(call->len);
	if (call->bytes == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for a request of %zu bytes",
			call->len);
	}
	memcpy(call->bytes, request->writer.data, request->writer.len);
	if (request->tail.len > 0) {
		memcpy(call->bytes + request->writer.len, request->tail.data, request->tail.len);
	}
	return STATUS_OK;
}

static void abandon(rep_async *async, struct async_call *call)
{
	call->is_taken = true;
	calls_end(async, call, STATUS_INTERNAL, NULL);
}

static void set_times(rep_async *async, struct async_call *call, int64_t now_us)
{
	const int64_t timeout_us = (int64_t)async->request.timeout_ms * 1000;
	call->begun_us = now_us;
	call->deadline_us = timeout_us != 0 ? now_us + timeout_us : CLOCK_NEVER_US;
	call->connect_by_us = now_us + (int64_t)async->options.connect_timeout_ms * 1000;
	const bool is_up = async->sides[ASYNC_MAIN].peer.state == PEER_UP;
	async->due_us = sooner(async->due_us, call->deadline_us);
	if (!is_up) {
		async->due_us = sooner(async->due_us, call->connect_by_us);
	}
}

/* A write over a connection whose peer has left, which nobody noticed yet, would be lost without need. */
static void drop_dead(rep_async *async, int64_t now_us)
{
	struct async_side *main = &async->sides[ASYNC_MAIN];
	if (main->peer.state == PEER_UP && link_is_alone(&main->owed) &&
		transport_dead(&main->peer.transport)) {
		struct error err;
		error_set(&err, STATUS_CLOSED, "'%s': the daemon closed the connection",
			main->peer.transport.address);
		side_lose(async, ASYNC_MAIN, &err, now_us);
	}
}

enum status async_commit(rep_async *async, struct async_call *call, enum status written,
	uint64_t *ticket, struct error *err)
{
	if (call == NULL) {
		return written;
	}
	enum status status = written;
	if (status == STATUS_OK) {
		status = request_check(&async->request, err);
	}
	const struct peer *main = &async->sides[ASYNC_MAIN].peer;
	if (status == STATUS_OK && main->state == PEER_UP) {
		status = hello_need(&main->daemon, async->request.needs, err);
	}
	const int64_t now_us = clock_now_us();
	if (status == STATUS_OK && !call->is_read) {
		drop_dead(async, now_us);
		status = check_gone(async, err);
	}
	if (status == STATUS_OK) {
		status = copy_request(async, call, err);
	}
	if (status != STATUS_OK) {
		abandon(async, call);
		return status;
	}
	set_times(async, call, now_us);
	async->counters.calls++;
	if (async->has_hedge && call->is_read && call->kind != CALL_ANY) {
		call->is_hedgeable = true;
		hedge_note_read(&async->hedge);
		link_append(&async->may_hedge, &call->may_hedge);
	}
	side_queue(async, ASYNC_MAIN, call);
	*ticket = call->ticket;
	side_send(async, ASYNC_MAIN, now_us);
	settle_between(async, now_us);
	return STATUS_OK;
}

bool rep_async_next(rep_async *async, uint64_t *ticket)
{
	if (link_is_alone(&async->done)) {
		return false;
	}
	struct async_call *call = LINK_OWNER(async->done.next, struct async_call, done);
	link_remove(&call->done);
	*ticket = call->ticket;
	return true;
}

static void let_go(rep_async *async, struct async_call *call)
{
	const bool was_full = !may_receive(async);
	call->is_taken = true;
	calls_drop_answer(async, call);
	calls_free_if_done(async, call);
	if (was_full && may_receive(async)) {
		settle_between(async, clock_now_us());
	}
}

/* Says why a call ended without an answer. */
static enum status fail(const rep_async *async, const struct async_call *call, struct error *err)
{
	const struct peer *main = &async->sides[ASYNC_MAIN].peer;
	const char *address = main->transport.address;
	const bool is_told = main->state == PEER_UP || main->error.status == STATUS_TIMEOUT;
	if (call->status == STATUS_TIMEOUT) {
		return error_set(err, call->status, "'%s': no answer in time%s%s", address,
			is_told ? "" : ": ", is_told ? "" : main->error.text);
	}
	if (call->status == STATUS_CLOSED) {
		return error_set(err, call->status,
			"'%s': the connection was lost before the answer%s", address,
			call->is_read ? "" : "; whether it was done is not known");
	}
	if (call->status == STATUS_IO) {
		return error_set(err, call->status, "no connection%s: %s",
			async->is_gone ? "" : " in time",
			main->error.status != STATUS_OK ? main->error.text : address);
	}
	if (call->status == STATUS_UNSUPPORTED) {
		return error_set(err, call->status, "'%s' lacks a feature that the call needs",
			address);
	}
	return error_set(err, call->status, "no memory for an answer");
}

/* Parses an answer. An error that the daemon answered is returned as the status. */
static enum status open_answer(struct async_call *call, struct async_reply *out, struct error *err)
{
	struct rpc_envelope envelope = {0};
	out->bytes = call->answer;
	enum status status = response_open(call->answer, &out->message, &envelope, err);
	if (status == STATUS_OK && envelope.failed) {
		status = response_error(envelope.error, err);
	}
	if (status != STATUS_OK) {
		wire_close(out->message);
		out->message = NULL;
	}
	out->result = envelope.result;
	return status;
}

/* Who answers what nobody understands is not asked again over the same connection. */
static void give_up_answerer(rep_async *async, const struct async_call *call)
{
	const enum async_peer which = call->answered_by;
	const struct peer *peer = &async->sides[which].peer;
	if (peer->state == PEER_UP && peer->losses == call->answered_losses) {
		struct error err;
		error_set(&err, STATUS_PROTOCOL, "an answer of another shape");
		const int64_t now_us = clock_now_us();
		side_lose(async, which, &err, now_us);
		settle_between(async, now_us);
	}
}

enum status async_take(rep_async *async, uint64_t ticket, enum call_kind kind,
	struct async_reply *out, struct error *err)
{
	struct async_call *call = calls_find(async, ticket);
	*out = (struct async_reply){.call = call};
	if (call == NULL || call->kind != kind || !call->is_over) {
		return error_set(err, STATUS_BAD_REQUEST, "ticket: %llu is %s",
			(unsigned long long)ticket,
			call == NULL         ? "of no call, or its result was taken"
			: call->kind != kind ? "of another kind of call"
					     : "of a call that has not ended");
	}
	link_remove(&call->done); /* it may be taken before rep_async_next came to it */
	const enum status status =
		call->status == STATUS_OK ? open_answer(call, out, err) : fail(async, call, err);
	if (status == STATUS_PROTOCOL && call->status == STATUS_OK) {
		give_up_answerer(async, call);
	}
	if (status != STATUS_OK) {
		let_go(async, call);
	}
	return status;
}

enum status async_taken(rep_async *async, struct async_reply *reply, enum status read)
{
	wire_close(reply->message);
	if (read == STATUS_TOO_LARGE) {
		return read;
	}
	if (read == STATUS_PROTOCOL) {
		give_up_answerer(async, reply->call);
	}
	let_go(async, reply->call);
	return read;
}

void rep_async_cancel(rep_async *async, uint64_t ticket)
{
	struct async_call *call = calls_find(async, ticket);
	if (call == NULL) {
		return;
	}
	if (call->is_over) {
		link_remove(&call->done);
		let_go(async, call);
	} else {
		call->is_taken = true;
		calls_end(async, call, STATUS_CLOSED, NULL);
	}
}

enum rep_status rep_async_set_trace(rep_async *async, const char *trace, struct rep_error *err)
{
	return (enum rep_status)request_set_trace(&async->request, trace, client_error(err));
}

void rep_async_set_timeout(rep_async *async, unsigned timeout_ms)
{
	async->request.timeout_ms = timeout_ms;
}

int rep_async_fd(const rep_async *async)
{
	return async->epoll;
}

void rep_async_count(const rep_async *async, struct rep_async_counters *out)
{
	*out = async->counters;
	out->under_way = async->under_way;
	out->losses = async->sides[ASYNC_MAIN].peer.losses;
}
