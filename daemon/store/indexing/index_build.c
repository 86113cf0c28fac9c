/* index_build.c - makes the indexes of a level's files and writes them. */
#include "daemon/store/indexing/index_build.h"

#include "daemon/retrieval/balls/balls_recall.h"
#include "daemon/retrieval/building/balls_build.h"
#include "daemon/retrieval/building/balls_calibration.h"
#include "daemon/store/base/base.h"
#include "daemon/store/index/index_file.h"
#include "daemon/store/index/indexes.h"
#include "daemon/store/indexing/index_known.h"
#include "daemon/store/indexing/index_rows.h"
#include "daemon/store/indexing/index_write.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/system/mapfault.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* With more rows a ball than this, axes and balls are found anew. */
	ROWS_A_BALL_MAX = 1333,
	/* A ball has at least so many rows when its axes are found. */
	AXES_ROWS_MIN = 64,
	/* A part in SAMPLE_PART of the memory of a build is for the sample, up to SAMPLE_BYTES_MAX. */
	SAMPLE_PART = 4,
	SAMPLE_BYTES_MAX = 256 << 20,
};

static uint64_t rows_in(const struct index_job *job)
{
	return level_file_rows(job->table->levels[job->level]);
}

static const struct base_file_info *file_of(const struct index_job *job, size_t file)
{
	return &job->table->levels[job->level]->files[file];
}

static enum status open_rows(struct index_rows *rows, const struct index_job *job, size_t file)
{
	return index_rows_open(rows, job->table, job->level, file);
}

static uint64_t sample_bytes(const struct index_job *job)
{
	const uint64_t share = job->memory_bytes / SAMPLE_PART;
	return share < SAMPLE_BYTES_MAX ? share : SAMPLE_BYTES_MAX;
}

/* Waits until the segments of so many files are read and checked. */
static enum status wait_for(const struct index_job *job, size_t file, size_t count,
	struct error *err)
{
	const struct level *level = job->table->levels[job->level];
	size_t first = 0;
	size_t end = 0;
	assert(!grace_is_inside()); /* it takes long */
	for (size_t i = 0; i < file + count; i++) {
		first += i < file ? level->files[i].segment_count : 0;
		end += level->files[i].segment_count;
	}
	for (size_t i = first; i < end; i++) {
		if (atomic_load(job->stop)) {
			return error_set(err, STATUS_BUSY, "index: stopped");
		}
		if (base_segment_wait(level->set, i) != BASE_READY) {
			return error_set(err, STATUS_CORRUPT, "table '%s': a damaged segment",
				job->table->spec.name.text);
		}
	}
	return STATUS_OK;
}

/* Memory that a build takes but for the sample: four numbers of 32 bits a row, two more for what is
 * kept; and the axes, twice. */
static enum status check_memory(const struct index_job *job, uint64_t rows,
	const struct index_axes *on, struct error *err)
{
	/* Those of another index are kept all, however few rows there are. */
	const uint64_t axes = on != NULL ? on->lead->balls.balls : rows_in(job) / AXES_ROWS_MIN;
	const uint64_t bytes = rows * (on == NULL || on->before == NULL ? 16 : 24) +
			       axes * job->table->spec.dim * 2 * sizeof(float);
	const uint64_t most = job->memory_bytes - job->memory_bytes / SAMPLE_PART;
	return bytes <= most ? STATUS_OK
			     : error_set(err, STATUS_TOO_LARGE,
				       "index: it would take %" PRIu64 " bytes to build beside the "
				       "sample, and index_memory leaves %" PRIu64,
				       bytes, most);
}

/* ---- the file of an index, until it has its name ---- */

struct place {
	struct index_owner owner;
	char name[64];
	char beside[72];
	char path[PATH_MAX]; /* of `beside` */
};

static enum status place_of(const struct index_job *job, size_t file, struct place *out,
	struct error *err)
{
	out->owner = table_index_owner(job->table, job->level, file, job->release);
	index_file_name(out->name, sizeof out->name, job->table->number, out->owner.file->number);
	(void)snprintf(out->beside, sizeof out->beside, "%s.new", out->name);
	return file_path(out->path, job->folder, out->beside, err);
}

