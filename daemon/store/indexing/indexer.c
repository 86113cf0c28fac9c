/* indexer.c - finds tables that want an index, and gives them one. */
#include "daemon/store/indexing/indexer.h"

#include "daemon/store/indexing/index_build.h"
#include "daemon/store/indexing/index_figures.h"
#include "daemon/store/indexing/index_users.h"
#include "daemon/store/indexing/indexer_work.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/state/background.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/alarm.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/system/thread.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

enum {
	INDEXER_RETRY_MAX_MS = 3600000,
	/* After a build that took too long it pauses so many times as long. */
	REST = 4,
	/* So often it looks whether a table of users has rows enough. */
	LOOK_MS = 1000,
};

static const uint64_t never = CONDITION_NEVER; /* as bell_wait takes it */

/* Whether an index of their own rows could be calibrated by users. */
static bool wants_users(const struct release *release, const struct table *table,
	const struct index *lead, bool *later)
{
	return *lead->balls.queries == 0 && index_users_find(release, table, later) != NULL;
}

/* Only the indexer takes an index away from a table, so it may look at it here. *later: to be looked at
 * again, though no bell will ring. *level: as in a wish. */
static bool is_wish(const struct store *store, const struct release *release,
	const struct table *table, bool *later, size_t *level)
{
	const struct indexes *indexes = atomic_load(&((struct table *)table)->index);
	const struct index *lead = indexes_lead(indexes);
	*level = 0;
	if (table->bases == NULL ||
		!table_wants_index(table, store->options.sizes.index_rows_min)) {
		return false;
	}
	if (lead == NULL || table_index_is_partial(table)) {
		return true;
	}
	const bool wants_again =
		indexer_wants_all(table, indexes) || wants_users(release, table, lead, later);
	/* Deltas first: that is soon done. Not where the last try has failed: the base would wait for it. */
	if (!(wants_again && table->index_wait_ms != 0)) {
		*level = table_next_image(table);
	}
	return *level > 0 || wants_again;
}

/* Holds the first table of a release that wants an index now. *again_ms: lowered to the time of the
 * next try, if there is one to come. */
static bool find_in(const struct store *store, const struct release *release, struct wish *wish,
	uint64_t *again_ms)
{
	const uint64_t now_ms = (uint64_t)clock_monotonic_ms();
	lock_assert_held(&store->admin_lock); /* which guards the references */
	for (size_t i = 0; i < release->table_count; i++) {
		struct table *table = release->tables[i];
		bool later = false;
		size_t level;
		const bool wished = is_wish(store, release, table, &later, &level);
		if (later && now_ms + LOOK_MS < *again_ms) {
			*again_ms = now_ms + LOOK_MS; /* no bell rings when users are put */
		}
		if (!wished) {
			continue;
		}
		if (table->index_again_ms > now_ms) {
			*again_ms = table->index_again_ms < *again_ms ? table->index_again_ms
								      : *again_ms;
			continue;
		}
		*wish = (struct wish){.release = release->number, .table = table, .level = level};
		assert(table->refs > 0);
		table->refs++;
		wish->queries = level > 0 ? NULL : index_users_find(release, table, &later);
		if (wish->queries != NULL) {
			wish->queries->refs++;
		}
		return true;
	}
	return false;
}

/* Finds a table that wants an index, in the live release before the others. If there is none,
 * *again_ms is when to look again, or `never`. */
static bool find_wish(struct store *store, struct wish *wish, uint64_t *again_ms)
{
	*again_ms = never;
	store_lock_admin(store);
	const struct snapshot *snapshot = store_current(store);
	bool found = snapshot->live != NULL && find_in(store, snapshot->live, wish, again_ms);
	for (size_t i = snapshot->release_count; !found && i > 0; i--) {
		found = snapshot->releases[i - 1]->state == RELEASE_SEALED &&
			find_in(store, snapshot->releases[i - 1], wish, again_ms);
	}
	store_unlock_admin(store);
	return found;
}

static void let_go_held(struct wish *wish)
{
	assert(wish->table->refs > 0);
	table_drop(wish->table);
	table_drop(wish->queries);
}

static void let_go(struct store *store, struct wish *wish)
{
	store_lock_admin(store);
	let_go_held(wish);
	store_unlock_admin(store);
}

