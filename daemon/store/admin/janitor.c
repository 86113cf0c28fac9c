/* janitor.c - frees snapshots after a grace period, removes files, checks segments. */
#include "daemon/store/admin/janitor.h"

#include "daemon/store/base/base.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/level_filter.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/spill/spilled.h"
#include "daemon/store/state/memory_fit.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/folder.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/system/thread.h"
#include "daemon/store/tensor/tensor.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* How often it finds out how much of the segments is in memory. */
enum { MEASURE_S = 30 };

/* Of what does not fit in memory it checks about so much a second, and the others later. */
enum { CHECK_BYTES = 128 << 20 };

struct janitor {
	struct store *store; /* borrowed */
	pthread_t thread;
	struct lock lock;
	struct condition wake;
	uint64_t damaged; /* segments, when last told; the thread's own, as the next two */
	bool is_away;     /* the data folder was not in its place */
	/* What could not be freed or removed yet, since readers have pinned it; in the order in which
	 * it was retired. At most one a pinned snapshot, and those that only wait for such. */
	struct janitor_job *pinned;
	/* Guarded by lock: */
	struct janitor_job *first;
	struct janitor_job **last; /* where the next job is linked */
	uint64_t files;            /* of all jobs */
	uint64_t bytes;
	bool stop;
};

/* ---- jobs ---- */

/* Whether a merge is at work in the folder of a dropped release. Then the merge gives the folder
 * back at its end. */
static bool is_left_to_merge(struct store *store, uint64_t dropped)
{
	store_lock_admin(store);
	const bool left = store->merging == dropped;
	store->merging_dropped = store->merging_dropped || left;
	store_unlock_admin(store);
	return left;
}

static void remove_spills(struct store *store, const struct janitor_job *job)
{
	char folder[PATH_MAX];
	struct error err;
	if (job->sealed != 0) {
		store_release_folder(store, job->sealed, folder);
		if (file_remove_prefixed(folder, "spill-", &err) != STATUS_OK) {
			store_event(store, "event=leftover reason=\"%s\"", err.text);
		}
	}
}

static void remove_files(struct store *store, const struct janitor_job *job)
{
	char folder[PATH_MAX];
	struct error err;
	if (job->dropped != 0 && !is_left_to_merge(store, job->dropped)) {
		store_release_folder(store, job->dropped, folder);
		if (file_remove_folder(folder, &err) != STATUS_OK) {
			store_event(store, "event=leftover reason=\"%s\"", err.text);
		}
	}
}

static void remove_file(struct store *store, const struct janitor_job *job, const char *name)
{
	char folder[PATH_MAX];
	char path[PATH_MAX];
	store_release_folder(store, job->owner, folder);
	if (file_path(path, folder, name, NULL) == STATUS_OK && file_remove(path) != 0 &&
		errno != ENOENT) {
		store_event(store, "event=leftover file=%s reason=\"%s\"", name, strerror(errno));
	}
}

/* The files of levels that a merge has taken together, or of tensors that others have replaced. An index
 * goes with the base that it is of. */
static void remove_replaced(struct store *store, const struct janitor_job *job)
{
	char name[64];
	for (size_t i = 0; i < job->left_count; i++) {
		const struct level *level = job->left[i];
		for (size_t j = 0; j < level->file_count; j++) {
			base_file_name(name, sizeof name, job->replaced->number,
				level->files[j].number);
			remove_file(store, job, name);
		}
		if (level->number == 0 && table_index_file_name(name, sizeof name, job->replaced)) {
			remove_file(store, job, name);
		}
	}
	for (size_t i = 0; i < job->tensor_count; i++) {
		tensor_file_name(name, sizeof name, job->tensors[i]->number);
		remove_file(store, job, name);
	}
}

/* Whether a snapshot has something of which the job removes the files. A table is open while a snapshot
 * has it, but a tensor may be opened later, and a reader's release must be whole. */
static bool has_of(const struct snapshot *snapshot, const struct janitor_job *job)
{
	if (job->dropped != 0 && snapshot_find(snapshot, job->dropped) != NULL) {
		return true;
	}
	const struct release *release = snapshot_find(snapshot, job->owner);
	if (release == NULL) {
		return false;
	}
	const struct table *table =
		job->replaced == NULL ? NULL : release_find(release, job->replaced->number);
	bool has = table != NULL && table == job->replaced;
	for (size_t i = 0; table != NULL && i < job->left_count; i++) {
		has = has || table_has_level(table, job->left[i]);
	}
	for (size_t i = 0; i < job->tensor_count; i++) {
		for (size_t j = 0; j < release->tensor_count; j++) {
			has = has || release->tensors[j] == job->tensors[i];
		}
	}
	return has;
}

/* Frees the job's snapshot and then removes what it has left, each unless a reader has pinned it.
 * Returns whether all is done. */
