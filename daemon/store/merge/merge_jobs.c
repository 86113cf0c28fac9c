/* merge_jobs.c - which tables a merge has something to do for, and does it: what was written to any of them first. */
#include "daemon/store/memtable/memtable_merge.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/merge/merge_range.h"
#include "daemon/store/merge/merger.h"
#include "daemon/store/snapshot/level_range.h"
#include "daemon/store/state/background.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/write/writer.h"

#include <assert.h>
#include <stdlib.h>

bool merge_scope_has(const struct merge_scope *scope, uint64_t release, uint64_t table)
{
	bool has = scope->release == 0 || (scope->release == release && scope->count == 0);
	for (size_t i = 0; !has && scope->release == release && i < scope->count; i++) {
		has = scope->tables[i] == table;
	}
	return has;
}

static bool is_wanted(const struct table *table, enum merge_reason reason)
{
	if (reason == MERGE_RANGE) {
		return table->level_count > 1;
	}
	return memtable_is_frozen(table->memtable) ||
	       (reason != MERGE_DUE && table->spec.ttl_ms != 0 && table->rows > 0) ||
	       (reason == MERGE_FULL && table->level_count > 1);
}

/* Whether a merge would change the table; sets job->whole and job->expired. Rows that have expired go when somebody
 * asks for a merge, or with a new base. */
static bool is_needed(struct merge_job *job, enum merge_reason reason)
{
	const struct table *table = job->table;
	const bool has_expired = reason != MERGE_DUE && merge_has_expired(job);
	/* New rows become a delta where a base is damaged; to go on to the expired ones would fail. */
	job->whole =
		reason == MERGE_FULL ||
		(has_expired && !(memtable_is_frozen(table->memtable) && table_is_damaged(table)));
	job->expired = has_expired && job->whole;
	return has_expired || memtable_is_frozen(table->memtable) ||
	       (reason == MERGE_FULL && table->level_count > 1);
}

/* Lists the tables to merge, and holds them. The caller ends each job and frees *out. Errors: NO_MEMORY. */
static enum status list_jobs(const struct merge_job *model, const struct merge_scope *scope,
	enum merge_reason reason, struct merge_job **out, size_t *count)
{
	struct store *store = model->store;
	size_t most = 0;
	enum status status = STATUS_OK;
	store_lock_admin(store);
	const struct snapshot *snapshot = store_current(store);
	for (size_t i = 0; i < snapshot->release_count; i++) {
		most += snapshot->releases[i]->table_count;
	}
	struct merge_job *jobs = calloc(most + 1, sizeof *jobs);
	*count = 0;
	for (size_t i = 0; jobs != NULL && i < snapshot->release_count; i++) {
		const struct release *release = snapshot->releases[i];
		for (size_t j = 0; j < release->table_count; j++) {
			struct table *table = release->tables[j];
			if (release->state != RELEASE_SEALED || !is_wanted(table, reason) ||
				!merge_scope_has(scope, release->number, table->number)) {
				continue;
			}
			assert(table->refs > 0);
			assert(*count < most);
			table->refs++;
			jobs[*count] = *model;
			jobs[*count].release = release->number;
			jobs[(*count)++].table = table;
		}
	}
	store_unlock_admin(store);
	status = jobs == NULL ? STATUS_NO_MEMORY : STATUS_OK;
	*out = jobs;
	return status;
}

/* While writes come in, ranges are merged between the merges of what was written. When these leave no time, deltas may
 * have an eighth more than they should; then a merge waits for ranges, too. */
static uint64_t share_of(const struct merge_job *job, enum merge_reason reason)
{
	const uint64_t share = job->store->options.sizes.deltas_share;
	return reason == MERGE_FULL ? 0 : reason == MERGE_DUE ? share + share / 8 : share;
}

/* What a replay could not add to damaged states is in the log alone, so no merge lets go of it: the next start, of a
 * table that was repaired, adds it. */
static enum status check_log(const struct merge_job *job, struct error *err)
{
	return memtable_frozen_keeps_log(job->table->memtable)
		       ? error_set(err, STATUS_CORRUPT,
				 "merge: samples of table '%s' are in the log alone, since their states could not be "
				 "read at the start: repair the table, then start the daemon again",
				 job->table->spec.name.text)
		       : STATUS_OK;
}

/* What was written to a table becomes a delta, or a base. */
static enum status merge_news(struct merge_job *job, enum merge_reason reason, struct error *err)
{
	if (!is_needed(job, reason)) {
		return STATUS_NOT_FOUND;
	}
	enum status status = check_log(job, err);
	if (status == STATUS_OK && memtable_is_frozen(job->table->memtable)) {
		status = merge_make_room(job, err);
	}
	return status == STATUS_OK ? merge_table(job, err) : status;
}

/* Lets in what is due, since writers wait for that, and takes the table that there is then. If its release was dropped, the
 * next range says so. */
static void let_in(struct merge_job *job)
{
	struct store *store = job->store;
	if (job->let_in == NULL) {
		return;
	}
	job->let_in(job->pace_arg);
	store_lock_admin(store);
	struct table *now =
		release_find(snapshot_find(store_current(store), job->release), job->table->number);
	if (now != NULL && now != job->table) {
		now->refs++;
		table_drop(job->table);
		job->table = now;
	}
	store_unlock_admin(store);
}

