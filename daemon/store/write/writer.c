/* writer.c - the commit thread, how it is stopped, and who keeps writes from being applied. */
#include "daemon/store/write/writer.h"

#include "daemon/store/fold/replay.h"
#include "daemon/store/state/options.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/system/slice.h"
#include "daemon/store/system/thread.h"
#include "daemon/store/visible/visible_page.h"
#include "daemon/store/write/backlog.h"
#include "daemon/store/write/write.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* DATA/visible is written at least so often, so that a reader can tell a quiet daemon from a dead
	 * one. */
	SHOW_MS = 100,
};

/* ---- halt ---- */

/* Keeps further writes from being applied, and waits for the end of one that is. */
static void stop_applying(struct writer *writer)
{
	atomic_fetch_add(&writer->halting, 1);
	writer_take_apply(writer);
	lock_release(&writer->apply_lock);
}

void writer_resume(struct writer *writer)
{
	writer_take_apply(writer);
	const unsigned halting = atomic_fetch_sub(&writer->halting, 1);
	assert(halting > 0);
	(void)halting;
	condition_broadcast(&writer->go);
	lock_release(&writer->apply_lock);
}

void writer_halt(struct writer *writer)
{
	stop_applying(writer);
	writer_take_group(writer);
	while (writer->first != NULL || writer->committing) {
		condition_wait(&writer->settled, &writer->group_lock);
	}
	/* Nothing stands above `visible`. */
	assert(writer->next_sequence == atomic_load(&writer->store->visible) + 1);
	lock_release(&writer->group_lock);
}

/* ---- commit ---- */

static struct write_ticket *take_all(struct writer *writer)
{
	struct write_ticket *tickets = writer->first;
	lock_assert_held(&writer->group_lock);
	assert((writer->first == NULL) == (writer->last == NULL));
	assert(writer->first != NULL || writer->waiting_bytes == 0);
	writer->first = writer->last = NULL;
	writer->waiting_bytes = 0;
	return tickets;
}

static enum status write_group(struct writer *writer, struct write_ticket *tickets,
	struct error *err)
{
	size_t count = 0;
	size_t requests = 0;
	for (struct write_ticket *at = tickets; at != NULL; at = at->next) {
		requests++;
		if (at->head.bytes == 0) {
			continue;
		}
		if (count == writer->frames_capacity) {
			const size_t capacity = count * 2 + 64;
			void *grown = realloc(writer->frames, capacity * sizeof *writer->frames);
			if (grown == NULL) {
				return error_set(err, STATUS_NO_MEMORY, "log: no memory");
			}
			writer->frames = grown;
			writer->frames_capacity = capacity;
		}
		writer->frames[count++] = (struct redo_frame){at->data, at->head.bytes};
	}
	if (count == 0) {
		return STATUS_OK;
	}
	assert(count <= writer->frames_capacity);
	atomic_fetch_add(&writer->commits, 1);
	histogram_add(&writer->group_requests, requests, 1);
	enum status status = redo_append(writer->redo, writer->frames, count, err);
	if (status == STATUS_OK && writer->store->options.write.durability == DURABILITY_SYNC) {
		status = redo_sync(writer->redo, err);
	}
	return status;
}

void writer_set_read_only(struct writer *writer, const char *reason)
{
	if (!atomic_exchange(&writer->read_only, true)) {
		store_event(writer->store, "event=read_only reason=\"%s\"", reason);
	}
}

/* Takes the group back that has failed, and all that was applied on top of it. */
static void fail_group(struct writer *writer, struct write_ticket *tickets, const struct error *err)
{
	const uint64_t visible = atomic_load(&writer->store->visible);
	if (err->status == STATUS_READ_ONLY) {
		writer_set_read_only(writer, err->text);
	}
	atomic_store(&writer->disk_full, err->status == STATUS_DISK_FULL);
	stop_applying(writer);
	writer_take_group(writer);
	assert(writer->committing);
	struct write_ticket *later = take_all(writer);
	lock_release(&writer->group_lock);
	writer_undo(writer, tickets, visible);
	writer_undo(writer, later, visible);
	/* The log stands there too, unless it takes nothing any more. */
	assert(err->status == STATUS_READ_ONLY || redo_next_sequence(writer->redo) == visible + 1);
	assert(writer->next_sequence > visible);
	writer->next_sequence = visible + 1;
	writer_resume(writer);
	writer_finish(writer, tickets, err);
	writer_finish(writer, later, err);
}