static bool try_job(struct janitor *janitor, struct janitor_job *job)
{
	struct store *store = janitor->store;
	if (job->retired != NULL && store_is_pinned(store, job->retired)) {
		return false;
	}
	store_lock_admin(store);
	snapshot_drop(job->retired);
	job->retired = NULL;
	store_unlock_admin(store);
	for (const struct janitor_job *at = janitor->pinned; at != NULL; at = at->next) {
		if (at->retired != NULL && has_of(at->retired, job)) {
			return false;
		}
	}
	remove_replaced(store, job);
	store_lock_admin(store);
	table_drop(job->replaced);
	for (size_t i = 0; i < job->left_count; i++) {
		level_drop(job->left[i]);
	}
	for (size_t i = 0; i < job->tensor_count; i++) {
		tensor_drop(job->tensors[i]);
	}
	store_unlock_admin(store);
	remove_files(store, job);
	return true;
}

static void end_job(struct janitor *janitor, struct janitor_job *job)
{
	lock_take(&janitor->lock);
	assert(janitor->files >= job->files);
	assert(janitor->bytes >= job->bytes);
	janitor->files -= job->files;
	janitor->bytes -= job->bytes;
	lock_release(&janitor->lock);
	free(job);
}

/* Does what can be done by now of the jobs that wait for pins. */
static void try_pinned(struct janitor *janitor)
{
	struct janitor_job **at = &janitor->pinned;
	while (*at != NULL) {
		struct janitor_job *job = *at;
		if (try_job(janitor, job)) {
			*at = job->next;
			end_job(janitor, job);
		} else {
			at = &job->next;
		}
	}
}

static void run_job(struct janitor *janitor, struct janitor_job *job)
{
	grace_wait();
	remove_spills(janitor->store, job);
	loads_free(job->loads);
	job->loads = NULL;
	if (try_job(janitor, job)) {
		end_job(janitor, job);
		return;
	}
	struct janitor_job **last = &janitor->pinned;
	while (*last != NULL) {
		last = &(*last)->next;
	}
	job->next = NULL;
	*last = job;
}

static struct janitor_job *take_job(struct janitor *janitor)
{
	struct janitor_job *job = janitor->first;
	lock_assert_held(&janitor->lock);
	if (job != NULL) {
		janitor->first = job->next;
		if (janitor->first == NULL) {
			janitor->last = &janitor->first;
		}
	}
	return job;
}

static bool run_jobs(struct janitor *janitor)
{
	lock_take(&janitor->lock);
	struct janitor_job *job;
	while ((job = take_job(janitor)) != NULL) {
		lock_release(&janitor->lock);
		run_job(janitor, job);
		lock_take(&janitor->lock);
	}
	const bool stop = janitor->stop;
	lock_release(&janitor->lock);
	try_pinned(janitor);
	return !stop;
}

/* ---- segments ---- */

/* A place in the walk over all tables of all releases. */
struct walk {
	size_t release;
	size_t table;
};

/* Holds the next table that has files; NULL at the end of the walk. */
static struct table *next_table(struct store *store, struct walk *walk)
{
	struct table *found = NULL;
	store_lock_admin(store);
	const struct snapshot *snapshot = store_current(store);
	while (found == NULL && walk->release < snapshot->release_count) {
		const struct release *release = snapshot->releases[walk->release];
		if (walk->table >= release->table_count) {
			walk->release++;
			walk->table = 0;
			continue;
		}
		struct table *table = release->tables[walk->table++];
		if (table->bases != NULL) {
			assert(table->refs > 0);
			table->refs++;
			found = table;
		}
	}
	store_unlock_admin(store);
	return found;
}

static void let_go(struct store *store, struct table *table)
{
	store_lock_admin(store);
	assert(table->refs > 0);
	table_drop(table);
	store_unlock_admin(store);
}

static void tell_damage(struct janitor *janitor, uint64_t damaged)
{
	if (damaged > janitor->damaged) {
		store_event(janitor->store, "event=damage segments=%llu",
			(unsigned long long)damaged);
	}
	janitor->damaged = damaged;
}

/* An index that has failed is built anew. */
static void look_at_index(struct store *store, const struct table *table)
{
	grace_enter();
	const bool damaged = table_index_is_damaged(table);
	grace_leave();
	if (damaged) {
		bell_ring(&store->index_bell);
	}
}

/* Reads a segment in and checks it. What does not fit in memory is the first to be taken again, so that it drives
 * nothing out that is asked for. */
static enum base_segment_state check(struct base_set *set, size_t i, bool is_large)
{
	const enum base_segment_state state = base_segment_wait(set, i);
	if (is_large) {
		base_segment_let_go(set, i);
	}
	return state;
}

/* A look at all tables. */
struct look {
	bool measures; /* it also finds out how much of them is in memory */
	bool is_large; /* memory has no room for all */
	uint64_t left; /* bytes that may be read to be checked */
	uint64_t damaged;
};

/* Looks at one level of a table: checks the segments that are not checked yet, and looks whether the others are in
 * memory. False: the janitor is to stop. */
