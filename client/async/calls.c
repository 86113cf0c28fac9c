/* calls.c - slots, of which a ticket is the number and a generation. */
#include "client/async/calls.h"

#include "client/async/side.h"
#include "client/clock.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	SLOT_BITS = 16,
	SLOTS_MAX = 1 << SLOT_BITS,
	SLOTS_MIN = 64,
};

static uint32_t slot_of(uint64_t number)
{
	return (uint32_t)(number & (SLOTS_MAX - 1));
}

static enum status grow(rep_async *async, struct error *err)
{
	if (async->slots_count < async->slots_cap) {
		return STATUS_OK;
	}
	const uint32_t cap = async->slots_cap == 0 ? SLOTS_MIN : async->slots_cap * 2;
	struct async_call **slots = realloc(async->slots, cap * sizeof(struct async_call *));
	if (slots == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for %u calls", cap);
	}
	async->slots = slots;
	async->slots_cap = cap;
	return STATUS_OK;
}

/* A slot more, in the list of idle ones. */
static enum status add_slot(rep_async *async, struct error *err)
{
	if (async->slots_count >= SLOTS_MAX) {
		return error_set(err, STATUS_BUSY,
			"%d calls are under way or were not taken; take some before more begin",
			SLOTS_MAX);
	}
	const enum status status = grow(async, err);
	if (status != STATUS_OK) {
		return status;
	}
	struct async_call *call = calloc(1, sizeof *call);
	if (call == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for a call");
	}
	call->ticket = async->slots_count;
	link_init(&call->done);
	link_append(&async->idle, &call->done);
	async->slots[async->slots_count++] = call;
	return STATUS_OK;
}

enum status calls_new(rep_async *async, struct async_call **out, struct error *err)
{
	if (link_is_alone(&async->idle)) {
		const enum status status = add_slot(async, err);
		if (status != STATUS_OK) {
			return status;
		}
	}
	struct async_call *call = LINK_OWNER(async->idle.next, struct async_call, done);
	link_remove(&call->done);
	/* The next generation of the slot; a ticket is never 0. */
	*call = (struct async_call){.ticket = call->ticket + SLOTS_MAX, .is_used = true};
	for (size_t i = 0; i < ASYNC_PEERS; i++) {
		link_init(&call->peers[i].link);
	}
	link_init(&call->may_hedge);
	link_init(&call->borrowing);
	link_init(&call->done);
	async->under_way++;
	*out = call;
	return STATUS_OK;
}

struct async_call *calls_find(const rep_async *async, uint64_t ticket)
{
	const uint32_t slot = slot_of(ticket);
	struct async_call *call = slot < async->slots_count ? async->slots[slot] : NULL;
	const bool is_it = call != NULL && call->is_used && call->ticket == ticket;
	return is_it && !call->is_taken ? call : NULL;
}

struct async_call *calls_of_msgid(const rep_async *async, uint32_t msgid)
{
	const uint32_t slot = slot_of(msgid);
	struct async_call *call = slot < async->slots_count ? async->slots[slot] : NULL;
	return call != NULL && call->is_used && (uint32_t)call->ticket == msgid ? call : NULL;
}

void calls_drop_answer(rep_async *async, struct async_call *call)
{
	link_remove(&call->borrowing);
	if (call->kept != NULL) {
		assert(async->kept_bytes >= call->answer.len);
		async->kept_bytes -= call->answer.len;
		free(call->kept);
		call->kept = NULL;
	}
	call->answer = (struct wire_bytes){0};
}

void calls_end(rep_async *async, struct async_call *call, enum status status,
	const struct wire_bytes *answer)
{
	assert(!call->is_over);
	call->is_over = true;
	call->status = status;
	if (answer != NULL) {
		call->answer = *answer;
	}
	link_remove(&call->may_hedge);
	for (unsigned i = 0; i < ASYNC_PEERS; i++) {
		side_unqueue(async, (enum async_peer)i, call);
	}
	if (!call->is_taken) {
		link_append(&async->done, &call->done);
	}
	calls_free_if_done(async, call);
}

void calls_free_if_done(rep_async *async, struct async_call *call)
{
	bool is_needed = !call->is_over || !call->is_taken;
	for (size_t i = 0; i < ASYNC_PEERS; i++) {
		is_needed = is_needed || call->peers[i].part != PART_NONE;
	}
	if (is_needed) {
		return;
	}
	calls_drop_answer(async, call);
	link_remove(&call->done);
	free(call->bytes);
	call->bytes = NULL;
	call->is_used = false;
	assert(async->under_way > 0);
	async->under_way--;
	/* The last freed is the last to be used again, so generations last. */
	link_append(&async->idle, &call->done);
}

void calls_fini(rep_async *async)
{
	for (uint32_t i = 0; i < async->slots_count; i++) {
		struct async_call *call = async->slots[i];
		if (call->is_used) {
			free(call->bytes);
			free(call->kept);
		}
		free(call);
	}
	free(async->slots);
}
