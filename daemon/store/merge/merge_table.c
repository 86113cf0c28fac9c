/* merge_table.c - merges one table: writes the files of a new level, or of a range of one, checks them and swaps them
 * in; then frees the frozen half of its memtable, if that is in them. */
#include "daemon/store/admin/change.h"
#include "daemon/store/admin/janitor.h"
#include "daemon/store/base/base_files.h"
#include "daemon/store/indexing/index_build.h"
#include "daemon/store/indexing/index_known.h"
#include "daemon/store/indexing/indexer.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/memtable/memtable_merge.h"
#include "daemon/store/merge/merge_rows.h"
#include "daemon/store/merge/merger.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/level_filter.h"
#include "daemon/store/snapshot/level_range.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/state/background.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/write/fullness.h"
#include "daemon/store/write/writer.h"

#include <assert.h>
#include <stdlib.h>

/* What one merge writes. */
struct renewal {
	struct merge_job *job;
	bool is_fold; /* it takes the frozen rows; else a level takes what newer ones have for a range */
	size_t first;              /* the level that it writes; of this and newer ones it is made */
	struct hash_range range;   /* of a fold, all */
	struct memtable_row *news; /* owned; of a range, none */
	size_t count;
	struct base_files files;
	uint64_t bytes; /* of segments that it wrote */
	bool wrote;     /* a file */
};

static enum merge_step step_of(const struct renewal *renewal)
{
	if (renewal->job->salvage != NULL) {
		return MERGE_STEP_REPAIR;
	}
	if (renewal->is_fold) {
		return renewal->first == 0 ? MERGE_STEP_BASE : MERGE_STEP_DELTA;
	}
	return renewal->first == 0 ? MERGE_STEP_RANGE : MERGE_STEP_TIER;
}

static enum status keep_pace(void *arg, uint64_t bytes, struct error *err)
{
	struct renewal *renewal = arg;
	const struct merge_job *job = renewal->job;
	renewal->bytes += bytes;
	atomic_fetch_add(&job->store->merge_steps.of[step_of(renewal)].bytes, bytes);
	return job->pace(job->pace_arg, bytes, err);
}

static void count_step(const struct renewal *renewal, uint64_t took_ns)
{
	struct merge_steps *steps = &renewal->job->store->merge_steps;
	const enum merge_step step = step_of(renewal);
	slowing_learn(&renewal->job->store->writer->slowing, step, renewal->bytes, took_ns);
	atomic_fetch_add(&steps->of[step].ns, took_ns);
	atomic_fetch_add(&steps->of[step].count, 1); /* last: who sees the step sees its time */
}

static enum status write_files(struct renewal *renewal, struct error *err)
{
	struct merge_job *job = renewal->job;
	const struct merge_input input = {
		.table = job->table,
		.release = job->release,
		.first = renewal->first,
		.range = renewal->range,
		.news = renewal->news,
		.count = renewal->count,
		.salvage = job->salvage,
		.expired_ms = renewal->is_fold       ? merge_expired_ms(job)
			      : job->salvage != NULL ? INT64_MIN /* it leaves out no other row */
						     : merge_range_expired_ms(job),
		.pace = keep_pace,
		.pace_arg = renewal,
	};
	const enum status status = merge_rows(&input, &renewal->files, err);
	for (size_t i = 0; status == STATUS_OK && i < renewal->files.file_count; i++) {
		job->bytes += renewal->files.files[i].bytes;
	}
	job->rows += status == STATUS_OK ? renewal->files.rows : 0;
	renewal->wrote = renewal->files.file_count > 0;
	return status == STATUS_OK ? file_sync_folder(renewal->files.folder, err) : status;
}

/* Gives a table its levels: those that stay, and the new files, which it takes over. */
static enum status add_levels(struct renewal *renewal, struct table *table)
{
	struct base_files *files = &renewal->files;
	const struct table *from = renewal->job->table;
	struct base_file_info *infos = files->files;
	const size_t count = files->file_count;
	files->files = NULL;
	files->file_count = 0;
	if (!renewal->is_fold) {
		const struct range_files renewed = {renewal->first, renewal->range, infos, count};
		return table_renew_range(table, from, &renewed);
	}
	table_share_levels(table, from, renewal->first);
	if (count > 0) {
		return table_add_level(table, files->delta, infos, count);
	}
	free(infos); /* frozen were no rows */
	return STATUS_OK;
}