static bool walk_level(struct janitor *janitor, struct base_set *set, struct look *look)
{
	bool go_on = true;
	base_set_look(set);
	for (size_t i = 0; go_on && i < set->segment_count; i++) {
		const uint64_t bytes = set->segments[i].info->bytes;
		enum base_segment_state state = base_segment_state(&set->segments[i]);
		if (state == BASE_UNCHECKED && look->left > 0) {
			state = check(set, i, look->is_large);
			look->left -= bytes < look->left ? bytes : look->left;
			go_on = run_jobs(janitor);
		} else if (base_segment_look(set, i) == STATUS_UNSUPPORTED) {
			store_call_refused(janitor->store, STORE_CALL_MINCORE);
		}
		look->damaged += state == BASE_DAMAGED;
		if (look->measures) {
			base_segment_measure(set, i);
		}
	}
	return go_on;
}

/* Looks at all tables. Jobs come in between, since a check takes long. A table with deltas gets its filter, if it has
 * none since it was opened. False: the janitor is to stop. */
static bool walk_segments(struct janitor *janitor, bool measures)
{
	struct walk walk = {0};
	struct table *table;
	struct look look = {.measures = measures,
		.is_large = !store_fits_in_memory(janitor->store)};
	bool go_on = true;
	look.left = look.is_large ? CHECK_BYTES : UINT64_MAX;
	while (go_on && (table = next_table(janitor->store, &walk)) != NULL) {
		look_at_index(janitor->store, table);
		for (size_t i = table->level_count; go_on && i > 0; i--) {
			go_on = walk_level(janitor, table->levels[i - 1]->set, &look);
			if (go_on && i == 2) {
				(void)level_filter_make(table); /* all deltas were looked at */
			}
		}
		let_go(janitor->store, table);
	}
	if (go_on) {
		tell_damage(janitor, look.damaged);
	}
	return go_on;
}

/* Tells once that somebody has moved the data folder away, or removed it. */
static void look_at_folder(struct janitor *janitor)
{
	struct store *store = janitor->store;
	const bool is_away = !folder_is_in_place(store->data);
	if (is_away && !janitor->is_away) {
		store_event(store,
			"event=folder_gone folder='%s' reason=\"it was moved away or removed: the daemon "
			"goes on in the one that it has open, and the next start does not find it\" "
			"remedy=\"put it back\"",
			store->folder);
	}
	janitor->is_away = is_away;
}

/* ---- the thread ---- */

static void wait_a_second(struct janitor *janitor)
{
	const uint64_t until_ms = (uint64_t)clock_monotonic_ms() + 1000;
	lock_take(&janitor->lock);
	if (janitor->first == NULL && !janitor->stop) {
		(void)condition_wait_until(&janitor->wake, &janitor->lock, until_ms);
	}
	lock_release(&janitor->lock);
}

static void *run(void *arg)
{
	struct janitor *janitor = arg;
	time_t looked = 0;
	time_t measured = 0;
	grace_register();
	while (run_jobs(janitor)) {
		struct timespec now;
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec != looked) {
			const bool measures = measured == 0 || now.tv_sec - measured >= MEASURE_S;
			looked = now.tv_sec;
			look_at_folder(janitor);
			if (!walk_segments(janitor, measures)) {
				continue;
			}
			measured = measures ? now.tv_sec : measured;
		}
		wait_a_second(janitor);
	}
	grace_unregister();
	return NULL;
}

enum status janitor_start(struct store *store, struct janitor **out, struct error *err)
{
	struct janitor *janitor = calloc(1, sizeof *janitor);
	if (janitor == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "start the janitor");
	}
	janitor->store = store;
	janitor->last = &janitor->first;
	condition_init(&janitor->wake);
	lock_init(&janitor->lock);
	const enum status status = thread_start(&janitor->thread, run, janitor, "janitor", err);
	if (status != STATUS_OK) {
		lock_fini(&janitor->lock);
		condition_fini(&janitor->wake);
		free(janitor);
		return status;
	}
	*out = janitor;
	return STATUS_OK;
}

void janitor_stop(struct janitor *janitor)
{
	if (janitor == NULL) {
		return;
	}
	lock_take(&janitor->lock);
	janitor->stop = true;
	condition_signal(&janitor->wake);
	lock_release(&janitor->lock);
	(void)pthread_join(janitor->thread, NULL);
	assert(janitor->first == NULL); /* every job is done, and no reader is left */
	assert(janitor->pinned == NULL);
	assert(janitor->files == 0);
	assert(janitor->bytes == 0);
	lock_fini(&janitor->lock);
	condition_fini(&janitor->wake);
	free(janitor);
}

void janitor_add(struct janitor *janitor, struct janitor_job *job)
{
	assert(job->dropped == 0 || job->sealed == 0);
	lock_take(&janitor->lock);
	job->next = NULL;
	*janitor->last = job;
	janitor->last = &job->next;
	janitor->files += job->files;
	janitor->bytes += job->bytes;
	condition_signal(&janitor->wake);
	lock_release(&janitor->lock);
}

void janitor_waiting(struct janitor *janitor, uint64_t *files, uint64_t *bytes)
{
	lock_take(&janitor->lock);
	*files = janitor->files;
	*bytes = janitor->bytes;
	lock_release(&janitor->lock);
}
