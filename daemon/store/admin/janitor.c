/* janitor.c - frees snapshots after a grace period, removes files, looks at all tables (inspection.h). */
#include "daemon/store/admin/janitor.h"

#include "daemon/store/base/base.h"
#include "daemon/store/inspection/inspection.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/spill/spilled.h"
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
#include <unistd.h>

/* How often it finds out how much of the segments is in memory. */
enum { MEASURE_MS = 30 * 1000 };

struct janitor {
	struct store *store; /* borrowed */
	pthread_t thread;
	struct lock lock;
	struct condition wake;
	bool is_away; /* the data folder was not in its place; the thread's own, as the next two */
	struct inspection inspection;
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

/* The files that a merge has taken together, each with its index, or of tensors that others have replaced. */
static void remove_replaced(struct store *store, const struct janitor_job *job)
{
	char name[64];
	for (size_t i = 0; i < job->left_count; i++) {
		base_file_name(name, sizeof name, job->replaced->number, job->left[i]);
		remove_file(store, job, name);
		if (job->replaced->spec.index != INDEX_NONE) {
			table_index_file_name(name, sizeof name, job->replaced, job->left[i]);
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
		has = has || table_has_file(table, job->left[i]);
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
	free(job->left);
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

/* Does what waits. False: the thread is to stop. */
static bool run_jobs(void *arg)
{
	struct janitor *janitor = arg;
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

/* ---- the folder ---- */

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

/* A pause of its inspection. */
static void pause_for(void *arg, uint64_t ms)
{
	struct janitor *janitor = arg;
	const uint64_t until_ms = (uint64_t)clock_monotonic_ms() + ms;
	lock_take(&janitor->lock);
	while (!janitor->stop && (uint64_t)clock_monotonic_ms() < until_ms) {
		(void)condition_wait_until(&janitor->wake, &janitor->lock, until_ms);
	}
	lock_release(&janitor->lock);
}

/* Until there is work, or pins may be gone, or it is time to look. */
static void wait_for_work(struct janitor *janitor, uint64_t look_ms)
{
	const uint64_t now_ms = (uint64_t)clock_monotonic_ms();
	const uint64_t until_ms =
		look_ms > now_ms && look_ms < now_ms + 1000 ? look_ms : now_ms + 1000;
	lock_take(&janitor->lock);
	if (janitor->first == NULL && !janitor->stop) {
		(void)condition_wait_until(&janitor->wake, &janitor->lock, until_ms);
	}
	lock_release(&janitor->lock);
}

static void *run(void *arg)
{
	struct janitor *janitor = arg;
	/* What is asked for right after a start has the disk alone. */
	uint64_t look_ms =
		(uint64_t)clock_monotonic_ms() + janitor->store->options.sizes.first_look_ms;
	uint64_t measure_ms = 0;
	grace_register();
	while (run_jobs(janitor)) {
		const uint64_t now_ms = (uint64_t)clock_monotonic_ms();
		if (now_ms >= look_ms) {
			const bool measures = now_ms >= measure_ms;
			look_ms = now_ms + janitor->store->options.sizes.look_ms;
			look_at_folder(janitor);
			if (!inspection_run(&janitor->inspection, measures)) {
				continue;
			}
			measure_ms = measures ? now_ms + MEASURE_MS : measure_ms;
		}
		wait_for_work(janitor, look_ms);
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
	janitor->inspection = (struct inspection){
		.store = store,
		.go_on = run_jobs,
		.pause = pause_for,
		.arg = janitor,
	};
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
