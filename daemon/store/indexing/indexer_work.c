/* indexer_work.c - what the indexer does for a table: opens what is there, and builds what is missing. */
#include "daemon/store/indexing/indexer_work.h"

#include "daemon/store/indexing/filling.h"
#include "daemon/store/indexing/index_build.h"
#include "daemon/store/indexing/index_swap.h"
#include "daemon/store/indexing/indexer.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/state/state.h"

#include <assert.h>

bool indexer_wants_all(const struct table *table, const struct indexes *indexes)
{
	const struct index *lead = indexes_lead(indexes);
	return lead == NULL || table_index_is_stale(indexes) ||
	       index_is_outgrown(lead, table->levels[0]->rows);
}

static void tell_renewed(struct indexer *indexer, const struct wish *wish, const char *reason)
{
	store_event(indexer->store, "event=index_renewed release=%llu table=%s reason=\"%s\"",
		(unsigned long long)wish->release, wish->table->spec.name.text, reason);
}

/* Opens the index of a file. False: it must be built. */
static bool open_there(struct indexer *indexer, const struct wish *wish,
	const struct index_job *job, size_t file, struct index **out)
{
	const struct index_owner owner =
		table_index_owner(wish->table, wish->level, file, wish->release);
	struct error err = {.text = ""};
	const enum status status = index_open(job->folder, &owner, out, &err);
	if (status == STATUS_CORRUPT || status == STATUS_UNSUPPORTED || status == STATUS_CONFLICT) {
		tell_renewed(indexer, wish, err.text);
	}
	return status == STATUS_OK;
}

static void begin_build(struct indexer *indexer, const struct wish *wish)
{
	indexer_name_indexes(indexer); /* that were opened: a build takes long */
	atomic_store(&indexer->store->indexing, wish->table);
	atomic_store(&indexer->running, true);
}

static void end_build(struct indexer *indexer)
{
	atomic_store(&indexer->running, false);
	atomic_store(&indexer->store->indexing, NULL);
}

/* To be called when searches find it: who waits for a build searches next. */
static void tell_built(struct indexer *indexer, const struct wish *wish, const struct index *index)
{
	store_event(indexer->store,
		"event=index_built release=%llu table=%s rows=%llu bytes=%llu ms=%llu",
		(unsigned long long)wish->release, wish->table->spec.name.text,
		(unsigned long long)index->balls.rows, (unsigned long long)index->bytes,
		(unsigned long long)index->build_ms);
	indexer_count(indexer, index, wish->level);
}

/* Calibrates an index anew by rows of users. */
static void calibrate(struct indexer *indexer, const struct wish *wish, const struct index_job *job,
	const struct indexes *indexes)
{
	struct error err = {.text = ""};
	if (job->query_count == 0) {
		/* They were deleted, or there is no memory. */
		indexer_note_try(indexer->store, wish, STATUS_NOT_FOUND);
		return;
	}
	atomic_store(&indexer->running, true);
	const enum status status = index_calibrate(job, indexes, &err);
	atomic_store(&indexer->running, false);
	if (status != STATUS_OK) {
		indexer_fail(indexer, wish, status, &err);
		return;
	}
	indexer_note_try(indexer->store, wish, STATUS_OK);
	store_event(indexer->store, "event=index_calibrated release=%llu table=%s by=%s queries=%u",
		(unsigned long long)wish->release, wish->table->spec.name.text,
		wish->queries->spec.name.text, (unsigned)job->query_count);
}

/* ---- files of a level, on axes that there are ---- */

/* Opens or builds those that are wanted and missing. */
static enum status fill(struct indexer *indexer, const struct wish *wish,
	const struct index_job *job, const struct index *lead, struct filling *filling,
	struct error *err)
{
	const struct index_axes axes = {.lead = lead};
	enum status status = STATUS_OK;
	begin_build(indexer, wish);
	for (size_t i = 0; status == STATUS_OK && i < filling->count; i++) {
		if (filling->of[i] != NULL || !table_wants_image(wish->table, wish->level, i)) {
			continue;
		}
		/* One that is there may have other axes. */
		if (!filling->has_failed[i] && open_there(indexer, wish, job, i, &filling->of[i]) &&
			filling->of[i]->axes != lead->axes) {
			index_close(filling->of[i]);
			filling->of[i] = NULL;
		}
		if (filling->of[i] == NULL) {
			status = index_build(job, i, &axes, &filling->of[i], err);
			filling->is_built[i] = status == STATUS_OK;
		}
	}
	end_build(indexer);
	return status;
}

/* Tells what was built, once searches find it; the caller holds what tells of it. */
static void tell_filled(struct indexer *indexer, const struct wish *wish,
	const struct filling *filling, const struct indexes *indexes)
{
	assert(indexes != NULL);
	for (size_t i = 0; i < indexes->count; i++) {
		if (filling->is_built[i]) {
			tell_built(indexer, wish, indexes->of[i]);
		}
	}
}

