/* merger.c - decides when to merge, makes the cut, merges table after table, and keeps the pace. */
#include "daemon/store/merge/merger.h"
#include "daemon/store/memtable/memtable_merge.h"

#include "daemon/store/log/positions.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/merge/merge_ask.h"
#include "daemon/store/merge/pace.h"
#include "daemon/store/state/background.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/system/stop.h"
#include "daemon/store/system/thread.h"
#include "daemon/store/write/fullness.h"
#include "daemon/store/write/write_figures.h"
#include "daemon/store/write/writer.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
	LOOK_MS = 200, /* how often it looks by itself, since no bell rings when rows get old */
	/* The pause after a first failure. Each further failure doubles it, up to the second. A merge
	 * that is asked for does not wait for it. */
	RETRY_MS = 2000,
	RETRY_MS_MAX = 300 * 1000,
	LOOK_AGAIN_NS = 5 * 1000 * 1000, /* while it waits: how often it looks whether to hurry */
	/* The thread's niceness while it need not hurry: a fetch must not wait until a merge has used
	 * up its time slice. */
	GENTLE_NICE = 15,
};

struct merger {
	struct store *store; /* borrowed */
	pthread_t thread;
	/* The thread's own: */
	uint64_t pending_since_ms; /* 0: nothing waits */
	uint64_t not_before_ms;
	uint64_t retry_ms; /* the pause after the next failure */
	/* Of the log, after the last merge: what it could not let go. What was written since the
	 * cut is not in it, since the next merge may let go of that. */
	uint64_t kept_bytes;
	uint64_t cut_written; /* bytes written to the log up to the last cut */
	/* The last merge failed for some tables and was done for others: the next one is due at this
	 * fullness, before the pause is over. UINT_MAX: there was no such merge. */
	unsigned go_on_at;
	bool rolls;       /* since the last merge a base may have ranges to take deltas in */
	struct pace pace; /* of the merge that runs */
	uint64_t cut;     /* `visible` at the last cut */
	int64_t clock_ms; /* of the last frame of the last cut (write_clock.h) */
	struct merge_asks asks;
	_Atomic uint64_t merges;
	struct histogram times; /* of good merges */
	_Atomic uint64_t failed;
	_Atomic uint64_t last_ms;
	atomic_bool running;
};

/* ---- pace ---- */

static bool must_hurry(struct merger *merger)
{
	/* Who waits for the next merge waits for the end of this one. */
	return fullness_must_hurry(merger->store) || merge_asks_wait_for(&merger->asks) ||
	       slowing_is_behind(&merger->store->writer->slowing);
}

static void set_nice(struct merger *merger)
{
	background_set_nice(merger->store, must_hurry(merger) ? 0 : GENTLE_NICE);
}

static void begin_pace(struct merger *merger)
{
	pace_begin(&merger->pace, merger->store->options.write.merge_rate, clock_monotonic_ns());
}

static enum status go_on(const struct merger *merger, struct error *err)
{
	return atomic_load(&merger->store->stop)
		       ? error_set(err, STATUS_BUSY, "merge: the daemon is stopping")
		       : STATUS_OK;
}

static enum status hurry(void *arg, uint64_t bytes, struct error *err)
{
	(void)bytes;
	return go_on(arg, err);
}

static enum status keep_pace(void *arg, uint64_t bytes, struct error *err)
{
	struct merger *merger = arg;
	struct store *store = merger->store;
	const struct timespec pause = {.tv_nsec = LOOK_AGAIN_NS};
	const uint64_t until_ns = pace_add(&merger->pace, bytes, clock_monotonic_ns());
	while (!atomic_load(&store->stop) && clock_monotonic_ns() < until_ns &&
		!must_hurry(merger)) {
		(void)nanosleep(&pause, NULL);
	}
	if (must_hurry(merger)) {
		begin_pace(merger);
	}
	set_nice(merger);
	return go_on(merger, err);
}

/* ---- the cut ---- */

static void freeze(struct merger *merger, const struct merge_scope *scope)
{
	const uint64_t visible = atomic_load(&merger->store->visible);
	const struct writer *writer = merger->store->writer;
	assert(atomic_load(&writer->halting) > 0);
	assert(writer->next_sequence == visible + 1); /* nothing stands above `visible` */
	const struct snapshot *snapshot = snapshot_begin(merger->store);
	for (size_t i = 0; i < snapshot->release_count; i++) {
		const struct release *release = snapshot->releases[i];
		for (size_t j = 0; j < release->table_count; j++) {
			if (merge_scope_has(scope, release->number, release->tables[j]->number)) {
				(void)memtable_freeze(release->tables[j]->memtable, visible);
			}
		}
		positions_mark(release->positions);
		positions_synced(release->positions); /* as all of the old file */
	}
	snapshot_end(merger->store);
}