/* The sequence up to which everything is visible once a group is durable. */
static uint64_t last_sequence(const struct write_ticket *tickets, uint64_t visible)
{
	uint64_t sequence = visible;
	for (const struct write_ticket *at = tickets; at != NULL; at = at->next) {
		/* Each frame has the next one; a ticket without a frame waits for those before it. */
		assert(at->head.sequence == sequence + (at->head.bytes > 0 ? 1 : 0));
		sequence = at->head.sequence;
	}
	return sequence;
}

/* Takes the clock of the last frame of a group that is durable. */
static void note_clock(struct writer *writer, const struct write_ticket *tickets)
{
	const struct write_ticket *last = NULL;
	for (const struct write_ticket *at = tickets; at != NULL; at = at->next) {
		last = at->head.bytes > 0 ? at : last;
	}
	const bool was_ahead = writer->clock.is_ahead;
	if (last != NULL &&
		!write_clock_note(&writer->clock, last->head.clock_ms, clock_monotonic_ms()) &&
		!was_ahead) {
		store_event(writer->store,
			"event=clock_jumped reason=\"the wall clock was set forward: until it is "
			"back, or a restart, no merge removes what has expired since\"");
	}
}

/* Tells readers without the daemon what is visible. The caller commits, or holds group_lock, under which no
 * merge begins another file of the log. */
static void show(struct writer *writer)
{
	struct store *store = writer->store;
	if (writer->page == NULL) {
		return;
	}
	const struct visible now = {
		.replayed = writer->replayed,
		.visible = atomic_load_explicit(&store->visible, memory_order_relaxed),
		.file = redo_file(writer->redo),
		.offset = redo_offset(writer->redo),
		.current = atomic_load(&store->currents),
	};
	visible_page_write(writer->page, &now);
	writer->shown_ms = (uint64_t)clock_monotonic_ms();
	if (visible_page_is_lost(writer->page)) {
		visible_page_close(writer->page);
		writer->page = NULL;
		store_event(store,
			"event=visible_lost reason=\"its map cannot be written: somebody has cut the "
			"file, or the disk is full\" effect=\"readers of the folder without the daemon "
			"take it for dead until a restart\"");
	}
}

static void commit(struct writer *writer, struct write_ticket *tickets)
{
	struct error err = {.status = STATUS_OK};
	const uint64_t visible = atomic_load(&writer->store->visible);
	const uint64_t sequence = last_sequence(tickets, visible);
	const uint64_t began_ns = clock_monotonic_ns();
	err.status = write_group(writer, tickets, &err);
	const uint64_t took_ns = clock_monotonic_ns() - began_ns;
	if (err.status == STATUS_OK) {
		assert(atomic_load(&writer->read_only) ||
			redo_next_sequence(writer->redo) == sequence + 1);
		assert(visible ==
			atomic_load(&writer->store->visible)); /* no other thread moves it */
		atomic_store(&writer->disk_full, false);
		note_clock(writer, tickets);
		atomic_store_explicit(&writer->store->visible, sequence, memory_order_release);
		horizon_move(&writer->horizon);
		show(writer);
		/* Before it is acknowledged: who asks for positions then finds it counted. */
		writer_settle(writer, tickets,
			writer->store->options.write.durability == DURABILITY_SYNC);
		writer_finish(writer, tickets, &err);
	} else {
		fail_group(writer, tickets, &err);
	}
	writer_take_group(writer);
	assert(writer->committing);
	writer->committing = false;
	if (tickets != NULL) {
		writer->waiting_max = backlog_max(atomic_load(&writer->committing_bytes), took_ns);
	}
	condition_broadcast(&writer->settled);
	lock_release(&writer->group_lock);
}

/* Syncs frames that were acknowledged before they were synced (durability periodic). */
static void sync_behind(struct writer *writer)
{
	struct error err;
	if (redo_sync(writer->redo, &err) != STATUS_OK) {
		atomic_store(&writer->read_only, true);
		store_event(writer->store, "event=read_only reason=\"%s\"", err.text);
	} else {
		writer_positions_synced(writer);
	}
}

