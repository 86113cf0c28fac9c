/* local_follow.c - the thread that follows a daemon: its page, its log, and what its tables are. */
#include "daemon/local/local_state.h"

#include "daemon/store/catalog/current.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/system/clock.h"

#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

enum {
	APPLY_NS =
		1000 * 1000, /* at a time: then the core is let go of, since readers come first */
	BUSY_MS = 1,         /* between two looks at the page while there are writes */
	QUIET_MS = 4,        /* and while there are none */
	QUIET_AFTER = 500,   /* looks that found none */
	DEAD_MS = 50,        /* while no daemon runs */
	OPEN_TRIES = 10,
	LOAD_PAUSE_MS_MAX = 5000, /* between two tries to read all anew */
};

static bool read_page(const struct local_state *state, struct visible *out)
{
	const struct visible_view *view = atomic_load(&state->view);
	return view != NULL && visible_view_read(view, out);
}

static void drop_unseen(struct local_state *state, struct snapshot *snapshot)
{
	store_lock_admin(state->store);
	snapshot_drop(snapshot);
	store_unlock_admin(state->store);
}

/* ---- all anew ---- */

/* The log into the memtables of a snapshot that nobody sees. */
static enum status replay(struct local_state *state, const struct snapshot *next,
	const struct local_reach *reach, struct error *err)
{
	grace_enter();
	enum status status = local_log_replay(state, next, reach, err);
	grace_leave();
	const bool is_full = status == STATUS_BUSY;
	if (is_full && state->log.next_sequence > local_snapshot_merged_to(next)) {
		status = STATUS_OK; /* it is of one moment, which is not the newest */
	}
	atomic_store(&state->is_full, is_full);
	return status;
}

/* Makes a snapshot with new memtables the current one, and what it has the newest that is seen. A caller takes the
 * snapshot and then `visible`: so it may have an old one of the first and a new one of the second. */
static enum status switch_to(struct local_state *state, struct snapshot *next, uint64_t sequence)
{
	struct store *store = state->store;
	const uint64_t before = atomic_load(&store->visible);
	if (sequence >= before) {
		/* In the memtables of before nothing is newer than `before`. */
		atomic_store_explicit(&store->visible, sequence, memory_order_release);
	}
	if (!local_snapshot_publish(state, next)) {
		return STATUS_NO_MEMORY;
	}
	if (sequence < before) {
		/* What those memtables had superseded by `before` may be gone from them. */
		grace_wait();
		atomic_store_explicit(&store->visible, sequence, memory_order_release);
	}
	atomic_store_explicit(&state->applied, sequence, memory_order_release);
	return STATUS_OK;
}

static enum status load_once(struct local_state *state, struct error *err)
{
	struct snapshot *next = NULL;
	struct visible first = {0};
	struct visible page = {0};
	/* Of a folder that was put back, a file may be another one under the same number. */
	const struct snapshot *before =
		state->is_other_folder ? NULL : atomic_load(&state->store->current);
	/* In this order: what is read of the tables is not newer than the log is followed to, and a change of them from
	 * now on is noticed. */
	const bool has_first = read_page(state, &first);
	enum status status = local_snapshot_read(state, &next, err);
	if (status != STATUS_OK) {
		return status;
	}
	const bool is_alive =
		read_page(state, &page) && visible_is_alive(&page, clock_monotonic_ns());
	status = has_first && page.start != first.start
			 ? error_set(err, STATUS_AGAIN, "the daemon has started anew")
			 : local_snapshot_open(state, next, before, LOCAL_SHARE_FILES, err);
	uint64_t sequence = next->written;
	if (status == STATUS_OK && state->options.follow == LOCAL_FOLLOW_WRITES) {
		/* Not to the end of the page: frames behind may be of a release that was sealed since `current` was read. */
		const uint64_t merged_to = local_snapshot_merged_to(next);
		const uint64_t known = first.visible > merged_to ? first.visible : merged_to;
		const struct local_reach reach =
			is_alive ? (struct local_reach){known, page.file, page.offset}
				 : (struct local_reach){.sequence = UINT64_MAX};
		atomic_store(&state->store->usage.horizon, 0);
		state->memory_before = atomic_load(&state->store->usage.bytes);
		status = replay(state, next, &reach, err);
		state->memory_before = 0;
		sequence = state->log.file == 0 ? sequence : state->log.next_sequence - 1;
	}
	if (status == STATUS_OK) {
		status = switch_to(state, next, sequence);
	}
	if (status != STATUS_OK) {
		drop_unseen(state, next);
		return status;
	}
	page.current = first.current;
	state->page = page;
	state->must_load = false;
	state->is_other_folder = false;
	return STATUS_OK;
}