static struct redo_figures log_of(const struct merger *merger)
{
	struct redo_figures log;
	redo_figures(merger->store->writer->redo, &log);
	return log;
}

static enum status cut(struct merger *merger, const struct merge_scope *scope, struct error *err)
{
	struct writer *writer = merger->store->writer;
	writer_halt(writer);
	/* Under group_lock the commit thread does not sync the file that is rotated (durability
	 * periodic). */
	writer_take_group(writer);
	const enum status status = redo_rotate(writer->redo, err);
	lock_release(&writer->group_lock);
	if (status == STATUS_READ_ONLY) {
		writer_set_read_only(writer, err == NULL ? "" : err->text);
	}
	if (status == STATUS_OK) {
		freeze(merger, scope);
		assert(atomic_load(&merger->store->visible) >= merger->cut);
		merger->cut = atomic_load(&merger->store->visible);
		/* The wall clock may have been set back since. */
		const int64_t now_ms = clock_unix_ms();
		const int64_t written_ms = atomic_load(&writer->clock.written_ms);
		merger->clock_ms = written_ms < now_ms ? written_ms : now_ms;
		merger->cut_written = log_of(merger).bytes_written;
	}
	writer_resume(writer);
	return status;
}

static struct merge_job model_of(struct merger *merger)
{
	return (struct merge_job){
		.store = merger->store,
		.cut = merger->cut,
		.clock_ms = merger->clock_ms,
		.pace = keep_pace,
		.hurry = hurry,
		.pace_arg = merger,
	};
}

/* ---- one merge ---- */

static void run_due(void *arg);

static enum status merge_once(struct merger *merger, const struct merge_ask *what,
	struct merge_result *result, bool *left, struct error *err)
{
	enum status status = cut(merger, &what->scope, err);
	if (status != STATUS_OK) {
		return status;
	}
	struct merge_job model = model_of(merger);
	model.let_in = what->reason == MERGE_DUE ? NULL : run_due;
	status = merge_tables(&model, &what->scope, what->reason, result, left, err);
	const enum status trimmed = merge_trim_log(merger->store, status == STATUS_OK ? err : NULL);
	return status == STATUS_OK ? trimmed : status;
}

static enum status merge(struct merger *merger, const struct merge_ask *what,
	struct merge_result *result, struct error *err)
{
	bool left = false;
	const enum status status = merge_once(merger, what, result, &left, err);
	if (!left) {
		return status;
	}
	struct error why = {.status = STATUS_OK};
	const enum status again = merge_once(merger, what, result, &left, &why);
	return status != STATUS_OK || again == STATUS_OK ? status
							 : error_set(err, again, "%s", why.text);
}

/* The rows that a failed merge has left take room until they are merged. In the room that is left the
 * next merge begins at the same share as always. */
static unsigned next_fullness(const struct merger *merger)
{
	const unsigned left = fullness_of(merger->store);
	return left >= FULLNESS_WAIT
		       ? left
		       : left + (FULLNESS_WAIT - left) * FULLNESS_BEGIN / FULLNESS_WAIT;
}

static uint64_t kept_bytes(const struct merger *merger)
{
	const struct redo_figures log = log_of(merger);
	const uint64_t since_cut = log.bytes_written - merger->cut_written;
	return log.bytes > since_cut ? log.bytes - since_cut : 0;
}

/* A merge of all tables has ended. */
static void after_merge(struct merger *merger, enum status status,
	const struct merge_result *result, uint64_t now_ms)
{
	merger->pending_since_ms = 0;
	merger->kept_bytes = kept_bytes(merger);
	if (status == STATUS_OK) {
		merger->retry_ms = RETRY_MS;
		merger->go_on_at = UINT_MAX;
	} else if (!atomic_load(&merger->store->stop)) {
		merger->go_on_at = result->tables == 0 ? UINT_MAX : next_fullness(merger);
		merger->not_before_ms = now_ms + merger->retry_ms;
		merger->retry_ms *= 2;
		merger->retry_ms =
			merger->retry_ms < RETRY_MS_MAX ? merger->retry_ms : RETRY_MS_MAX;
	}
}