/* Makes the table that has the new files, and takes them over. */
static struct table *make_table(struct renewal *renewal)
{
	const struct merge_job *job = renewal->job;
	struct store *store = job->store;
	assert(renewal->files.writer == NULL); /* all are finished */
	store_lock_admin(store);
	struct table *table = table_renew(job->table);
	if (table != NULL && add_levels(renewal, table) != STATUS_OK) {
		table_drop(table);
		table = NULL;
	}
	store_unlock_admin(store);
	if (table == NULL) {
		return NULL;
	}
	if (renewal->is_fold) {
		const uint64_t last = memtable_frozen_last(table->memtable);
		table->merged_to = last > table->merged_to ? last : table->merged_to;
	}
	assert(table->memtable == job->table->memtable);
	assert(table->merged_to >= job->table->merged_to);
	assert(table->next_file == atomic_load(renewal->files.next_file));
	return table;
}

/* Opens the new files, reads them in and compares them with their checksums, so that the first request
 * does not wait for that. */
static enum status check(const struct renewal *renewal, struct table *table, struct error *err)
{
	const struct merge_job *job = renewal->job;
	const struct release release = {.number = job->release};
	const enum status status = store_open_table(job->store, &release, table, job->table, err);
	if (status != STATUS_OK) {
		return status;
	}
	const struct level *level = renewal->wrote ? table->levels[renewal->first] : NULL;
	for (size_t i = 0; level != NULL && i < level->set->segment_count; i++) {
		if (hash_range_has(&renewal->range, level->set->segments[i]->info->prefix) &&
			base_segment_wait(level->set, i) != BASE_READY) {
			return error_set(err, STATUS_CORRUPT,
				"merge: table '%s' reads back otherwise than it was written",
				table->spec.name.text);
		}
	}
	/* Without a filter all deltas are asked. */
	if (renewal->is_fold ||
		!level_filter_renew(table, job->table, renewal->first, &renewal->range)) {
		(void)level_filter_make(table);
	}
	return STATUS_OK;
}

static bool is_current(const struct merge_job *job)
{
	return release_find(snapshot_find(store_current(job->store), job->release),
		       job->table->number) == job->table;
}

/* Makes `table` the release's table, durably, and the job's. Takes it over. NOT_FOUND: the release was dropped
 * meanwhile, as `end` finds too. */
static enum status swap(struct merge_job *job, struct table *table, struct error *err)
{
	struct store *store = job->store;
	enum status status = STATUS_NO_MEMORY;
	store_lock_admin(store);
	if (!is_current(job)) {
		table_drop(table);
		store_unlock_admin(store);
		return STATUS_NOT_FOUND;
	}
	struct release *release = release_copy(snapshot_find(store_current(store), job->release));
	if (release == NULL) {
		table_drop(table);
		status = error_set(err, status, "merge: no memory");
	} else {
		indexer_take_over(table, job->table);
		const struct aftermath aftermath = {.replaced = job->table, .owner = job->release};
		const enum status put = release_put(release, table);
		assert(put == STATUS_OK); /* it replaces a table, which needs no memory */
		(void)put;
		table->refs++;
		status = change_release(store, release, &aftermath, err);
		table_drop(status == STATUS_OK ? job->table : table);
		job->table = status == STATUS_OK ? table : job->table;
	}
	store_unlock_admin(store);
	return status;
}

/* Frees the frozen generation. Readers that began after the swap find its rows in the new level; those
 * that began before it may need the generation, so they are waited for. Then it is taken out, and
 * readers that have loaded its address are waited for. */
static void let_go(const struct merge_job *job)
{
	grace_wait();
	struct generation *frozen = memtable_take_frozen(job->table->memtable);
	grace_wait();
	generation_free(frozen);
}

/* Keeps the janitor out of the release's folder. False: the release was dropped before. */
static bool begin(const struct merge_job *job)
{
	struct store *store = job->store;
	store_lock_admin(store);
	const bool current = is_current(job);
	assert(store->merging == 0); /* one table at a time */
	assert(!store->merging_dropped);
	store->merging = current ? job->release : 0;
	store_unlock_admin(store);
	return current;
}

/* Gives the folder of a dropped release back to the janitor, which waits for the readers that have
 * pinned the release. */