static void pause_ms(uint64_t ms)
{
	const struct timespec pause = {.tv_nsec = (long)ms * 1000000};
	(void)nanosleep(&pause, NULL);
}

enum status local_follow_load(struct local_state *state, struct error *err)
{
	const unsigned tries = state->opening != NULL ? OPEN_TRIES : 1;
	enum status status = STATUS_AGAIN;
	for (unsigned i = 0; i < tries && (status == STATUS_AGAIN || status == STATUS_NOT_FOUND);
		i++) {
		while (local_snapshot_is_settling(state)) {
			local_snapshot_reclaim(state);
			pause_ms(BUSY_MS);
		}
		state->must_load = true;
		status = load_once(state, err);
	}
	return status;
}

/* ---- what has changed ---- */

static void set_visible(struct local_state *state, uint64_t sequence)
{
	atomic_store_explicit(&state->store->visible, sequence, memory_order_release);
	atomic_store_explicit(&state->applied, sequence, memory_order_release);
}

/* Goes to the first file of the log that a snapshot needs. What stands before it, its tables have. */
static enum status begin_log(struct local_state *state, const struct snapshot *now,
	struct error *err)
{
	const uint64_t first = now->log_first_file == 0 ? 1 : now->log_first_file;
	const enum status status = redo_follow_begin(&state->log, first, err);
	if (status == STATUS_OK && state->log.next_sequence > now->written + 1) {
		return error_set(err, STATUS_CORRUPT,
			"log: file %" PRIu64 " begins at frame %" PRIu64
			", the last in files of tables is %" PRIu64,
			first, state->log.next_sequence, now->written);
	}
	return status;
}

/* Applies what the page says, up to a frame; false: it has to go on later. */
static enum status apply(struct local_state *state, const struct visible *page, uint64_t sequence,
	uint64_t until_ns, struct error *err)
{
	const struct local_reach reach = {sequence, page->file, page->offset};
	enum status status = STATUS_OK;
	grace_enter();
	const struct snapshot *now = atomic_load(&state->store->current);
	if (state->log.file == 0) {
		status = begin_log(state, now, err);
	}
	if (status == STATUS_OK) {
		status = local_log_apply(state, now, &reach, until_ns, err);
		set_visible(state, state->log.next_sequence - 1);
	}
	grace_leave();
	atomic_store(&state->is_full, status == STATUS_BUSY);
	return status;
}

/* Takes over what DATA/current says now. AGAIN: later. */
static enum status adopt(struct local_state *state, const struct visible *page, struct error *err)
{
	struct snapshot *next = NULL;
	struct store *store = state->store;
	enum status status = local_snapshot_read(state, &next, err);
	if (status != STATUS_OK) {
		return status;
	}
	const uint64_t merged_to = local_snapshot_merged_to(next);
	if (state->options.follow == LOCAL_FOLLOW_WRITES &&
		atomic_load(&store->visible) < merged_to) {
		/* Else a frame would be seen in the files of one table, and not in another one. Of a release that the snapshot
		 * of now does not take frames for, they are read with the next one, from the beginning. */
		status = merged_to > page->visible ? STATUS_AGAIN
			 : local_snapshot_has_new(next, atomic_load(&store->current))
				 ? STATUS_NOT_FOUND
				 : apply(state, page, merged_to, 0, err);
		state->must_load = status != STATUS_OK && status != STATUS_AGAIN;
	}
	if (status == STATUS_OK) {
		status = local_snapshot_open(state, next, atomic_load(&store->current),
			LOCAL_SHARE_ALL, err);
	}
	const uint64_t written = next->written;
	if (status == STATUS_OK && !local_snapshot_publish(state, next)) {
		status = STATUS_NO_MEMORY;
	}
	if (status != STATUS_OK) {
		drop_unseen(state, next);
		return status;
	}
	if (state->options.follow == LOCAL_FOLLOW_RELEASES) {
		set_visible(state, written > merged_to ? written : merged_to);
	}
	if (state->log.file != 0 && state->log.file < next->log_first_file) {
		/* All of it is in the tables. Whoever closes a removed file last frees its blocks, which takes 20 ms for 100 MB:
		 * rather now than when a write comes. */
		redo_follow_end(&state->log);
	}
	state->page.current = page->current;
	atomic_store(&state->is_new, true);
	condition_signal(&state->wake_inspector);
	return STATUS_OK;
}

