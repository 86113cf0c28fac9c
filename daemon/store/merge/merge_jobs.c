/* merge_jobs.c - which tables a merge has something to do for. */
#include "daemon/store/memtable/memtable_merge.h"
#include "daemon/store/merge/merger.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/state/state.h"

#include <assert.h>
#include <stdlib.h>

static bool is_wanted(const struct table *table, enum merge_reason reason)
{
	return memtable_is_frozen(table->memtable) ||
	       (reason != MERGE_DUE && table->spec.ttl_ms != 0 && table->rows > 0) ||
	       (reason == MERGE_FULL && table->level_count > 1);
}

bool merge_is_needed(struct merge_job *job, enum merge_reason reason)
{
	const struct table *table = job->table;
	const bool has_expired = reason != MERGE_DUE && merge_has_expired(job);
	/* New rows become a delta where a base is damaged; a whole merge would fail for the expired ones. */
	job->whole = reason == MERGE_FULL ||
		     (has_expired &&
			     !(memtable_is_frozen(table->memtable) &&
				     table->spec.index == INDEX_NONE && table_is_damaged(table)));
	return has_expired || memtable_is_frozen(table->memtable) ||
	       (reason == MERGE_FULL && table->level_count > 1);
}

enum status merge_list_jobs(const struct merge_job *model, enum merge_reason reason,
	struct merge_job **out, size_t *count)
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
			if (release->state != RELEASE_SEALED || !is_wanted(table, reason)) {
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