/* What the commit thread does next. */
struct turn {
	struct write_ticket *tickets; /* to be committed; NULL: none */
	bool sync;                    /* sync_behind comes first */
	uint64_t synced_ms;           /* when sync_behind was called last */
};

/* When it looks up again though nobody wakes it. */
static uint64_t next_look_ms(const struct writer *writer, const struct turn *turn)
{
	const uint64_t show_ms =
		writer->page == NULL ? CONDITION_NEVER : writer->shown_ms + SHOW_MS;
	const uint64_t sync_ms =
		redo_is_dirty(writer->redo)
			? turn->synced_ms + writer->store->options.write.sync_interval_ms
			: CONDITION_NEVER;
	return show_ms < sync_ms ? show_ms : sync_ms;
}

static bool is_time_to_sync(const struct writer *writer, const struct turn *turn)
{
	const uint64_t due_ms = turn->synced_ms + writer->store->options.write.sync_interval_ms;
	return redo_is_dirty(writer->redo) &&
	       (writer->stop || (uint64_t)clock_monotonic_ms() >= due_ms);
}

/* Waits until there is something to do; false: the writer is to stop and all is done. `committing` is
 * set under the same lock under which the tickets are taken, so that writer_halt waits for them. */
static bool wait_for_work(struct writer *writer, struct turn *turn)
{
	writer_take_group(writer);
	assert(!writer->committing);
	while (writer->first == NULL && !writer->stop && !is_time_to_sync(writer, turn)) {
		if ((uint64_t)clock_monotonic_ms() >= writer->shown_ms + SHOW_MS) {
			show(writer);
		}
		(void)condition_wait_until(&writer->work, &writer->group_lock,
			next_look_ms(writer, turn));
	}
	turn->sync = is_time_to_sync(writer, turn);
	atomic_store(&writer->committing_bytes, atomic_load(&writer->waiting_bytes));
	turn->tickets = take_all(writer);
	writer->committing = turn->tickets != NULL || turn->sync;
	const bool go_on = writer->committing || !writer->stop;
	lock_release(&writer->group_lock);
	return go_on;
}

static void *commit_main(void *arg)
{
	struct writer *writer = arg;
	/* The start has synced the log. */
	struct turn turn = {.synced_ms = (uint64_t)clock_monotonic_ms()};
	grace_register();
	slice_make_short(); /* a write waits for each of its wakings */
	while (wait_for_work(writer, &turn)) {
		if (turn.sync) {
			sync_behind(writer);
			turn.synced_ms = (uint64_t)clock_monotonic_ms();
		}
		commit(writer, turn.tickets);
		atomic_store(&writer->committing_bytes, 0);
	}
	grace_unregister();
	return NULL;
}

/* ---- open, close ---- */

static void init_locks(struct writer *writer)
{
	condition_init(&writer->work);
	condition_init(&writer->settled);
	condition_init(&writer->go);
	lock_init(&writer->apply_lock);
	lock_init(&writer->group_lock);
	slowing_init(&writer->slowing);
}

/* Notes in the catalog that there is a log: if it is missing later, it was lost. Nobody else sees the
 * snapshot yet, so it can be changed. */
static enum status note_log(struct store *store, struct error *err)
{
	struct snapshot *snapshot = store_current(store);
	if (snapshot->log_first_file != 0) {
		return STATUS_OK;
	}
	snapshot->log_first_file = 1;
	snapshot->sequence++;
	const struct catalog_change change = {.after = snapshot};
	return catalog_commit(store->catalog, &change, err);
}

static enum status on_frame(void *arg, const uint8_t *data, const struct frame_head *head,
	struct error *err)
{
	struct store *store = arg;
	write_clock_replay(&store->writer->clock, head->clock_ms);
	/* Nobody reads yet, and nothing is taken back: what frames before this one have superseded goes, so
	 * that a replay takes no more memory than the writes did. */
	atomic_store(&store->usage.horizon, head->sequence - 1);
	const struct replay replay = {store_current(store), &store->usage, .positions = true};
	return replay_frame(&replay, data, head, err);
}