/* Moves the horizon behind `visible`: beyond it no caller looks, so that memory is used again. */
static void move_horizon(struct local_state *state)
{
	struct store *store = state->store;
	if (state->horizon_grace != 0 && grace_is_over(state->horizon_grace)) {
		atomic_store(&store->usage.horizon, state->horizon_next);
		state->horizon_grace = 0;
	}
	const uint64_t visible = atomic_load(&store->visible);
	if (state->horizon_grace == 0 && atomic_load(&store->usage.horizon) < visible) {
		state->horizon_next = visible;
		state->horizon_grace = grace_begin();
	}
}

/* Whether what is in memory goes with the page of a daemon that runs. */
static bool fits(const struct local_state *state, const struct visible *page)
{
	/* Of what an earlier start had shown, a newer one has what it has replayed; and a daemon that had only stood still
	 * may not have made durable what was read of its log meanwhile. */
	const uint64_t most = state->page.start == page->start ? page->visible : page->replayed;
	return state->options.follow == LOCAL_FOLLOW_RELEASES ||
	       atomic_load(&state->store->visible) <= most;
}

/* A daemon goes on in the same file, but the folder may have been put back from a copy. */
static void renew_view(struct local_state *state)
{
	struct visible_view *view = atomic_load(&state->view);
	struct visible_view *next = NULL;
	const char *folder = state->store->folder;
	if (view == NULL || !visible_view_is_replaced(view, folder)) {
		return;
	}
	struct visible_view **grown = realloc(state->old_views,
		(state->old_view_count + 1) * sizeof(struct visible_view *));
	if (grown == NULL) {
		return;
	}
	state->old_views = grown;
	if (visible_view_open(folder, &next, NULL) == STATUS_OK) {
		grown[state->old_view_count++] = view;
		atomic_store(&state->view, next);
		state->must_load = true;
		state->is_other_folder = true;
	}
}

/* All anew; after a failure not at once again, since the whole log is read for it. */
static uint64_t load_anew(struct local_state *state, const struct visible *page, uint64_t now_ns)
{
	struct error err;
	const bool is_changed = page->current != state->load_current;
	if (state->load_pause_ms > 0 && !is_changed && now_ns < state->load_again_ns) {
		return DEAD_MS;
	}
	state->horizon_grace = 0;
	state->load_current = page->current;
	if (local_follow_load(state, &err) == STATUS_OK) {
		state->load_pause_ms = 0;
		return 0;
	}
	const uint64_t pause =
		is_changed || state->load_pause_ms == 0 ? DEAD_MS : 2 * state->load_pause_ms;
	state->load_pause_ms = pause < LOAD_PAUSE_MS_MAX ? pause : LOAD_PAUSE_MS_MAX;
	state->load_again_ns = now_ns + state->load_pause_ms * 1000000;
	return DEAD_MS;
}

