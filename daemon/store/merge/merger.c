/* merger.c - decides when to merge, makes the cut, merges table after table, and keeps the pace. */
#include "daemon/store/merge/merger.h"
#include "daemon/store/memtable/memtable_merge.h"

#include "daemon/store/log/positions.h"
#include "daemon/store/merge/merge.h"
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
	/* Guarded by lock: */
	struct lock lock;
	struct condition done;
	bool stop;
	uint64_t asked;             /* merges that were asked for */
	uint64_t asked_full;        /* the last of these that is to be a full one; 0: none */
	uint64_t served;            /* of these, those that are done */
	uint64_t serving;           /* those for which the merge is that runs, or was the last */
	struct merge_result result; /* of the last merge, as the next */
	struct error outcome;
	_Atomic uint64_t merges;
	struct histogram times; /* of good merges */
	_Atomic uint64_t failed;
	_Atomic uint64_t bytes;
	_Atomic uint64_t last_ms;
	atomic_bool running;
};

/* ---- pace ---- */

/* Whether somebody waits for the next merge, and so for the end of this one. */
static bool keeps_waiting(struct merger *merger)
{
	lock_take(&merger->lock);
	const bool keeps = merger->asked > merger->serving;
	lock_release(&merger->lock);
	return keeps;
}

static bool must_hurry(struct merger *merger)
{
	return fullness_must_hurry(merger->store) || keeps_waiting(merger);
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

static enum status count_bytes(void *arg, uint64_t bytes, struct error *err)
{
	struct merger *merger = arg;
	atomic_fetch_add(&merger->bytes, bytes);
	return go_on(merger, err);
}

static enum status keep_pace(void *arg, uint64_t bytes, struct error *err)
{
	struct merger *merger = arg;
	struct store *store = merger->store;
	const struct timespec pause = {.tv_nsec = LOOK_AGAIN_NS};
	atomic_fetch_add(&merger->bytes, bytes);
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

static void freeze_all(struct merger *merger)
{
	const uint64_t visible = atomic_load(&merger->store->visible);
	const struct writer *writer = merger->store->writer;
	assert(atomic_load(&writer->halting) > 0);
	assert(writer->next_sequence == visible + 1); /* nothing stands above `visible` */
	const struct snapshot *snapshot = snapshot_begin(merger->store);
	for (size_t i = 0; i < snapshot->release_count; i++) {
		const struct release *release = snapshot->releases[i];
		for (size_t j = 0; j < release->table_count; j++) {
			(void)memtable_freeze(release->tables[j]->memtable, visible);
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

static enum status cut(struct merger *merger, struct error *err)
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
		freeze_all(merger);
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
		.hurry = count_bytes,
		.pace_arg = merger,
	};
}

/* ---- one merge ---- */

static enum status merge_once(struct merger *merger, enum merge_reason reason,
	struct merge_result *result, bool *left, struct error *err)
{
	enum status status = cut(merger, err);
	if (status != STATUS_OK) {
		return status;
	}
	const struct merge_job model = model_of(merger);
	status = merge_tables(&model, reason, result, left, err);
	const enum status trimmed = merge_trim_log(merger->store, status == STATUS_OK ? err : NULL);
	return status == STATUS_OK ? trimmed : status;
}

static enum status merge(struct merger *merger, enum merge_reason reason,
	struct merge_result *result, struct error *err)
{
	bool left = false;
	const enum status status = merge_once(merger, reason, result, &left, err);
	if (!left) {
		return status;
	}
	struct error why = {.status = STATUS_OK};
	const enum status again = merge_once(merger, reason, result, &left, &why);
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

static void run_merge(struct merger *merger)
{
	struct merge_result result = {0};
	struct error err = {.status = STATUS_OK};
	lock_take(&merger->lock);
	const uint64_t serving = merger->asked;
	const enum merge_reason reason = merger->asked_full > merger->served ? MERGE_FULL
					 : serving > merger->served          ? MERGE_ASKED
									     : MERGE_DUE;
	merger->serving = serving;
	lock_release(&merger->lock);
	const uint64_t began_ns = clock_monotonic_ns();
	begin_pace(merger);
	atomic_store(&merger->running, true);
	set_nice(merger);
	err.status = merge(merger, reason, &result, &err);
	atomic_store(&merger->running, false);
	const uint64_t now_ns = clock_monotonic_ns();
	atomic_store(&merger->last_ms, (now_ns - began_ns) / 1000000);
	merger->pending_since_ms = 0;
	merger->kept_bytes = kept_bytes(merger);
	if (err.status == STATUS_OK) {
		atomic_fetch_add(&merger->merges, 1);
		histogram_add(&merger->times, now_ns - began_ns, HISTOGRAM_LONG_NS);
		merger->retry_ms = RETRY_MS;
		merger->go_on_at = UINT_MAX;
	} else if (!atomic_load(&merger->store->stop)) {
		atomic_fetch_add(&merger->failed, 1);
		merger->go_on_at = result.tables == 0 ? UINT_MAX : next_fullness(merger);
		merger->not_before_ms = now_ns / 1000000 + merger->retry_ms;
		merger->retry_ms *= 2;
		merger->retry_ms =
			merger->retry_ms < RETRY_MS_MAX ? merger->retry_ms : RETRY_MS_MAX;
		store_event(merger->store, "event=merge_failed reason=\"%s\"", err.text);
	}
	lock_take(&merger->lock);
	assert(serving >= merger->served);
	assert(serving <= merger->asked);
	merger->served = serving;
	merger->result = result;
	merger->outcome = err;
	condition_broadcast(&merger->done);
	lock_release(&merger->lock);
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
			 (old || fullness >= FULLNESS_BEGIN || has_grown(merger));
	return (due || fullness >= merger->go_on_at) && !atomic_load(&store->stop) &&
	       !atomic_load(&store->writer->read_only);
}

/* What the thread does next. */
struct turn {
	bool asked;   /* somebody waits for a merge */
	bool due;     /* a merge is due */
	bool dropped; /* a release was dropped */
	bool rolls;   /* there may be a range to merge, if nothing else is to be done */
};

/* Waits until there is something to do; false: the thread is to end. */
static bool wait_for_work(struct merger *merger, struct turn *turn)
{
	struct store *store = merger->store;
	for (;;) {
		turn->due = is_due(merger);
		turn->dropped = atomic_exchange(&store->release_dropped, false);
		turn->rolls = merger->rolls && !atomic_load(&store->writer->read_only);
		lock_take(&merger->lock);
		turn->asked = merger->asked != merger->served;
		const bool stop = merger->stop;
		lock_release(&merger->lock);
		if (stop || turn->due || turn->dropped || turn->asked || turn->rolls) {
			return !stop;
		}
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
		if (turn.due || turn.asked) {
			run_merge(merger);
		} else if (turn.rolls) {
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
	condition_init(&merger->done);
	lock_init(&merger->lock);
	*out = merger;
	const enum status status = thread_start(&merger->thread, merger_main, merger, "merge", err);
	if (status != STATUS_OK) {
		*out = NULL;
		condition_fini(&merger->done);
		lock_fini(&merger->lock);
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
	lock_take(&merger->lock);
	merger->stop = true;
	condition_broadcast(&merger->done);
	lock_release(&merger->lock);
	bell_ring(&merger->store->merge_bell);
	(void)pthread_join(merger->thread, NULL);
	condition_fini(&merger->done);
	lock_fini(&merger->lock);
	free(merger);
}

static enum status ask(struct store *store, const struct stop *stop, enum merge_reason reason,
	struct merge_result *out, struct error *err)
{
	struct merger *merger = store->merger;
	enum status status = STATUS_OK;
	lock_take(&merger->lock);
	const uint64_t number = ++merger->asked;
	merger->asked_full = reason == MERGE_FULL ? number : merger->asked_full;
	bell_ring(&store->merge_bell);
	while (merger->served < number && !merger->stop && status == STATUS_OK) {
		(void)condition_wait_until(&merger->done, &merger->lock, stop_look_ms(stop));
		status = stop_check(stop, err);
	}
	assert(merger->served <= merger->asked);
	if (merger->served >= number) {
		*out = merger->result;
		status = merger->outcome.status;
		if (status != STATUS_OK && err != NULL) {
			*err = merger->outcome;
		}
	} else if (status == STATUS_OK) {
		status = error_set(err, STATUS_BUSY, "merge: the daemon is stopping");
	}
	lock_release(&merger->lock);
	return status;
}

enum status store_merge(struct store *store, const struct stop *stop, struct merge_result *out,
	struct error *err)
{
	return ask(store, stop, MERGE_ASKED, out, err);
}

enum status store_merge_full(struct store *store, const struct stop *stop, struct merge_result *out,
	struct error *err)
{
	return ask(store, stop, MERGE_FULL, out, err);
}

void merger_figures(struct merger *merger, struct write_figures *out)
{
	out->merges = atomic_load(&merger->merges);
	histogram_read(&merger->times, &out->merge_times);
	out->merges_failed = atomic_load(&merger->failed);
	out->merge_bytes = atomic_load(&merger->bytes);
	out->merge_ms = atomic_load(&merger->last_ms);
	out->merge_running = atomic_load(&merger->running);
}