/* Gives a delta its images. */
static void give_images(struct indexer *indexer, const struct wish *wish,
	const struct index_job *job, const struct index *lead)
{
	struct filling filling;
	struct error err = {.text = ""};
	struct indexes *images = NULL;
	enum status status = filling_begin(&filling, wish->table->levels[wish->level]->file_count)
				     ? fill(indexer, wish, job, lead, &filling, &err)
				     : error_set(&err, STATUS_NO_MEMORY, "index: no memory");
	if (status == STATUS_OK) {
		images = filling_take(&filling, NULL);
		status = images != NULL ? status
					: error_set(&err, STATUS_NO_MEMORY, "index: no memory");
	}
	if (status == STATUS_OK) {
		indexer_note_try(indexer->store, wish, STATUS_OK);
		struct indexes *before =
			atomic_exchange(&wish->table->levels[wish->level]->images, images);
		assert(before ==
			NULL); /* only a merge gives images too, before anybody sees the level */
		(void)before;
		tell_filled(indexer, wish, &filling,
			images); /* the table is held, and with it the level */
	} else {
		indexer_fail(indexer, wish, status, &err);
	}
	filling_end(&filling);
}

/* Swaps an index in; the caller keeps a reference of its own. */
static void give(struct indexer *indexer, const struct wish *wish, struct indexes *indexes)
{
	indexes_hold(indexes);
	index_swap_in(indexer->store, wish->release, wish->table, indexes);
	indexer->unnamed = true;
}

/* Builds the index of a base for the files that lack it. */
static void mend(struct indexer *indexer, const struct wish *wish, const struct index_job *job,
	const struct indexes *before, const struct index *lead)
{
	struct filling filling;
	struct error err = {.text = ""};
	enum status status = STATUS_NO_MEMORY;
	if (filling_begin(&filling, wish->table->levels[wish->level]->file_count)) {
		for (size_t i = 0; i < filling.count; i++) {
			filling.has_failed[i] =
				before->of[i] != NULL && !index_is_sound(before->of[i]);
			filling.of[i] = indexes_alike(before, i);
			index_hold(filling.of[i]);
		}
		status = fill(indexer, wish, job, lead, &filling, &err);
	}
	struct indexes *indexes = status == STATUS_OK ? filling_take(&filling, before) : NULL;
	if (indexes != NULL) {
		indexer_note_try(indexer->store, wish, STATUS_OK);
		give(indexer, wish, indexes);
		indexer_name_indexes(indexer);
		tell_filled(indexer, wish, &filling, indexes);
	} else {
		indexer_fail(indexer, wish, status == STATUS_OK ? STATUS_NO_MEMORY : status, &err);
	}
	indexes_close(indexes);
	filling_end(&filling);
}

/* ---- all files of a base ---- */

/* Opens those that are there. */
static bool open_all(struct indexer *indexer, const struct wish *wish, const struct index_job *job)
{
	struct filling filling;
	struct indexes *indexes = NULL;
	if (filling_begin(&filling, wish->table->levels[wish->level]->file_count)) {
		for (size_t i = 0; i < filling.count; i++) {
			if (!open_there(indexer, wish, job, i, &filling.of[i])) {
				filling.of[i] = NULL;
			}
		}
		indexes = filling_take(&filling, NULL);
	}
	if (indexes != NULL) {
		indexer_note_try(indexer->store, wish, STATUS_OK);
		give(indexer, wish, indexes);
	}
	indexes_close(indexes);
	filling_end(&filling);
	return indexes != NULL;
}

static void build_all(struct indexer *indexer, const struct wish *wish, const struct index_job *job)
{
	struct indexes *indexes = NULL;
	struct error err = {.text = ""};
	begin_build(indexer, wish);
	const enum status status = index_build_all(job, &indexes, &err);
	end_build(indexer);
	if (status != STATUS_OK) {
		indexer_fail(indexer, wish, status, &err);
		return;
	}
	indexer_note_try(indexer->store, wish, STATUS_OK);
	give(indexer, wish, indexes);
	indexer_name_indexes(indexer);
	for (size_t i = 0; i < indexes->count; i++) {
		if (indexes->of[i] != NULL) {
			tell_built(indexer, wish, indexes->of[i]);
		}
	}
	indexes_close(indexes);
}

void indexer_work(struct indexer *indexer, const struct wish *wish, const struct index_job *job)
{
	/* The indexer alone takes it away. */
	const struct indexes *indexes = atomic_load(&wish->table->index);
	const struct index *lead = indexes_lead(indexes);
	for (size_t i = 0; indexes != NULL && i < indexes->count; i++) {
		if (indexes->of[i] != NULL && !index_is_sound(indexes->of[i])) {
			tell_renewed(indexer, wish, "it could not be read");
		}
	}
	if (wish->level > 0 && lead != NULL) {
		give_images(indexer, wish, job, lead);
	} else if (lead == NULL || indexer_wants_all(wish->table, indexes)) {
		if (indexes != NULL || !open_all(indexer, wish, job)) {
			build_all(indexer, wish, job);
		}
	} else if (table_index_is_partial(wish->table)) {
		mend(indexer, wish, job, indexes, lead);
	} else {
		calibrate(indexer, wish, job, indexes);
	}
}