/* Applies what is visible. Returns how long the thread may pause. */
static uint64_t catch_up(struct local_state *state, const struct visible *page, uint64_t now_ns,
	unsigned *quiet)
{
	struct error err;
	enum status status = STATUS_OK;
	if (state->options.follow == LOCAL_FOLLOW_WRITES &&
		atomic_load(&state->store->visible) < page->visible) {
		*quiet = 0;
		status = apply(state, page, page->visible, now_ns + APPLY_NS, &err);
		state->must_load =
			status != STATUS_OK && status != STATUS_AGAIN && status != STATUS_BUSY;
	}
	if (status == STATUS_AGAIN) {
		(void)sched_yield();
		return 0;
	}
	if (status == STATUS_OK) {
		atomic_store_explicit(&state->caught_up_ns, now_ns, memory_order_release);
		atomic_store(&state->is_behind, false);
	}
	*quiet += *quiet < QUIET_AFTER;
	return *quiet < QUIET_AFTER ? BUSY_MS : QUIET_MS;
}

/* While the page stands still: on a network file system a map does not show what the daemon stores, but `current` moves. Of the
 * files alone it says all; how far the log may be read only the page says. */
static void look_without_page(struct local_state *state)
{
	struct error err;
	uint64_t sequence;
	const struct snapshot *now = atomic_load(&state->store->current);
	if (state->options.follow == LOCAL_FOLLOW_RELEASES && !state->must_load &&
		!local_snapshot_is_settling(state) &&
		current_read_sequence(state->store->folder, &sequence, NULL) == STATUS_OK &&
		sequence != now->sequence) {
		(void)adopt(state, &state->page, &err);
	}
}

/* One look. Returns how long it may pause. */
static uint64_t look(struct local_state *state, unsigned *quiet)
{
	struct visible page;
	struct error err;
	const uint64_t now_ns = clock_monotonic_ns(); /* what is seen is at least of then */
	local_snapshot_reclaim(state);
	move_horizon(state);
	if (!read_page(state, &page) || !visible_is_alive(&page, clock_monotonic_ns())) {
		renew_view(state);
		look_without_page(state);
		return DEAD_MS;
	}
	if (!fits(state, &page) || state->must_load) {
		atomic_store(&state->is_behind, true);
		return load_anew(state, &page, now_ns);
	}
	if (page.current != state->page.current || page.start != state->page.start) {
		/* What is visible may be of a release that the snapshot of now does not know: nothing is applied before that
		 * has been replaced. */
		atomic_store(&state->is_behind, true);
		if (local_snapshot_is_settling(state)) {
			return BUSY_MS;
		}
		const enum status status = adopt(state, &page, &err);
		if (status != STATUS_OK) {
			return status == STATUS_AGAIN ? BUSY_MS : DEAD_MS;
		}
		state->page.start = page.start;
	}
	return catch_up(state, &page, now_ns, quiet);
}

/* ---- the thread ---- */

static bool wait_for(struct local_state *state, uint64_t ms)
{
	const uint64_t until_ms = (uint64_t)clock_monotonic_ms() + ms;
	lock_take(&state->lock);
	if (ms > 0 && !state->stop) {
		(void)condition_wait_until(&state->wake, &state->lock, until_ms);
	}
	const bool go_on = !state->stop;
	lock_release(&state->lock);
	return go_on;
}

static void *follow(void *arg)
{
	struct local_state *state = arg;
	unsigned quiet = 0;
	(void)grace_lend(&state->reader);
	while (wait_for(state, look(state, &quiet))) {
	}
	(void)grace_lend(NULL);
	return NULL;
}

enum status local_follow_start(struct local_state *state, struct error *err)
{
	enum status status = STATUS_OK;
	if (state->options.follow == LOCAL_FOLLOW_WRITES) {
		status = local_thread_start(&state->stocker, arena_stock_serve,
			&state->store->stock, err);
		state->has_stocker = status == STATUS_OK;
	}
	if (status == STATUS_OK) {
		status = local_thread_start(&state->follower, follow, state, err);
		state->has_follower = status == STATUS_OK;
	}
	return status;
}

void local_follow_stop(struct local_state *state)
{
	if (state->has_follower) {
		lock_take(&state->lock);
		state->stop = true;
		condition_signal(&state->wake);
		lock_release(&state->lock);
		(void)pthread_join(state->follower, NULL);
	}
	if (state->has_stocker) {
		arena_stock_stop(&state->store->stock);
		(void)pthread_join(state->stocker, NULL);
	}
}