static void leave_folder(struct store *store, uint64_t release)
{
	struct janitor_job *job = calloc(1, sizeof *job);
	if (job == NULL) {
		store_event(store, "event=leftover release=%llu stays= reason=\"no memory\"",
			(unsigned long long)release);
		return;
	}
	job->dropped = release;
	janitor_add(store->janitor, job);
}

/* Returns whether the release was dropped meanwhile. If the janitor has left its folder to the merge,
 * nothing is written there any more, and the janitor gets it back. */
static bool end(const struct merge_job *job)
{
	struct store *store = job->store;
	store_lock_admin(store);
	assert(store->merging == job->release);
	/* Asks for the release and not for the table: after a swap the release has another table. */
	const bool dropped = snapshot_find(store_current(store), job->release) == NULL;
	const bool mine = store->merging_dropped;
	store->merging = 0;
	store->merging_dropped = false;
	store_unlock_admin(store);
	if (mine) {
		leave_folder(store, job->release);
	}
	return dropped;
}

/* Removes base files and indexes that were written and are not used, by their numbers. */
static void remove_files(const char *folder, const struct merge_job *job, uint64_t first,
	uint64_t behind)
{
	for (uint64_t number = first; number < behind; number++) {
		char name[64];
		base_file_name(name, sizeof name, job->table->number, number);
		(void)file_remove_prefixed(folder, name, NULL);
		table_index_file_name(name, sizeof name, job->table, number);
		(void)file_remove_prefixed(folder, name, NULL);
	}
}

/* Gives a new file its index, or a delta's its image. NULL: it is left to the indexer. */
static struct index *index_file(const struct renewal *renewal, const struct index_job *build,
	size_t file, const struct index_axes *axes)
{
	struct store *store = renewal->job->store;
	struct index *index = NULL;
	const struct base_file_info *info = &build->table->levels[build->level]->files[file];
	if (range_has_file(&renewal->range, info) &&
		table_wants_image(build->table, build->level, file) &&
		!fullness_must_hurry(store) &&
		index_build(build, file, axes, &index, NULL) == STATUS_OK) {
		indexer_count(store->indexer, index, build->level);
	}
	return index;
}

/* Keeps the index, or makes images of a delta, of the files that are new: with the axes, the recalls, and the balls of the rows
 * that did not change, so that searches are as fast as before from the first moment on. Nothing is found anew here. Where this
 * would take longer than the merge, or writers will soon wait for it, the indexer makes it later. The other files keep theirs
 * (indexer_take_over). */
static void keep_index(const struct renewal *renewal, const char *folder, struct table *table)
{
	const struct merge_job *job = renewal->job;
	const size_t first = renewal->first;
	const struct level *level = table->levels[first];
	uint64_t work = index_work_max;
	grace_enter();
	struct indexes *indexes = table_index_hold(job->table);
	grace_leave();
	const struct index_before before = {job->table, indexes};
	const struct index_axes axes = {
		.lead = indexes_lead(indexes),
		.before = &before,
		.work = &work,
	};
	const struct index_job build = {
		.folder = folder,
		.release = job->release,
		.table = table,
		.level = first,
		.memory_bytes = job->store->options.sizes.index_memory,
		.stop = &job->store->stop,
	};
	struct index **of = calloc(level->file_count, sizeof(struct index *));
	if (of != NULL && axes.lead != NULL &&
		table_wants_index(table, job->store->options.sizes.index_rows_min)) {
		for (size_t i = 0; i < level->file_count; i++) {
			of[i] = index_file(renewal, &build, i, &axes);
		}
		table_give_indexes(table, first, job->table,
			indexes_new(of, level->file_count, indexes));
	}
	free(of);
	table_index_let_go(indexes);
}

/* How the new files are cut: those of a base as its size says, which may have grown since it was cut. */
static void plan_files(struct renewal *renewal)
{
	const struct merge_job *job = renewal->job;
	const struct table *from = job->table;
	const size_t first = renewal->first;
	struct base_files *files = &renewal->files;
	uint64_t bytes = table_range_bytes(from, first, &renewal->range);
	if (renewal->is_fold) {
		bytes += merge_frozen_bytes(job);
		files->delta = first == 0 ? 0 : from->levels[first - 1]->number + 1;
	} else {
		files->delta = from->levels[first]->number;
	}
	if (first == 0) {
		const struct base_extent extent = {
			.bytes = renewal->is_fold ? bytes : from->levels[0]->bytes,
			.rows = renewal->is_fold ? from->rows + memtable_frozen_rows(from->memtable)
						 : from->levels[0]->rows,
			.is_indexed = from->spec.index != INDEX_NONE,
		};
		files->range_bits = base_range_bits(&files->sizes, &extent);
	}
	files->expected_bytes =
		renewal->is_fold ? base_range_expected(bytes, files->range_bits) : bytes;
}