/* Plans the index of a file, writes it beside, and opens it. */
static enum status make(const struct place *place, const struct balls_source *source,
	const struct balls_options *options, uint64_t changed, struct index **out,
	struct error *err)
{
	const uint64_t began_ns = clock_monotonic_ns();
	struct index_head head = {
		.base_hash = index_base_hash(&place->owner),
		.rows = source->rows,
		.changed = changed,
	};
	struct balls_plan *plan = NULL;
	enum status status = balls_plan(source, options, &plan);
	status = status == STATUS_OK ? index_write(place->path, plan, &head, began_ns, err)
				     : error_set(err, status, "index: %s", status_name(status));
	balls_plan_close(plan);
	if (status == STATUS_OK) {
		status = index_open_at(place->path, &place->owner, out, err);
		if (status != STATUS_OK) {
			(void)file_remove(place->path);
		}
	}
	return status;
}

/* Whether a file could not be read since so many faults. */
static enum status check_faults(unsigned faults, struct error *err)
{
	/* Perhaps of another table: the next try knows. */
	return mapfault_count() == faults
		       ? STATUS_OK
		       : error_set(err, STATUS_IO, "index: rows could not be read");
}

/* ---- one file, on axes that there are ---- */

bool index_is_outgrown(const struct index *lead, uint64_t rows)
{
	return lead->balls.balls == 0 || rows / lead->balls.balls > ROWS_A_BALL_MAX;
}

/* What a build keeps of the index before. */
struct kept {
	struct index_known known;
	uint64_t changed;
};

/* Makes the build keep axes and recalls of an index, and the balls of rows that had them before a merge. AGAIN: not if it is
 * of no use, if its balls would be too large, or if to find those of the others would take too long. */
static enum status keep_balls(const struct index_job *job, size_t file,
	const struct index_axes *axes, struct balls_options *options, struct kept *kept)
{
	const struct index *lead = axes->lead;
	if (!index_is_sound(lead) || index_is_outgrown(lead, rows_in(job))) {
		return STATUS_AGAIN;
	}
	options->previous = &lead->balls;
	options->query_count = *lead->balls.queries;
	options->recalls = lead->balls.recalls;
	if (axes->before == NULL) {
		kept->changed = job->level > 0 ? 0
					       : table_index_changed_at_most(
							 index_file_rows(file_of(job, file)));
		return STATUS_OK;
	}
	const enum status status =
		index_known(job->table, job->level, file, axes->before, lead, &kept->known);
	if (status != STATUS_OK) {
		return status;
	}
	const uint64_t each = (uint64_t)lead->balls.balls * lead->balls.dim;
	if (kept->known.unknown > *axes->work / each) {
		return STATUS_AGAIN;
	}
	*axes->work -= kept->known.unknown * each;
	kept->changed = kept->known.changed;
	options->known = kept->known.balls;
	return STATUS_OK;
}

static enum status build(const struct index_job *job, size_t file, const struct index_axes *axes,
	const struct place *place, struct index **out, struct error *err)
{
	struct index_rows base;
	struct balls_options options = {.seed = job->table->number, .stop = job->stop};
	struct kept kept = {0};
	const uint64_t rows = index_file_rows(place->owner.file);
	enum status status = check_memory(job, rows, axes, err);
	if (status != STATUS_OK) {
		return status;
	}
	status = keep_balls(job, file, axes, &options, &kept);
	if (status == STATUS_OK) {
		status = open_rows(&base, job, file);
		const struct balls_source source = index_rows_source(&base, rows);
		status = status == STATUS_OK
				 ? make(place, &source, &options, kept.changed, out, err)
				 : error_set(err, status, "index: no memory");
		index_rows_close(&base);
	} else {
		error_set(err, status, "index: %s", status_name(status));
	}
	free(kept.known.balls);
	return status;
}

