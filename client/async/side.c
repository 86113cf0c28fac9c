/* side.c - requests go out in order, answers come in any. */
#include "client/async/side.h"

#include "client/async/calls.h"
#include "client/clock.h"
#include "client/secure.h"
#include "schema/rpc_head.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

enum {
	GATHER = 64,    /* requests that one system call sends */
	LOSSES_MAX = 3, /* connections that may be lost under one read */
};

/* ---- the queue ---- */

static struct async_call *call_at(struct link *link, enum async_peer which)
{
	return LINK_OWNER(link, struct async_call, peers[which].link);
}

void side_queue(rep_async *async, enum async_peer which, struct async_call *call)
{
	assert(call->peers[which].part == PART_NONE && call->bytes != NULL);
	call->peers[which].part = PART_QUEUED;
	link_append(&async->sides[which].queue, &call->peers[which].link);
	async->queued_bytes += call->len;
}

static bool is_first(const struct async_side *side, const struct async_call *call,
	enum async_peer which)
{
	return side->queue.next == &call->peers[which].link;
}

void side_unqueue(rep_async *async, enum async_peer which, struct async_call *call)
{
	const struct async_side *side = &async->sides[which];
	const bool has_begun = is_first(side, call, which) && side->sent > 0;
	if (call->peers[which].part == PART_QUEUED && !has_begun) {
		link_remove(&call->peers[which].link);
		call->peers[which].part = PART_NONE;
		async->queued_bytes -= call->len;
	}
}

static void note_sent(rep_async *async, enum async_peer which, struct async_call *call,
	int64_t now_us)
{
	struct async_side *side = &async->sides[which];
	if (link_is_alone(&side->owed)) {
		side->heard_us = now_us;
	}
	call->peers[which].part = PART_OWED;
	link_append(&side->owed, &call->peers[which].link);
	if (!call->is_read) {
		free(call->bytes);
		call->bytes = NULL;
	}
}

/* ---- out ---- */

/* Notes that so many bytes of the queue were sent. */
static void advance(rep_async *async, enum async_peer which, size_t sent, int64_t now_us)
{
	struct async_side *side = &async->sides[which];
	side->sent += sent;
	while (!link_is_alone(&side->queue)) {
		struct async_call *call = call_at(side->queue.next, which);
		if (side->sent < call->len) {
			return;
		}
		side->sent -= call->len;
		async->queued_bytes -= call->len;
		link_remove(&call->peers[which].link);
		note_sent(async, which, call, now_us);
	}
	assert(side->sent == 0);
}

static size_t gather(const struct async_side *side, enum async_peer which, struct iovec *parts)
{
	size_t count = 0;
	size_t skip = side->sent;
	for (struct link *each = side->queue.next; each != &side->queue && count < GATHER;
		each = each->next) {
		const struct async_call *call = call_at(each, which);
		parts[count++] = (struct iovec){call->bytes + skip, call->len - skip};
		skip = 0;
	}
	return count;
}

/* Errors: CLOSED, NO_MEMORY. */
static enum status flush(rep_async *async, enum async_peer which, int64_t now_us, struct error *err)
{
	struct async_side *side = &async->sides[which];
	const enum status flushed = secure_flush(&side->peer.transport, err);
	if (flushed != STATUS_OK) {
		return flushed == STATUS_AGAIN ? STATUS_OK : flushed;
	}
	while (!link_is_alone(&side->queue)) {
		struct iovec parts[GATHER];
		size_t sent = 0;
		const size_t count = gather(side, which, parts);
		const enum status status =
			transport_try_send(&side->peer.transport, parts, count, &sent, err);
		if (status != STATUS_OK) {
			return status == STATUS_AGAIN ? STATUS_OK : status;
		}
		advance(async, which, sent, now_us);
	}
	return STATUS_OK;
}

/* ---- in ---- */

/* Copies answers that stand in the peer's buffer: it will be written over. */
static void keep(rep_async *async, enum async_peer which)
{
	struct link *borrowing = &async->sides[which].borrowing;
	while (!link_is_alone(borrowing)) {
		struct async_call *call = LINK_OWNER(borrowing->next, struct async_call, borrowing);
		link_remove(&call->borrowing);
		assert(call->answer.len > 0);
		call->kept = malloc(call->answer.len);
		if (call->kept == NULL) {
			call->status = STATUS_NO_MEMORY;
			call->answer = (struct wire_bytes){0};
			continue;
		}
		memcpy(call->kept, call->answer.data, call->answer.len);
		call->answer.data = call->kept;
		async->kept_bytes += call->answer.len;
	}
}

