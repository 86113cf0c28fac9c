/* repair.c - which ranges of a table are damaged, and what of each is kept. */
#include "daemon/store/merge/repair.h"

#include "daemon/store/memtable/memtable_merge.h"
#include "daemon/store/merge/merge_ask.h"
#include "daemon/store/merge/merge_rows.h"
#include "daemon/store/merge/merger.h"
#include "daemon/store/merge/salvage.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/state/background.h"
#include "daemon/store/state/state.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

void repair_report_fini(struct repair_report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		free(report->ranges[i].files);
	}
	free(report->ranges);
	*report = (struct repair_report){0};
}

/* ---- one range ---- */

static bool is_damaged(const struct base_set *set, uint64_t prefix)
{
	return base_segment_state(set->segments[base_set_find(set, prefix)]) == BASE_DAMAGED;
}

/* Lists the files of a range that have a damaged segment. */
static enum status list_files(const struct table *table, struct repair_range *range)
{
	const struct hash_range hashes = {range->first, range->last};
	range->files = calloc(table_file_count(table) + 1, sizeof *range->files);
	for (size_t i = 0; range->files != NULL && i < table->level_count; i++) {
		const struct level *level = table->levels[i];
		for (size_t j = 0; j < level->file_count; j++) {
			const struct base_file_info *info = &level->files[j];
			bool damaged = false;
			for (size_t k = 0; range_has_file(&hashes, info) && k < info->segment_count;
				k++) {
				damaged =
					damaged || is_damaged(level->set, info->segments[k].prefix);
			}
			if (damaged) {
				range->files[range->file_count++] = info->number;
			}
		}
	}
	return range->files == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

static struct repair_range *add_range(struct repair_report *report)
{
	struct repair_range *ranges = realloc(report->ranges, (report->count + 1) * sizeof *ranges);
	if (ranges == NULL) {
		return NULL;
	}
	report->ranges = ranges;
	ranges[report->count] = (struct repair_range){0};
	return &ranges[report->count++];
}

static enum status write_range(struct merge_job *job, bool dry_run, struct salvage *salvage,
	struct error *err)
{
	if (!dry_run) {
		job->salvage = salvage;
		return merge_table_range(job, 0, &salvage->range, err);
	}
	const struct merge_input input = {
		.table = job->table,
		.release = job->release,
		.range = salvage->range,
		.expired_ms = INT64_MIN,
		.salvage = salvage,
	};
	return merge_rows(&input, NULL, err);
}

static void tell(const struct merge_job *job, const struct repair_range *range)
{
	store_event(job->store,
		"event=repaired release=%" PRIu64 " table=\"%s\" first=%016" PRIx64
		" last=%016" PRIx64 " kept=%" PRIu64 " partial=%" PRIu64 " lost=%" PRIu64
		" given_up=%" PRIu64 " unreadable=%" PRIu64,
		job->release, job->table->spec.name.text, range->first, range->last, range->kept,
		range->partial, range->lost, range->given_up, range->unreadable);
}

/* Repairs a range if it is damaged. */
static enum status repair_range(struct merge_job *job, const struct hash_range *hashes,
	bool dry_run, struct repair_report *report, struct error *err)
{
	struct salvage salvage;
	salvage_begin(&salvage, job->table, hashes);
	if (salvage.damaged == 0) {
		salvage_fini(&salvage);
		return STATUS_OK;
	}
	struct repair_range *range = add_range(report);
	enum status status = STATUS_NO_MEMORY;
	if (range != NULL) {
		range->first = hashes->first;
		range->last = hashes->last;
		status = list_files(job->table, range);
	}
	status = status == STATUS_OK ? write_range(job, dry_run, &salvage, err)
				     : error_set(err, status, "repair: no memory");
	if (status == STATUS_OK) {
		range->kept = salvage.kept;
		range->partial = salvage.partial;
		range->lost = salvage.lost;
		range->given_up = salvage.given_up;
		range->unreadable = salvage.unreadable;
		if (!dry_run) {
			tell(job, range);
		}
	}
	job->salvage = NULL;
	salvage_fini(&salvage);
	return status;
}

/* ---- all ---- */

/* The range that begins at a hash. */
static struct hash_range range_at(const struct table *table, uint64_t hash)
{
	const struct level *base = table->levels[0];
	size_t i = 0;
	while (i + 1 < base->file_count && range_of_file(&base->files[i]).last < hash) {
		i++;
	}
	return table_range(table, i);
}

static enum status repair_all(struct merge_job *job, bool dry_run, struct repair_report *report,
	struct error *err)
{
	enum status status = STATUS_OK;
	uint64_t from = 0;
	do {
		/* A range that was written anew has other files, but the same hashes. */
		const struct hash_range range = range_at(job->table, from);
		assert(range.first == from);
		status = atomic_load(&job->store->stop)
				 ? error_set(err, STATUS_BUSY, "repair: the daemon is stopping")
				 : repair_range(job, &range, dry_run, report, err);
		from = range.last + 1;
	} while (status == STATUS_OK && from != 0);
	return status;
}

enum status repair_table(const struct merge_job *model, const struct merge_scope *scope,
	bool dry_run, struct repair_report *report, struct error *err)
{
	struct merge_job job = *model;
	assert(scope->count == 1);
	job.release = scope->release;
	job.pace = model->hurry; /* its keys are CORRUPT until then */
	store_lock_admin(job.store);
	const struct release *release = snapshot_find(store_current(job.store), scope->release);
	job.table = release_find(release, scope->tables[0]);
	if (job.table != NULL) {
		job.table->refs++;
		report->release = release->id;
		report->name = job.table->spec.name;
		report->number = release->number;
		report->table = job.table->number;
	}
	store_unlock_admin(job.store);
	if (job.table == NULL) {
		return error_set(err, STATUS_NOT_FOUND,
			"repair: the release was dropped before the repair began");
	}
	const enum status status =
		job.table->level_count == 0 ? STATUS_OK : repair_all(&job, dry_run, report, err);
	report->needs_start = memtable_keeps_log(job.table->memtable);
	background_let_go(job.store, job.table);
	return status != STATUS_NOT_FOUND
		       ? status
		       : error_set(err, status, "repair: release '%s' was dropped meanwhile",
				 report->release.text);
}

enum status store_repair(struct store *store, const struct repair_wish *wish,
	const struct stop *stop, struct repair_report *out, struct error *err)
{
	const struct merge_tables which = {
		.release = wish->release,
		.names = &wish->table,
		.count = 1,
	};
	struct merge_ask wanted = {.reason = MERGE_REPAIR, .dry_run = wish->dry_run};
	enum status status = merge_scope_of(store, &which, &wanted.scope, err);
	*out = (struct repair_report){0};
	if (status == STATUS_OK) {
		status = merge_asks_wait(merger_asks(store->merger), store, &wanted, stop, err);
		*out = wanted.report;
	}
	if (status != STATUS_OK) {
		repair_report_fini(out);
	}
	return status;
}