enum status index_build(const struct index_job *job, size_t file, const struct index_axes *axes,
	struct index **out, struct error *err)
{
	struct place place;
	struct index *index = NULL;
	const unsigned faults = mapfault_count();
	enum status status = place_of(job, file, &place, err);
	if (status == STATUS_OK) {
		status = wait_for(job, file, 1, err);
	}
	if (status == STATUS_OK) {
		status = build(job, file, axes, &place, &index, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	status = check_faults(faults, err);
	if (status == STATUS_OK) {
		status = index_name(job->folder, place.beside, place.name, err);
	}
	if (status != STATUS_OK) {
		(void)file_remove(place.path);
		index_close(index);
		return status;
	}
	*out = index;
	return STATUS_OK;
}

/* ---- all files of a base ---- */

/* The indexes of all files, and where their files are. */
struct all {
	const struct index_job *job;
	struct index_rows base;
	size_t count;
	struct place *places;       /* owned, as the next two */
	struct index **of;          /* NULL: a file without rows */
	const struct balls **parts; /* of those that there are, in the order of their rows */
	size_t part_count;
};

static enum status all_begin(struct all *all, const struct index_job *job, struct error *err)
{
	const size_t count = job->table->levels[job->level]->file_count;
	*all = (struct all){
		.job = job,
		.count = count,
		.places = calloc(count, sizeof *all->places),
		.of = calloc(count, sizeof(struct index *)),
		.parts = calloc(count, sizeof(struct balls *)),
	};
	assert(job->level == 0 && count > 0);
	if (all->places == NULL || all->of == NULL || all->parts == NULL ||
		open_rows(&all->base, job, 0) != STATUS_OK) {
		return error_set(err, STATUS_NO_MEMORY, "index: no memory");
	}
	enum status status = STATUS_OK;
	size_t with_rows = 0;
	for (size_t i = 0; status == STATUS_OK && i < count; i++) {
		with_rows += index_file_rows(file_of(job, i)) > 0;
		status = place_of(job, i, &all->places[i], err);
	}
	if (status == STATUS_OK && with_rows > 1 + BALLS_BESIDE_MAX) {
		return error_set(err, STATUS_TOO_LARGE,
			"index: the base has %zu files, and a search takes %d together", with_rows,
			1 + BALLS_BESIDE_MAX);
	}
	return status;
}

static void all_end(struct all *all)
{
	index_rows_close(&all->base);
	for (size_t i = 0; all->of != NULL && i < all->count; i++) {
		index_close(all->of[i]);
	}
	free(all->places);
	free(all->of);
	free(all->parts);
}

static void list_parts(struct all *all)
{
	all->part_count = 0;
	for (size_t i = 0; i < all->count; i++) {
		if (all->of[i] != NULL) {
			all->parts[all->part_count++] = &all->of[i]->balls;
		}
	}
}

/* The recalls of an index that is not calibrated yet. */
static const float no_recalls[BALLS_METRICS * BALLS_KS * BALLS_FACTORS];

/* Makes the indexes of all files: the first finds the axes, from the rows of all. */
static enum status make_each(struct all *all, struct error *err)
{
	const struct index_job *job = all->job;
	const struct balls_source whole = index_rows_source(&all->base, rows_in(job));
	const struct index *first = NULL;
	for (size_t i = 0; i < all->count; i++) {
		const uint64_t rows = index_file_rows(file_of(job, i));
		const struct balls_options options = {
			.seed = job->table->number,
			.memory_bytes = sample_bytes(job),
			.recalls = no_recalls,
			.sampled = &whole,
			.previous = first == NULL ? NULL : &first->balls,
			.stop = job->stop,
		};
		struct index_rows base;
		if (rows == 0) {
			continue;
		}
		enum status status = check_memory(job, rows, NULL, err);
		if (status == STATUS_OK && open_rows(&base, job, i) != STATUS_OK) {
			status = error_set(err, STATUS_NO_MEMORY, "index: no memory");
		}
		if (status != STATUS_OK) {
			return status;
		}
		const struct balls_source source = index_rows_source(&base, rows);
		status = make(&all->places[i], &source, &options, 0, &all->of[i], err);
		index_rows_close(&base);
		if (status != STATUS_OK) {
			return status;
		}
		first = first == NULL ? all->of[i] : first;
	}
	list_parts(all);
	return STATUS_OK;
}

/* Measures the recalls of all, by the queries of the job or else by rows, and writes them into each: `beside`, while they have no
 * names yet. */
static enum status calibrate(struct all *all, bool beside, struct error *err)
{
	const struct index_job *job = all->job;
	float recalls[BALLS_METRICS * BALLS_KS * BALLS_FACTORS];
	const struct balls_source source = index_rows_source(&all->base, rows_in(job));
	const struct balls_options options = {
		.seed = job->table->number,
		.queries = job->queries,
		.query_count = job->query_count,
		.stop = job->stop,
	};
	const unsigned faults = mapfault_count();
	const uint64_t began_ns = clock_monotonic_ns();
	enum status status =
		balls_calibrate(all->parts, all->part_count, &source, &options, recalls);
	if (status != STATUS_OK) {
		return error_set(err, status, "index: %s", status_name(status));
	}
	status = check_faults(faults, err);
	uint64_t took_ms = beside ? (clock_monotonic_ns() - began_ns) / 1000000 : 0;
	for (size_t i = 0; status == STATUS_OK && i < all->count; i++) {
		char path[PATH_MAX];
		if (all->of[i] != NULL) {
			status = file_path(path, job->folder,
				beside ? all->places[i].beside : all->places[i].name, err);
		}
		if (status == STATUS_OK && all->of[i] != NULL) {
			if (took_ms > 0) {
				all->of[i]->build_ms += took_ms; /* nobody else has it yet */
				took_ms = 0;
			}
			status = index_rewrite(all->of[i], path, recalls, job->query_count, err);
		}
	}
	return status;
}

static enum status name_each(const struct all *all, struct error *err)
{
	enum status status = STATUS_OK;
	for (size_t i = 0; status == STATUS_OK && i < all->count; i++) {
		if (all->of[i] != NULL) {
			status = index_name(all->job->folder, all->places[i].beside,
				all->places[i].name, err);
		}
	}
	return status;
}

static enum status build_all(struct all *all, struct error *err)
{
	const unsigned faults = mapfault_count();
	enum status status = wait_for(all->job, 0, all->count, err);
	if (status == STATUS_OK) {
		status = make_each(all, err);
	}
	if (status == STATUS_OK) {
		status = calibrate(all, true, err);
	}
	if (status == STATUS_OK) {
		status = check_faults(faults, err);
	}
	return status == STATUS_OK ? name_each(all, err) : status;
}

enum status index_build_all(const struct index_job *job, struct indexes **out, struct error *err)
{
	struct all all;
	enum status status = all_begin(&all, job, err);
	if (status == STATUS_OK) {
		status = build_all(&all, err);
	}
	if (status == STATUS_OK) {
		*out = indexes_new(all.of, all.count, NULL);
		memset(all.of, 0, all.count * sizeof(struct index *)); /* they were taken over */
		status = *out != NULL ? status
				      : error_set(err, STATUS_NO_MEMORY, "index: no memory");
	}
	for (size_t i = 0; status != STATUS_OK && all.of != NULL && i < all.count; i++) {
		if (all.of[i] != NULL) {
			(void)file_remove(all.places[i].path);
		}
	}
	all_end(&all);
	return status;
}

enum status index_calibrate(const struct index_job *job, const struct indexes *indexes,
	struct error *err)
{
	struct all all;
	enum status status = all_begin(&all, job, err);
	assert(job->query_count > 0);
	if (status == STATUS_OK) {
		status = wait_for(job, 0, all.count, err);
	}
	for (size_t i = 0; status == STATUS_OK && i < all.count; i++) {
		all.of[i] = indexes_alike(indexes, i);
		index_hold(all.of[i]);
		if (all.of[i] == NULL && index_file_rows(file_of(job, i)) > 0) {
			/* It has failed just now: the others number their rows behind those of that file. */
			status = error_set(err, STATUS_AGAIN, "index: a file has lost its index");
		}
	}
	if (status == STATUS_OK) {
		list_parts(&all);
		status = calibrate(&all, false, err);
	}
	all_end(&all);
	return status;
}
