/* local.c - runs requests on a folder in the caller's process.
 *
 *   message -> skim -> method -> wait for min_sequence -> is it too old? -> run
 *
 * A request runs as on a loop of the daemon first, within a short snapshot, for which no lock is taken. What would take
 * over a millisecond, or has to read from the disk, answers AGAIN, and runs again as in the daemon's pool: it pins what
 * it reads, so that nothing waits for it.
 */
#include "daemon/local/local.h"

#include "daemon/local/local_figures.h"
#include "daemon/local/local_methods.h"
#include "daemon/local/local_state.h"
#include "daemon/method/call/answer.h"
#include "daemon/method/call/method.h"
#include "daemon/store/system/clock.h"
#include "schema/limits.h"

#include <assert.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	/* As in the daemon (net/dispatch.c): to parse more takes over a millisecond. */
	INLINE_ELEMENTS = 16384,
	NS_PER_MS = 1000 * 1000,
	WAIT_NS = 100 * 1000, /* between two looks whether a write was applied */
};

struct local {
	struct local_options options;
	char *folder; /* owned */
	/* The process that `state` is of, and whether it is being opened for it just now. */
	_Atomic int64_t owner;
	struct local_state *state;
	atomic_uint handles;
};

struct local_handle {
	struct grace_reader reader; /* first, since it has lines of its own */
	struct local *local;
	pid_t pid; /* in which `reader` is listed */
	unsigned slot;
	uint64_t min_sequence;
	struct local_lag lag;
	struct wire_message *parsed; /* owned: memory of the last request */
	struct wire_writer out;      /* owned */
};

/* ---- open and close ---- */

enum status local_open(const struct local_options *options, struct local **out, struct error *err)
{
	struct local *local = calloc(1, sizeof *local);
	char *folder = local == NULL ? NULL : strdup(options->folder);
	if (folder == NULL) {
		free(local);
		return error_set(err, STATUS_NO_MEMORY, "open '%s'", options->folder);
	}
	local->folder = folder;
	local->options = *options;
	local->options.folder = folder;
	atomic_init(&local->owner, (int64_t)getpid());
	const enum status status = local_state_open(&local->options, &local->state, err);
	if (status != STATUS_OK) {
		free(folder);
		free(local);
		return status;
	}
	*out = local;
	return STATUS_OK;
}

void local_close(struct local *local)
{
	if (local == NULL) {
		return;
	}
	assert(atomic_load(&local->handles) == 0);
	/* In a child that has not called, its parent's threads are not there, and neither are the locks in order. */
	if (atomic_load(&local->owner) == (int64_t)getpid()) {
		local_state_close(local->state);
	}
	free(local->folder);
	free(local);
}

enum status local_handle_open(struct local *local, struct local_handle **out, struct error *err)
{
	struct local_handle *handle =
		aligned_alloc(_Alignof(struct local_handle), sizeof(struct local_handle));
	if (handle == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "open a handle");
	}
	memset(handle, 0, sizeof *handle);
	handle->local = local;
	handle->pid = getpid();
	handle->lag.lag_ms = LOCAL_LAG_UNKNOWN;
	grace_reader_init(&handle->reader);
	handle->slot = slot_reserve();
	atomic_fetch_add(&local->handles, 1);
	*out = handle;
	return STATUS_OK;
}

void local_handle_close(struct local_handle *handle)
{
	if (handle == NULL) {
		return;
	}
	if (handle->pid == getpid()) {
		grace_reader_fini(&handle->reader);
	}
	slot_let_go(handle->slot);
	atomic_fetch_sub(&handle->local->handles, 1);
	wire_close(handle->parsed);
	wire_writer_fini(&handle->out);
	free(handle);
}

/* ---- fork ---- */

/* After a fork nothing of the parent's is used: its threads are not there, and a lock may be held by one of them. So the
 * child opens the folder anew, once. What it has of its parent's memory is left as it is. */
static enum status open_in_child(struct local *local, int64_t pid, struct error *err)
{
	struct local_state *state = NULL;
	int64_t owner = atomic_load(&local->owner);
	while (owner != pid) {
		if (owner == -pid) { /* another thread of this process does it */
			(void)sched_yield();
			owner = atomic_load(&local->owner);
			continue;
		}
		if (!atomic_compare_exchange_strong(&local->owner, &owner, -pid)) {
			continue;
		}
		const enum status status = local_state_open(&local->options, &state, err);
		if (status != STATUS_OK) {
			atomic_store(&local->owner, owner); /* the next call tries again */
			return status;
		}
		local->state = state;
		atomic_store(&local->owner, pid);
		owner = pid;
	}
	return STATUS_OK;
}

