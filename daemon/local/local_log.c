/* local_log.c - reads frames of the log and links their rows into the memtables of a snapshot. */
#include "daemon/local/local_state.h"

#include "daemon/store/fold/replay.h"
#include "daemon/store/log/redo_file.h"
#include "daemon/store/system/clock.h"

#include <assert.h>
#include <inttypes.h>

/* How far into the file that is read now. */
static uint64_t limit_of(const struct local_state *state, const struct local_reach *reach)
{
	return reach->file == state->log.file ? reach->offset : UINT64_MAX;
}

static enum status apply_frame(struct local_state *state, const struct snapshot *snapshot,
	const uint8_t *data, const struct frame_head *head, struct error *err)
{
	struct store *store = state->store;
	const struct replay replay = {snapshot, &store->usage, .positions = false};
	if (snapshot != atomic_load(&store->current)) {
		/* Nobody reads what it has superseded. */
		atomic_store(&store->usage.horizon, head->sequence - 1);
	}
	const enum status status = replay_frame(&replay, data, head, err);
	if (status == STATUS_OK) {
		atomic_fetch_add_explicit(&state->frames, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&state->log_bytes, head->bytes, memory_order_relaxed);
	}
	return status;
}

/* Whether the writes may take more memory. */
static bool has_room(struct local_state *state)
{
	const uint64_t most = state->options.memory_max;
	return most == 0 || atomic_load(&state->store->usage.bytes) < most + state->memory_before;
}

/* Goes on with the file behind the one that has no more frames. NOT_FOUND: there is none. */
static enum status next_file(struct local_state *state, const struct local_reach *reach,
	struct error *err)
{
	struct redo_follow *log = &state->log;
	const uint64_t due = log->next_sequence;
	const bool has_rest = redo_follow_has_rest(log);
	const enum status status = redo_follow_begin(log, log->file + 1, err);
	if (status == STATUS_AGAIN && reach->file != 0) {
		return STATUS_NOT_FOUND; /* it was made just now */
	}
	if (status != STATUS_OK) {
		return status == STATUS_AGAIN ? STATUS_NOT_FOUND : status;
	}
	if (has_rest || log->next_sequence != due) {
		return error_set(err, STATUS_CORRUPT,
			"log: file %" PRIu64 " begins at frame %" PRIu64 ", expected %" PRIu64
			": a frame before it is damaged",
			log->file, log->next_sequence, due);
	}
	return STATUS_OK;
}

/* At the end of a log that nobody writes: is what follows the last good frame damage? A start would say so, too. */
static enum status check_end(struct local_state *state, struct error *err)
{
	struct redo_read read;
	const struct redo_options options = {
		.folder = state->log_folder,
		.may_be_cut = true, /* by a daemon that starts just now */
	};
	if (!redo_follow_has_rest(&state->log)) {
		return STATUS_OK;
	}
	const enum status status = redo_file_read(&options, state->log.file, 0, true, &read, err);
	return status == STATUS_AGAIN ? STATUS_OK : status;
}

/* Does what is to be done where no good frame stands. AGAIN: there is no more. */
static enum status pass_end(struct local_state *state, const struct local_reach *reach,
	struct error *err)
{
	if (reach->file != 0 && state->log.file >= reach->file) {
		return error_set(err, STATUS_CORRUPT,
			"log: file %" PRIu64 " at %" PRIu64 ": frame %" PRIu64
			" is visible, and not there",
			state->log.file, state->log.at, state->log.next_sequence);
	}
	const enum status status = next_file(state, reach, err);
	if (status == STATUS_NOT_FOUND && reach->file == 0) {
		const enum status end = check_end(state, err);
		return end == STATUS_OK ? STATUS_AGAIN : end;
	}
	return status;
}

/* Whether the opening goes on. The caller's function is asked outside of the grace period that nobody else's end
 * may wait for: what is read into is of this thread alone. */
static enum status ask(const struct local_state *state, const struct snapshot *snapshot,
	struct error *err)
{
	if (state->opening == NULL || snapshot == atomic_load(&state->store->current)) {
		return STATUS_OK;
	}
	grace_leave();
	const enum status status = local_state_check_opening(state, err);
	grace_enter();
	return status;
}

enum status local_log_apply(struct local_state *state, const struct snapshot *snapshot,
	const struct local_reach *reach, uint64_t until_ns, struct error *err)
{
	struct redo_follow *log = &state->log;
	enum status status = STATUS_OK;
	assert(grace_is_inside());
	while (status == STATUS_OK && log->next_sequence <= reach->sequence) {
		const uint8_t *data;
		struct frame_head head;
		status = ask(state, snapshot, err);
		if (status != STATUS_OK) {
			break;
		}
		if (!has_room(state)) {
			status = error_set(err, STATUS_BUSY, "memory_max is reached");
			break;
		}
		if (until_ns != 0 && clock_monotonic_ns() >= until_ns) {
			return STATUS_AGAIN;
		}
		status = redo_follow_next(log, limit_of(state, reach), &data, &head, err);
		if (status == STATUS_OK) {
			status = apply_frame(state, snapshot, data, &head, err);
			/* A frame that went in half is not visible; nothing goes on behind it. */
			log->next_sequence =
				status == STATUS_OK ? log->next_sequence : head.sequence;
		} else if (status == STATUS_AGAIN) {
			status = pass_end(state, reach, err);
			if (status == STATUS_AGAIN) {
				status = STATUS_OK; /* the end of a log that nobody writes */
				break;
			}
		}
	}
	redo_follow_pause(log);
	return status;
}

enum status local_log_replay(struct local_state *state, const struct snapshot *snapshot,
	const struct local_reach *reach, struct error *err)
{
	struct redo_follow *log = &state->log;
	const uint64_t first = snapshot->log_first_file == 0 ? 1 : snapshot->log_first_file;
	atomic_fetch_add(&state->replays, 1);
	enum status status = redo_follow_begin(log, first, err);
	if ((status == STATUS_NOT_FOUND || status == STATUS_AGAIN) &&
		snapshot->log_first_file == 0) {
		return STATUS_OK; /* nothing was ever written */
	}
	if (status == STATUS_AGAIN) {
		/* A file that 'current' names has had its head before. */
		status = error_set(err, STATUS_CORRUPT,
			"log: the head of file %" PRIu64 " is damaged", first);
	}
	if (status == STATUS_OK && log->next_sequence > snapshot->written + 1) {
		status = error_set(err, STATUS_CORRUPT,
			"log: file %" PRIu64 " begins at frame %" PRIu64
			", the last in files of tables is %" PRIu64,
			first, log->next_sequence, snapshot->written);
	}
	if (status == STATUS_OK) {
		status = local_log_apply(state, snapshot, reach, 0, err);
	}
	if (status == STATUS_OK && reach->file == 0 && log->next_sequence <= snapshot->written) {
		status = error_set(err, STATUS_CORRUPT,
			"log: it ends at frame %" PRIu64 ", 'current' knows of %" PRIu64,
			log->next_sequence - 1, snapshot->written);
	}
	return status;
}