/* What an answer tells of the daemons, for later hedges. True: the second one is to be given up. */
static bool note_hedge(rep_async *async, enum async_peer which, const struct async_call *call,
	int64_t now_us)
{
	if (which == ASYNC_HEDGE) {
		hedge_note_heard(&async->hedge);
		return false;
	}
	hedge_note_latency(&async->hedge, now_us - call->begun_us);
	const bool is_silent = call->peers[ASYNC_HEDGE].part == PART_OWED &&
			       async->sides[ASYNC_HEDGE].heard_us < call->hedged_us;
	return is_silent && hedge_note_silent(&async->hedge, now_us);
}

static void give_up_hedge(rep_async *async, int64_t now_us)
{
	struct error err;
	error_set(&err, STATUS_TIMEOUT, "'%s': no answer to %d hedges",
		async->sides[ASYNC_HEDGE].peer.transport.address, HEDGE_SILENT_MAX);
	side_lose(async, ASYNC_HEDGE, &err, now_us);
}

/* Whether an answer is of no use: its call is over, or it is an error of the second daemon, while the first
 * one may still answer. */
static bool is_useless(const struct async_call *call, enum async_peer which, bool failed)
{
	return call->is_over ||
	       (which == ASYNC_HEDGE && failed && call->peers[ASYNC_MAIN].part != PART_NONE);
}

static enum status deliver(rep_async *async, enum async_peer which, struct wire_bytes message,
	int64_t now_us, struct error *err)
{
	struct async_side *side = &async->sides[which];
	uint32_t msgid = 0;
	bool failed = false;
	if (!rpc_response_read(message.data, message.len, &msgid, &failed)) {
		return error_set(err, STATUS_PROTOCOL,
			"'%s': the daemon sent something else than an answer",
			side->peer.transport.address);
	}
	struct async_call *call = calls_of_msgid(async, msgid);
	if (call == NULL || call->peers[which].part != PART_OWED) {
		return error_set(err, STATUS_PROTOCOL,
			"'%s': the daemon answered msgid %u, which does not wait for an answer",
			side->peer.transport.address, msgid);
	}
	peer_note_answer(&side->peer);
	link_remove(&call->peers[which].link);
	call->peers[which].part = PART_NONE;
	const bool is_silent = call->is_hedgeable && note_hedge(async, which, call, now_us);
	if (is_useless(call, which, failed)) {
		async->counters.late++;
		calls_free_if_done(async, call);
	} else {
		async->counters.hedges_won += which == ASYNC_HEDGE;
		call->answered_by = which;
		call->answered_losses = side->peer.losses;
		link_append(&side->borrowing, &call->borrowing);
		calls_end(async, call, STATUS_OK, &message);
	}
	if (is_silent) {
		give_up_hedge(async, now_us);
	}
	return STATUS_OK;
}

/* Receives once: whoever polls comes again if there is more. */
static enum status receive(rep_async *async, enum async_peer which, int64_t now_us,
	struct error *err)
{
	struct async_side *side = &async->sides[which];
	keep(async, which);
	enum status status = transport_fill(&side->peer.transport, err);
	if (status == STATUS_OK) {
		side->heard_us = now_us;
	}
	while (status == STATUS_OK) {
		struct wire_bytes message = {0};
		status = transport_take(&side->peer.transport, &message, err);
		if (status == STATUS_OK) {
			status = deliver(async, which, message, now_us, err);
		}
	}
	return status == STATUS_AGAIN ? STATUS_OK : status;
}

/* Ends the calls that wait for a connection and need what this daemon lacks. */
static void end_unsupported(rep_async *async, enum async_peer which)
{
	struct async_side *side = &async->sides[which];
	for (struct link *each = side->queue.next; each != &side->queue;) {
		struct async_call *call = call_at(each, which);
		each = each->next;
		if (hello_need(&side->peer.daemon, call->needs, NULL) == STATUS_OK) {
			continue;
		}
		if (which == ASYNC_MAIN && !call->is_over) {
			calls_end(async, call, STATUS_UNSUPPORTED, NULL);
		} else {
			side_unqueue(async, which, call);
			calls_free_if_done(async, call);
		}
	}
}