static enum status check_process(struct local_handle *handle, struct error *err)
{
	const pid_t pid = getpid();
	if (atomic_load_explicit(&handle->local->owner, memory_order_acquire) != (int64_t)pid) {
		const enum status status = open_in_child(handle->local, (int64_t)pid, err);
		if (status != STATUS_OK) {
			return status;
		}
	}
	if (handle->pid != pid) {
		grace_reader_init(&handle->reader);
		handle->pid = pid;
	}
	return STATUS_OK;
}

/* ---- a call ---- */

/* Waits until the write that the caller has named is applied. */
static enum status await_sequence(struct local_handle *handle, const struct stop *stop,
	struct error *err)
{
	struct local_state *state = handle->local->state;
	const struct timespec pause = {.tv_nsec = WAIT_NS};
	enum status status = STATUS_OK;
	while (status == STATUS_OK && atomic_load_explicit(&state->applied, memory_order_acquire) <
					      handle->min_sequence) {
		if (!state->has_follower) {
			return error_set(err, STATUS_UNSUPPORTED,
				"min_sequence: the folder has no file 'visible', so no write is followed, and "
				"%" PRIu64 " is not in it",
				handle->min_sequence);
		}
		if (state->options.follow == LOCAL_FOLLOW_RELEASES) {
			return error_set(err, STATUS_UNSUPPORTED,
				"min_sequence: writes are not followed, so this reader has %" PRIu64
				" only after a merge",
				handle->min_sequence);
		}
		status = stop_check(stop, err);
		(void)nanosleep(&pause, NULL);
	}
	return status;
}

/* Notes how old what the call sees is, and refuses what is older than was allowed. */
static enum status check_lag(struct local_handle *handle, struct error *err)
{
	bool is_alive;
	struct local_state *state = handle->local->state;
	const struct local_options *options = &handle->local->options;
	handle->lag.sequence = atomic_load(&state->applied);
	handle->lag.lag_ms = local_state_lag(state, &is_alive);
	if (!options->has_max_lag || (handle->lag.lag_ms != LOCAL_LAG_UNKNOWN &&
					     handle->lag.lag_ms <= options->max_lag_ms)) {
		return STATUS_OK;
	}
	if (handle->lag.lag_ms == LOCAL_LAG_UNKNOWN) {
		return error_set(err, STATUS_BUSY, "nobody says how far the reader is behind%s",
			atomic_load(&state->is_full) ? ": memory_max is reached, until a merge"
						     : "");
	}
	return error_set(err, STATUS_BUSY, "reader is %" PRId64 ".%" PRId64 " s behind%s",
		handle->lag.lag_ms / 1000, handle->lag.lag_ms % 1000 / 100,
		!is_alive                      ? ": no daemon writes to the folder"
		: atomic_load(&state->is_full) ? ": memory_max is reached, until a merge"
					       : "");
}

/* Runs it as a loop of the daemon would, and if need be, as its pool would. */
static enum status run(struct local_handle *handle, struct question *question)
{
	struct write_ticket *ticket = NULL;
	bool is_cold = false;
	const enum method_place place = question->method->place;
	enum status status = STATUS_AGAIN;
	if ((place == METHOD_INLINE || place == METHOD_SEARCH) &&
		question->elements <= INLINE_ELEMENTS) {
		question->parsed = &handle->parsed;
		question->is_cold = &is_cold;
		status = answer_run(question, NULL, &handle->out);
		question->is_cold = NULL;
	}
	if (status == STATUS_AGAIN) {
		status = answer_run(question, &ticket, &handle->out);
		assert(ticket == NULL); /* no method of a reader writes */
	}
	return status;
}

/* Answers a message whose head was read. */
static enum status answer(struct local_handle *handle, struct question *question,
	unsigned timeout_ms)
{
	struct error err;
	uint64_t given;
	struct rpc_envelope envelope;
	const struct wire_bytes message = question->message;
	if (question->head.method.data == NULL) {
		/* Method or params are wrong; a parse says which. */
		enum status status = wire_reopen(message.data, message.len, &handle->parsed);
		status = status == STATUS_OK
				 ? rpc_read(wire_root(handle->parsed), &envelope, &err)
				 : error_set(&err, status, "the request could not be parsed");
		if (status == STATUS_OK) {
			error_set(&err, STATUS_INTERNAL, "the request's head could not be read");
		}
		answer_error(&question->head, &err, &handle->out, 0);
		return err.status;
	}
	const struct wire_bytes name = question->head.method;
	if (local_method_find((const char *)name.data, name.len, &question->method, &err) !=
		STATUS_OK) {
		answer_error(&question->head, &err, &handle->out, 0);
		return err.status;
	}
	const bool is_given = rpc_param_read(message.data, message.len, "timeout_ms", &given);
	question->stop.timeout_ms = is_given && given > 0 ? given : timeout_ms;
	const bool reads = (unsigned)question->method->role == (unsigned)ROLE_READ;
	if (reads && (await_sequence(handle, &question->stop, &err) != STATUS_OK ||
			     check_lag(handle, &err) != STATUS_OK)) {
		answer_error(&question->head, &err, &handle->out, 0);
		return err.status;
	}
	return run(handle, question);
}