/* Removes what was built for a file that a merge has replaced, or whose release was dropped. */
static void remove_index(const struct wish *wish, uint64_t file, const char *folder)
{
	char name[64];
	char path[PATH_MAX];
	index_file_name(name, sizeof name, wish->table->number, file);
	if (file_path(path, folder, name, NULL) == STATUS_OK) {
		(void)file_remove(path);
	}
}

/* Lets the tables go. */
static void end_wish(struct store *store, struct wish *wish, const char *folder)
{
	const struct level *level = wish->table->levels[wish->level];
	store_lock_admin(store);
	const struct release *release = snapshot_find(store_current(store), wish->release);
	const struct table *now = release_find(release, wish->table->number);
	for (size_t i = 0; i < level->file_count; i++) {
		if (now == NULL || !table_has_file(now, level->files[i].number)) {
			remove_index(wish, level->files[i].number, folder);
		}
	}
	if (release == NULL) {
		/* The folder could not be removed while files were in it. */
		(void)file_remove_empty(folder);
	}
	let_go_held(wish);
	store_unlock_admin(store);
}

/* When to try again, by what has become of a try; `wait_ms` is of the try before. */
struct next_try {
	uint64_t wait_ms;
	uint64_t again_ms;
};

static struct next_try next_try(const struct store_sizes *sizes, uint64_t wait_ms,
	enum status status)
{
	const uint64_t now_ms = (uint64_t)clock_monotonic_ms();
	const uint64_t longer_ms = wait_ms == 0 ? sizes->index_retry_ms : 2 * wait_ms;
	switch ((int)status) {
	case STATUS_OK:
		return (struct next_try){0};
	case STATUS_NOT_FOUND: /* no users to calibrate by, for now */
		return (struct next_try){wait_ms, now_ms + sizes->index_retry_ms};
	case STATUS_TIMEOUT:
		return (struct next_try){wait_ms, now_ms + REST * sizes->index_time_ms};
	case STATUS_CORRUPT:
		return (struct next_try){wait_ms, never};
	default:
		wait_ms = longer_ms < INDEXER_RETRY_MAX_MS ? longer_ms : INDEXER_RETRY_MAX_MS;
		return (struct next_try){wait_ms, now_ms + wait_ms};
	}
}

void indexer_note_try(struct store *store, const struct wish *wish, enum status status)
{
	store_lock_admin(store);
	struct table *now = release_find(snapshot_find(store_current(store), wish->release),
		wish->table->number);
	const struct next_try next =
		next_try(&store->options.sizes, wish->table->index_wait_ms, status);
	if (status == STATUS_CORRUPT && !table_has_level(now, wish->table->levels[wish->level])) {
		now = NULL;
	}
	struct table *tables[] = {wish->table, now};
	for (size_t i = 0; i < 2; i++) {
		if (tables[i] != NULL) {
			tables[i]->index_wait_ms = next.wait_ms;
			tables[i]->index_again_ms = next.again_ms;
		}
	}
	store_unlock_admin(store);
}

void indexer_take_over(struct table *table, const struct table *from)
{
	table_share_indexes(table, from);
	table->index_wait_ms = from->index_wait_ms;
	table->index_again_ms = from->index_again_ms == never ? 0 : from->index_again_ms;
}

/* Was the release dropped meanwhile? Then its folder is gone, and nobody waits for the index. */
static bool is_dropped(struct store *store, const struct wish *wish)
{
	store_lock_admin(store);
	const bool dropped = snapshot_find(store_current(store), wish->release) == NULL;
	store_unlock_admin(store);
	return dropped;
}

void indexer_fail(struct indexer *indexer, const struct wish *wish, enum status status,
	struct error *err)
{
	struct store *store = indexer->store;
	const struct store_sizes *sizes = &store->options.sizes;
	if ((status == STATUS_BUSY && atomic_load(&indexer->stop)) || is_dropped(store, wish)) {
		return;
	}
	if (status == STATUS_BUSY) {
		status = error_set(err, STATUS_TIMEOUT,
			"index: not done in index_time, %" PRIu64 " ms", sizes->index_time_ms);
	}
	indexer_note_try(store, wish, status);
	store_event(store, "event=index_failed release=%llu table=%s reason=\"%s\"",
		(unsigned long long)wish->release, wish->table->spec.name.text, err->text);
	atomic_fetch_add(&indexer->failed, 1); /* last: who sees it has been told why */
}