/* The base takes in what deltas have, range by range: each that there is by now, once. What is let in makes new deltas,
 * and may write ranges anew itself. */
static enum status merge_old(struct merge_job *job, enum merge_reason reason, struct error *err)
{
	const struct range_wish wish = {
		.share = share_of(job, reason),
		.expired = job->expired,
		.older_than = job->table->next_file,
		.most = 1,
	};
	enum status status = STATUS_OK;
	uint64_t ranges;
	if (reason == MERGE_ASKED) {
		job->pace = job->hurry; /* what was written is in the files, and somebody waits */
	}
	do {
		ranges = job->ranges;
		let_in(job);
		status = merge_goes_by_range(job) ? merge_ranges(job, &wish, err) : STATUS_OK;
	} while (job->ranges > ranges && (status == STATUS_OK || status == STATUS_CORRUPT));
	if (status == STATUS_OK && reason == MERGE_DUE &&
		slowing_is_behind(&job->store->writer->slowing)) {
		/* The next one will be late: it is to free what it freezes as soon as it can. If a range is damaged, it is
		 * the one that says so. */
		status = merge_make_room(job, err);
		status = status == STATUS_CORRUPT ? STATUS_OK : status;
	}
	return status;
}

typedef enum status merge_fn(struct merge_job *job, enum merge_reason reason, struct error *err);

/* Does this to all tables of which nothing has failed yet; *status: the first error. */
static void merge_each(struct merge_job *jobs, size_t count, enum merge_reason reason,
	merge_fn *merge, enum status *status, struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		struct error why = {.status = STATUS_OK};
		struct merge_job *job = &jobs[i];
		if (job->status != STATUS_OK) {
			continue;
		}
		job->status =
			atomic_load(&job->store->stop)
				? error_set(&why, STATUS_BUSY, "merge: the daemon is stopping")
				: merge(job, reason, &why);
		if (job->status != STATUS_OK && job->status != STATUS_NOT_FOUND &&
			*status == STATUS_OK) {
			*status = error_set(err, job->status, "table '%s': %s",
				job->table->spec.name.text, why.text);
		}
	}
}

/* Tells writers how much is to be written yet. */
static void tell_writers(const struct merge_job *jobs, size_t count, enum merge_reason reason)
{
	uint64_t left[MERGE_STEPS] = {0};
	if (reason != MERGE_DUE || count == 0) {
		return;
	}
	for (size_t i = 0; i < count; i++) {
		if (jobs[i].status == STATUS_OK) {
			merge_expect(&jobs[i], share_of(&jobs[i], reason), left);
		}
	}
	slowing_expect(&jobs[0].store->writer->slowing, left, clock_monotonic_ns());
}

enum status merge_tables(const struct merge_job *model, const struct merge_scope *scope,
	enum merge_reason reason, struct merge_result *result, bool *left, struct error *err)
{
	struct merge_job *jobs = NULL;
	size_t count = 0;
	enum status status = list_jobs(model, scope, reason, &jobs, &count);
	if (status != STATUS_OK) {
		return error_set(err, status, "merge: no memory");
	}
	tell_writers(jobs, count, reason);
	/* All memtables first: what a table has to write anew keeps no other one's rows in memory. */
	merge_each(jobs, count, reason, merge_news, &status, err);
	tell_writers(jobs, count, reason);
	merge_each(jobs, count, reason, merge_old, &status, err);
	for (size_t i = 0; i < count; i++) {
		const uint64_t oldest = memtable_oldest(jobs[i].table->memtable);
		if (jobs[i].status == STATUS_OK && oldest != 0 && oldest <= model->cut) {
			*left = true; /* the next merge counts it */
		} else if (jobs[i].status == STATUS_OK) {
			result->tables++;
			result->rows += jobs[i].rows;
			result->bytes += jobs[i].bytes;
		}
		background_let_go(jobs[i].store, jobs[i].table);
	}
	free(jobs);
	return status;
}

enum status merge_next_range(const struct merge_job *model, bool *merged, struct error *err)
{
	struct merge_job *jobs = NULL;
	size_t count = 0;
	enum status status = list_jobs(model, &(struct merge_scope){0}, MERGE_RANGE, &jobs, &count);
	*merged = false;
	if (status != STATUS_OK) {
		return error_set(err, status, "merge: no memory");
	}
	for (size_t i = 0; i < count; i++) {
		const struct range_wish wish = {
			.share = share_of(&jobs[i], MERGE_RANGE),
			.most = 1,
		};
		struct error why = {.status = STATUS_OK};
		const enum status of_table =
			!*merged && status == STATUS_OK && merge_goes_by_range(&jobs[i])
				? merge_ranges(&jobs[i], &wish, &why)
				: STATUS_OK;
		*merged = *merged || jobs[i].ranges > 0;
		if (of_table != STATUS_OK && of_table != STATUS_NOT_FOUND) {
			status = error_set(err, of_table, "table '%s': %s",
				jobs[i].table->spec.name.text, why.text);
		}
		background_let_go(jobs[i].store, jobs[i].table);
	}
	free(jobs);
	return status;
}