/* Writes the new files, checks them, and swaps them in. */
static enum status renew(struct renewal *renewal, struct error *err)
{
	struct merge_job *job = renewal->job;
	const char *folder = renewal->files.folder;
	if (renewal->is_fold && memtable_collect_frozen(job->table->memtable, &renewal->news,
					&renewal->count) != STATUS_OK) {
		return error_set(err, STATUS_NO_MEMORY, "merge: order of the new rows");
	}
	plan_files(renewal);
	enum status status = write_files(renewal, err);
	struct table *table = status == STATUS_OK ? make_table(renewal) : NULL;
	if (status == STATUS_OK && table == NULL) {
		status = error_set(err, STATUS_NO_MEMORY, "merge: no memory");
	}
	base_files_fini(&renewal->files, BASE_FILES_REMOVE);
	free(renewal->news);
	if (status != STATUS_OK) {
		return status;
	}
	assert(table != NULL); /* otherwise the status would say so */
	status = check(renewal, table, err);
	if (status != STATUS_OK) {
		background_let_go(job->store, table);
		return status;
	}
	/* Of a range that is repaired not all old rows can be read. */
	if (renewal->wrote && job->salvage == NULL) {
		keep_index(renewal, folder, table);
	}
	return swap(job, table, err);
}

/* One merge, between the moments in which the janitor may remove the folder: of a range, or, where that is NULL, of the
 * frozen rows. */
static enum status run(struct merge_job *job, size_t first, const struct hash_range *range,
	struct error *err)
{
	char folder[PATH_MAX];
	const struct table *from = job->table;
	const struct base_owner owner = {.release = job->release,
		.table = from->number,
		.seed = from->seed,
		.spec = from->spec};
	if (atomic_load(&job->store->catalog_unknown)) {
		/* It would overwrite files that the catalog may name. */
		return error_set(err, STATUS_IO,
			"a change of the catalog could not be written; nothing merges until a restart");
	}
	if (!begin(job)) {
		return STATUS_NOT_FOUND;
	}
	const uint64_t first_file = from->next_file;
	_Atomic uint64_t next_file = first_file;
	store_release_folder(job->store, job->release, folder);
	struct renewal renewal = {
		.job = job,
		.is_fold = range == NULL,
		.first = first,
		.range = range == NULL ? hash_range_all : *range,
		.files = {.folder = folder,
			.owner = &owner,
			.sizes = store_base_sizes(job->store),
			.next_file = &next_file},
	};
	const uint64_t began_ns = clock_monotonic_ns();
	const enum status status = renew(&renewal, err);
	if (status == STATUS_OK) {
		count_step(&renewal, clock_monotonic_ns() - began_ns);
	}
	if (status == STATUS_OK && range == NULL) {
		let_go(job);
	} else if (status != STATUS_OK && status != STATUS_IO) {
		/* Not after an IO error: then the catalog may name the files, which only the next
		 * start can tell. */
		remove_files(folder, job, first_file, atomic_load(&next_file));
	}
	if (end(job) && status != STATUS_OK) {
		return STATUS_NOT_FOUND;
	}
	/* The release is there, so NOT_FOUND was about a file, which is an error of the disk. */
	return status == STATUS_NOT_FOUND
		       ? error_set(err, STATUS_IO, "%s", err == NULL ? "" : err->text)
		       : status;
}

enum status merge_table(struct merge_job *job, struct error *err)
{
	/* What else is to be done goes by range. */
	if (!memtable_is_frozen(job->table->memtable) && merge_goes_by_range(job)) {
		return STATUS_OK;
	}
	return run(job, merge_makes_base(job) ? 0 : job->table->level_count, NULL, err);
}

enum status merge_table_range(struct merge_job *job, size_t level, const struct hash_range *range,
	struct error *err)
{
	return run(job, level, range, err);
}