static void note_merge(struct merger *merger, uint64_t took_ns, const struct error *err)
{
	atomic_store(&merger->last_ms, took_ns / 1000000);
	if (err->status == STATUS_OK) {
		atomic_fetch_add(&merger->merges, 1);
		histogram_add(&merger->times, took_ns, HISTOGRAM_LONG_NS);
	} else if (!atomic_load(&merger->store->stop)) {
		atomic_fetch_add(&merger->failed, 1);
		store_event(merger->store, "event=merge_failed reason=\"%s\"", err->text);
	}
}

/* What could not be merged may be now. */
static void after_repair(struct merger *merger, const struct merge_ask *ask,
	const struct error *err)
{
	if (err->status == STATUS_OK && !ask->dry_run) {
		merger->not_before_ms = 0;
		merger->retry_ms = RETRY_MS;
		merger->go_on_at = UINT_MAX;
	} else if (err->status != STATUS_OK && !atomic_load(&merger->store->stop)) {
		store_event(merger->store, "event=repair_failed reason=\"%s\"", err->text);
	}
}

/* Makes the merge that `taken` ask for; NULL: one that is due. */
static void run_merge(struct merger *merger, struct merge_ask *taken)
{
	struct merge_result result = {0};
	struct error err = {.status = STATUS_OK};
	struct merge_ask what = {.reason = MERGE_DUE};
	for (const struct merge_ask *ask = taken; ask != NULL; ask = ask->next) {
		what.scope = ask->scope;
		what.reason = what.reason == MERGE_FULL ? MERGE_FULL : ask->reason;
	}
	const uint64_t began_ns = clock_monotonic_ns();
	struct slowing *slowing = &merger->store->writer->slowing;
	if (taken == NULL) {
		slowing_begin_merge(slowing, fullness_of(merger->store), began_ns);
	}
	begin_pace(merger);
	atomic_store(&merger->running, true);
	set_nice(merger);
	if (what.reason == MERGE_REPAIR) {
		const struct merge_job model = model_of(merger);
		err.status =
			repair_table(&model, &what.scope, taken->dry_run, &taken->report, &err);
	} else {
		err.status = merge(merger, &what, &result, &err);
	}
	atomic_store(&merger->running, false);
	const uint64_t now_ns = clock_monotonic_ns();
	if (taken == NULL) {
		slowing_end_merge(slowing);
	}
	if (what.reason == MERGE_REPAIR) {
		after_repair(merger, taken, &err);
	} else {
		note_merge(merger, now_ns - began_ns, &err);
	}
	/* After a merge of some tables the others wait as they did before. */
	if (what.scope.release == 0) {
		after_merge(merger, err.status, &result, now_ns / 1000000);
	}
	merge_asks_done(&merger->asks, taken, &result, &err);
	merger->rolls = true;
}

/* Lets a base take in what deltas have for one range. The thread looks after each whether something else is due. */
static void run_range(struct merger *merger)
{
	struct error err = {.status = STATUS_OK};
	bool merged = false;
	const struct merge_job model = model_of(merger);
	begin_pace(merger);
	atomic_store(&merger->running, true);
	set_nice(merger);
	err.status = merge_next_range(&model, &merged, &err);
	atomic_store(&merger->running, false);
	merger->rolls = merged && err.status == STATUS_OK;
	if (err.status != STATUS_OK && !atomic_load(&merger->store->stop)) {
		atomic_fetch_add(&merger->failed, 1);
		store_event(merger->store, "event=merge_failed reason=\"%s\"", err.text);
	}
}

/* ---- the thread ---- */

/* Removes the log files that only a dropped release has needed. */
static void after_drop(struct merger *merger)
{
	struct error err;
	merger->not_before_ms = 0;
	merger->retry_ms = RETRY_MS;
	if (merge_trim_log(merger->store, &err) != STATUS_OK) {
		store_event(merger->store, "event=log_not_trimmed reason=\"%s\"", err.text);
	}
	const uint64_t bytes = redo_bytes(merger->store->writer->redo);
	merger->kept_bytes = bytes < merger->kept_bytes ? bytes : merger->kept_bytes;
}

/* Whether the log files have grown by a bound since the last merge. Rows that were dropped with their
 * release stay in these files and wait for no merge; only a cut, which begins a new file, gets rid of
 * them. */
static bool has_grown(const struct merger *merger)
{
	return redo_bytes(merger->store->writer->redo) >=
	       merger->kept_bytes + merger->store->options.write.log_bytes;
}

/* While merges do not keep up, one of little at a time would make many deltas, which are then merged with each other: a
 * base takes in ranges first. */
static unsigned begin_at(const struct merger *merger)
{
	return slowing_is_behind(&merger->store->writer->slowing) && merger->rolls ? FULLNESS_HURRY
										   : FULLNESS_BEGIN;
}