static enum status open_log(struct writer *writer, struct error *err)
{
	char folder[PATH_MAX];
	struct store *store = writer->store;
	const struct snapshot *snapshot = store_current(store);
	enum status status = file_path(folder, store->folder, "log", err);
	if (status != STATUS_OK) {
		return status;
	}
	const struct redo_options options = {
		.folder = folder,
		.first_file = snapshot->log_first_file,
		.next_sequence = snapshot->written + 1,
		.on_frame = on_frame,
		.on_frame_arg = store,
	};
	const int before = grace_alone_begin(); /* samples are added to what a reader would find */
	status = redo_open(&options, &writer->redo, err);
	grace_alone_end(before);
	if (status == STATUS_OK) {
		status = note_log(store, err);
	}
	if (status == STATUS_OK) {
		writer->next_sequence = redo_next_sequence(writer->redo);
		assert(writer->next_sequence >= options.next_sequence);
		writer->replayed = writer->next_sequence - 1;
		atomic_store(&store->visible, writer->replayed);
		for (size_t i = 0; i < snapshot->release_count; i++) {
			positions_settle_all(snapshot->releases[i]->positions);
		}
	}
	return status;
}

static void stop_stocker(struct writer *writer)
{
	arena_stock_stop(&writer->store->stock);
	(void)pthread_join(writer->stocker, NULL);
}

static enum status start_threads(struct writer *writer, struct error *err)
{
	enum status status = thread_start(&writer->stocker, arena_stock_serve,
		&writer->store->stock, "stock of memory", err);
	if (status != STATUS_OK) {
		return status;
	}
	status = horizon_start(&writer->horizon, writer->store, err);
	if (status != STATUS_OK) {
		stop_stocker(writer);
		return status;
	}
	status = thread_start(&writer->thread, commit_main, writer, "commit", err);
	writer->started = status == STATUS_OK;
	if (!writer->started) {
		horizon_stop(&writer->horizon);
		stop_stocker(writer);
	}
	return status;
}

/* Opens DATA/visible, and tells readers that this start is there. A full disk is no error: it must not keep
 * anybody from reading over the socket, and who reads without it finds the folder as a daemon leaves it that
 * has no such file. */
static enum status open_page(struct writer *writer, struct error *err)
{
	struct error reason;
	const enum status status = visible_page_open(writer->store->folder, &writer->page, &reason);
	if (status == STATUS_OK) {
		show(writer);
		return STATUS_OK;
	}
	if (status != STATUS_DISK_FULL) {
		return error_set(err, status, "%s", reason.text);
	}
	store_event(writer->store, "event=visible_not_made reason=\"%s\"", reason.text);
	return STATUS_OK;
}

enum status writer_open(struct store *store, struct error *err)
{
	struct writer *writer = calloc(1, sizeof *writer);
	if (writer == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "open the log");
	}
	writer->store = store;
	writer->waiting_max = BACKLOG_BYTES_MAX;
	store->writer = writer;
	init_locks(writer);
	write_clock_begin(&writer->clock, clock_unix_ms(), clock_monotonic_ms());
	enum status status = open_log(writer, err);
	if (status == STATUS_OK) {
		status = open_page(writer, err);
	}
	return status == STATUS_OK ? start_threads(writer, err) : status;
}

void writer_close(struct writer *writer)
{
	if (writer == NULL) {
		return;
	}
	if (writer->started) {
		writer_take_group(writer);
		writer->stop = true;
		condition_signal(&writer->work);
		lock_release(&writer->group_lock);
		(void)pthread_join(writer->thread, NULL);
		horizon_stop(&writer->horizon);
		stop_stocker(writer);
		assert(writer->first == NULL); /* all that waited is committed */
		assert(!writer->committing);
	}
	visible_page_close(writer->page);
	redo_close(writer->redo);
	free(writer->frames);
	condition_fini(&writer->work);
	condition_fini(&writer->settled);
	condition_fini(&writer->go);
	lock_fini(&writer->apply_lock);
	lock_fini(&writer->group_lock);
	slowing_fini(&writer->slowing);
	free(writer);
}