/* A message that is over the limits, or is none. */
static enum status refuse(struct local_handle *handle, enum status status, const uint8_t *request,
	size_t len, struct error *err)
{
	struct rpc_head head;
	struct error why;
	if (status == STATUS_TOO_LARGE) {
		error_set(&why, status, "a message may have %u bytes, %u elements and %u levels",
			LIMIT_MESSAGE_BYTES, LIMIT_MESSAGE_ELEMENTS, LIMIT_MESSAGE_DEPTH);
	} else {
		error_set(&why, STATUS_PROTOCOL, "request: it is no whole message");
	}
	if (status == STATUS_AGAIN || rpc_head_read(request, len, &head) == RPC_HEAD_NONE) {
		return error_set(err, why.status, "%s", why.text);
	}
	answer_error(&head, &why, &handle->out, 0);
	return STATUS_OK;
}

static enum status call(struct local_handle *handle, const uint8_t *request, size_t len,
	unsigned timeout_ms, struct error *err)
{
	struct wire_skim skim = {0};
	enum status status = wire_skim(&skim, request, len);
	if (status == STATUS_OK && skim.at != len) {
		status = STATUS_AGAIN;
	}
	if (status != STATUS_OK) {
		return refuse(handle, status, request, len, err);
	}
	const uint64_t began_ns = clock_monotonic_ns();
	const struct local_options *options = &handle->local->options;
	struct stop_asking asking = {
		.is_over = options->interrupted,
		.context = options->interrupted_context,
		.next_ns = began_ns + STOP_ASK_NS,
	};
	struct question question = {
		.stop = {.read_ms = began_ns / NS_PER_MS,
			.asking = options->interrupted != NULL ? &asking : NULL},
		.service = &handle->local->state->service,
		.message = {.data = request, .len = len},
		.elements = skim.elements,
		.client = "",
		.roles = ROLE_ANYBODY | ROLE_READ,
	};
	switch (rpc_head_read(request, len, &question.head)) {
	case RPC_HEAD_NONE:
		return error_set(err, STATUS_PROTOCOL, "request: it is no MessagePack-RPC");
	case RPC_HEAD_MSGID:
		question.head.method = (struct wire_bytes){0};
		break;
	case RPC_HEAD_WHOLE:
		break;
	}
	status = answer(handle, &question, timeout_ms);
	if (question.method != NULL) {
		local_figures_count(handle->local->state, question.method, status != STATUS_OK,
			clock_monotonic_ns() - began_ns);
	}
	return handle->out.status == STATUS_OK
		       ? STATUS_OK
		       : error_set(err, handle->out.status, "the answer could not be written");
}

enum status local_call(struct local_handle *handle, const uint8_t *request, size_t len,
	unsigned timeout_ms, struct wire_bytes *response, struct error *err)
{
	enum status status = check_process(handle, err);
	if (status != STATUS_OK) {
		return status;
	}
	struct grace_reader *reader = grace_lend(&handle->reader);
	const unsigned slot = slot_lend(handle->slot);
	wire_writer_clear(&handle->out);
	status = call(handle, request, len, timeout_ms, err);
	(void)slot_lend(slot);
	(void)grace_lend(reader);
	*response = (struct wire_bytes){.data = handle->out.data, .len = handle->out.len};
	return status;
}

void local_set_min_sequence(struct local_handle *handle, uint64_t sequence)
{
	handle->min_sequence = sequence;
}

void local_last_lag(const struct local_handle *handle, struct local_lag *out)
{
	*out = handle->lag;
}

/* ---- figures ---- */

/* NULL: a child that has not called yet. */
static const struct local_state *state_here(const struct local *local)
{
	return atomic_load(&local->owner) == (int64_t)getpid() ? local->state : NULL;
}

void local_stats(const struct local *local, struct local_stats *out)
{
	const struct local_state *state = state_here(local);
	*out = (struct local_stats){.lag_ms = LOCAL_LAG_UNKNOWN};
	if (state != NULL) {
		local_figures(state, out);
	}
}

size_t local_method_stats(const struct local *local, struct local_method_stats out[LOCAL_METHODS])
{
	const struct local_state *state = state_here(local);
	return state != NULL ? local_figures_methods(state, out) : 0;
}

enum status local_table_stats(const struct local *local, struct local_table_stats **out,
	size_t *count)
{
	const struct local_state *state = state_here(local);
	*out = NULL;
	*count = 0;
	return state != NULL ? local_figures_tables(state, out, count) : STATUS_OK;
}