static bool is_due(struct merger *merger)
{
	struct store *store = merger->store;
	const uint64_t now_ms = (uint64_t)clock_monotonic_ms();
	if (atomic_load(&store->usage.rows) == 0) {
		merger->pending_since_ms = 0;
	} else if (merger->pending_since_ms == 0) {
		merger->pending_since_ms = now_ms;
	}
	const bool old = merger->pending_since_ms != 0 &&
			 now_ms - merger->pending_since_ms >= store->options.write.merge_age_ms;
	const unsigned fullness = fullness_of(store);
	const bool due = now_ms >= merger->not_before_ms &&
			 (old || fullness >= begin_at(merger) || has_grown(merger));
	return (due || fullness >= merger->go_on_at) && !atomic_load(&store->stop) &&
	       !atomic_load(&store->writer->read_only);
}

/* Makes the merge that is due, if there is one, between two ranges of one that was asked for. */
static void run_due(void *arg)
{
	struct merger *merger = arg;
	if (is_due(merger)) {
		run_merge(merger, NULL);
		atomic_store(&merger->running, true);
	}
}

/* What the thread does next. */
struct turn {
	struct merge_ask *asked; /* they wait for a merge; NULL: nobody does */
	bool due;                /* a merge is due */
	bool dropped;            /* a release was dropped */
	bool rolls;              /* there may be a range to merge, if nothing else is to be done */
};

/* Waits until there is something to do; false: the thread is to end. */
static bool wait_for_work(struct merger *merger, struct turn *turn)
{
	struct store *store = merger->store;
	for (;;) {
		turn->due = is_due(merger);
		turn->dropped = atomic_exchange(&store->release_dropped, false);
		turn->rolls = merger->rolls && !atomic_load(&store->writer->read_only);
		if (merge_asks_stopped(&merger->asks)) {
			return false;
		}
		turn->asked = merge_asks_take(&merger->asks);
		if (turn->due || turn->dropped || turn->asked != NULL || turn->rolls) {
			return true;
		}
		slowing_rest(&store->writer->slowing);
		bell_wait(&store->merge_bell, (uint64_t)clock_monotonic_ms() + LOOK_MS);
	}
}

static void *merger_main(void *arg)
{
	struct merger *merger = arg;
	struct turn turn;
	grace_register();
	while (wait_for_work(merger, &turn)) {
		if (turn.dropped) {
			after_drop(merger);
		}
		/* One of some tables does not put off one that is due. */
		if (turn.due && (turn.asked == NULL || turn.asked->scope.release != 0)) {
			run_merge(merger, NULL);
		}
		if (turn.asked != NULL) {
			run_merge(merger, turn.asked);
		} else if (turn.rolls && !turn.due) {
			run_range(merger);
		}
	}
	grace_unregister();
	return NULL;
}

enum status merger_start(struct store *store, struct merger **out, struct error *err)
{
	struct merger *merger = calloc(1, sizeof *merger);
	if (merger == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "start the merger");
	}
	merger->store = store;
	merger->retry_ms = RETRY_MS;
	merger->go_on_at = UINT_MAX;
	merge_asks_init(&merger->asks);
	*out = merger;
	const enum status status = thread_start(&merger->thread, merger_main, merger, "merge", err);
	if (status != STATUS_OK) {
		*out = NULL;
		merge_asks_fini(&merger->asks);
		free(merger);
	}
	return status;
}

void merger_stop(struct merger *merger)
{
	if (merger == NULL) {
		return;
	}
	assert(atomic_load(&merger->store->stop)); /* or it would be waited for */
	merge_asks_stop(&merger->asks);
	bell_ring(&merger->store->merge_bell);
	(void)pthread_join(merger->thread, NULL);
	merge_asks_fini(&merger->asks);
	free(merger);
}

struct merge_asks *merger_asks(struct merger *merger)
{
	return &merger->asks;
}

void merger_figures(struct merger *merger, struct write_figures *out)
{
	out->merges = atomic_load(&merger->merges);
	histogram_read(&merger->times, &out->merge_times);
	out->merges_failed = atomic_load(&merger->failed);
	merge_steps_read(&merger->store->merge_steps, out->steps);
	out->merge_bytes = 0;
	for (unsigned i = 0; i < MERGE_STEPS; i++) {
		out->merge_bytes += out->steps[i].bytes;
	}
	out->merge_ms = atomic_load(&merger->last_ms);
	out->merge_running = atomic_load(&merger->running);
}