/* False: there is no connection now. */
static bool is_connected(rep_async *async, enum async_peer which, int64_t now_us)
{
	struct peer *peer = &async->sides[which].peer;
	const bool is_wanted = peer->state != PEER_DOWN ||
			       !link_is_alone(&async->sides[which].queue) ||
			       (which == ASYNC_HEDGE && async->under_way > 0);
	if (peer->state != PEER_UP && is_wanted) {
		peer_tend(peer, now_us);
		if (peer->state == PEER_UP) {
			end_unsupported(async, which);
		}
	}
	return peer->state == PEER_UP;
}

void side_send(rep_async *async, enum async_peer which, int64_t now_us)
{
	struct error err = {.status = STATUS_OK};
	if (is_connected(async, which, now_us) && flush(async, which, now_us, &err) != STATUS_OK) {
		side_lose(async, which, &err, now_us);
	}
}

void side_receive(rep_async *async, enum async_peer which, int64_t now_us)
{
	struct error err = {.status = STATUS_OK};
	if (async->sides[which].peer.state == PEER_UP &&
		receive(async, which, now_us, &err) != STATUS_OK) {
		side_lose(async, which, &err, now_us);
	}
}

/* ---- the end of a connection ---- */

/* A call whose answer will not come: it is asked again, or ends. */
static void lose_call(rep_async *async, enum async_peer which, struct async_call *call,
	struct link *again)
{
	link_remove(&call->peers[which].link);
	call->peers[which].part = PART_NONE;
	if (call->is_over) {
		calls_free_if_done(async, call);
		return;
	}
	if (which == ASYNC_HEDGE) {
		return; /* the main daemon has it, too */
	}
	call->losses++;
	if (!call->is_read || async->options.no_reconnect || call->losses >= LOSSES_MAX) {
		calls_end(async, call, STATUS_CLOSED, NULL);
		return;
	}
	call->peers[which].part = PART_QUEUED;
	async->queued_bytes += call->len;
	link_append(again, &call->peers[which].link);
}

/* Of the first request in the queue a part may have been sent for nobody: it was given up meanwhile. */
static void drop_over(rep_async *async, enum async_peer which)
{
	struct async_side *side = &async->sides[which];
	side->sent = 0;
	if (!link_is_alone(&side->queue) && call_at(side->queue.next, which)->is_over) {
		struct async_call *call = call_at(side->queue.next, which);
		side_unqueue(async, which, call);
		calls_free_if_done(async, call);
	}
}

/* What waits has the time of a new connection, or none. */
static void keep_waiting(rep_async *async, int64_t now_us)
{
	struct async_side *side = &async->sides[ASYNC_MAIN];
	for (struct link *each = side->queue.next; each != &side->queue; each = each->next) {
		call_at(each, ASYNC_MAIN)->connect_by_us =
			now_us + (int64_t)async->options.connect_timeout_ms * 1000;
	}
	async->due_us = now_us; /* it has to be found out again what is due */
	async->is_gone = async->options.no_reconnect;
	while (async->is_gone && !link_is_alone(&side->queue)) {
		calls_end(async, call_at(side->queue.next, ASYNC_MAIN), STATUS_IO, NULL);
	}
}

void side_lose(rep_async *async, enum async_peer which, const struct error *error, int64_t now_us)
{
	struct async_side *side = &async->sides[which];
	struct link owed;
	struct link again;
	keep(async, which);
	if (side->peer.state != PEER_DOWN) {
		peer_lose(&side->peer, now_us, error);
	}
	drop_over(async, which);
	link_move_all(&side->owed, &owed);
	link_init(&again);
	while (!link_is_alone(&owed)) {
		lose_call(async, which, call_at(owed.next, which), &again);
	}
	/* What was sent before goes before what was not. */
	link_append_all(&again, &side->queue);
	link_move_all(&again, &side->queue);
	if (which == ASYNC_MAIN) {
		keep_waiting(async, now_us);
	}
}