void indexer_name_indexes(struct indexer *indexer)
{
	struct store *store = indexer->store;
	struct error err;
	if (!indexer->unnamed) {
		return;
	}
	store_lock_admin(store);
	if (!atomic_load(&store->catalog_unknown) &&
		store_renew_current(store, store_current(store), &err) != STATUS_OK) {
		store_event(store, "event=current_not_written reason=\"%s\"", err.text);
	}
	store_unlock_admin(store);
	indexer->unnamed = false;
}

/* Does the work for a wish. */
static void work_on(struct indexer *indexer, struct wish *wish)
{
	struct store *store = indexer->store;
	char folder[PATH_MAX];
	float *queries = NULL;
	store_release_folder(store, wish->release, folder);
	const uint32_t query_count =
		index_users_read(store, wish->queries, &indexer->give_up, &queries);
	const struct index_job job = {
		.folder = folder,
		.release = wish->release,
		.table = wish->table,
		.level = wish->level,
		.queries = queries,
		.query_count = query_count,
		.memory_bytes = store->options.sizes.index_memory,
		.stop = &indexer->give_up,
	};
	indexer_work(indexer, wish, &job);
	free(queries);
	end_wish(store, wish, folder);
}

/* The same, within index_time. */
static void fulfil(struct indexer *indexer, struct wish *wish)
{
	struct alarm alarm;
	struct error err;
	const uint64_t ends_ms =
		(uint64_t)clock_monotonic_ms() + indexer->store->options.sizes.index_time_ms;
	atomic_store(&indexer->give_up, false);
	if (atomic_load(&indexer->stop)) {
		atomic_store(&indexer->give_up, true); /* indexer_stop may have come before */
	}
	const enum status status = alarm_begin(&alarm, &indexer->give_up, ends_ms, &err);
	if (status == STATUS_OK) {
		work_on(indexer, wish);
		alarm_end(&alarm);
	} else {
		indexer_fail(indexer, wish, status, &err);
		let_go(indexer->store, wish);
	}
}

static void *run(void *arg)
{
	struct indexer *indexer = arg;
	struct wish wish;
	uint64_t again_ms = never;
	grace_register(); /* it reads rows of users */
	background_set_nice(indexer->store, BACKGROUND_NICE);
	while (!atomic_load(&indexer->stop)) {
		if (find_wish(indexer->store, &wish, &again_ms)) {
			fulfil(indexer, &wish);
		} else {
			indexer_name_indexes(indexer);
			bell_wait(&indexer->store->index_bell, again_ms);
		}
	}
	grace_unregister();
	return NULL;
}

enum status indexer_start(struct store *store, struct indexer **out, struct error *err)
{
	struct indexer *indexer = calloc(1, sizeof *indexer);
	if (indexer == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "start the indexer");
	}
	indexer->store = store;
	const enum status status = thread_start(&indexer->thread, run, indexer, "index", err);
	if (status != STATUS_OK) {
		free(indexer);
		return status;
	}
	(void)pthread_setname_np(indexer->thread, "index");
	*out = indexer;
	return STATUS_OK;
}

void indexer_stop(struct indexer *indexer)
{
	if (indexer == NULL) {
		return;
	}
	atomic_store(&indexer->stop, true);
	atomic_store(&indexer->give_up, true);
	bell_ring(&indexer->store->index_bell);
	(void)pthread_join(indexer->thread, NULL);
	free(indexer);
}

void indexer_count(struct indexer *indexer, const struct index *index, size_t level)
{
	atomic_fetch_add(&indexer->bytes[level > 0], index->bytes);
	atomic_fetch_add(&indexer->builds[level > 0], 1); /* last, behind its bytes */
}

void indexer_figures(struct indexer *indexer, struct index_figures *out)
{
	if (indexer != NULL) {
		out->builds = atomic_load(&indexer->builds[0]); /* first */
		out->images = atomic_load(&indexer->builds[1]);
		out->bytes = atomic_load(&indexer->bytes[0]);
		out->image_bytes = atomic_load(&indexer->bytes[1]);
		out->failed = atomic_load(&indexer->failed);
		out->running = atomic_load(&indexer->running);
	}
}
