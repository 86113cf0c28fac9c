/* index_build.c - makes the index of a level's files and writes it. */
#include "daemon/store/indexing/index_build.h"

#include "daemon/retrieval/balls/balls_recall.h"
#include "daemon/retrieval/building/balls_build.h"
#include "daemon/retrieval/building/balls_calibration.h"
#include "daemon/store/base/base.h"
#include "daemon/store/index/index_file.h"
#include "daemon/store/indexing/index_known.h"
#include "daemon/store/indexing/index_write.h"
#include "daemon/store/read/rows.h"
#include "daemon/store/row/stored.h"
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

/* Multiply-adds to find the balls of rows that a merge has changed: about two seconds. */
static const uint64_t kept_work_max = UINT64_C(1) << 35;

/* Rows of a level's files by their number, as f32. */
struct base_rows {
	struct rows rows;
	struct stored_reader reader;
	uint64_t first_id;
};

static uint64_t rows_in(const struct index_job *job)
{
	return level_file_rows(job->table->levels[job->level]);
}

static enum status base_rows_open(struct base_rows *base, const struct index_job *job)
{
	*base = (struct base_rows){0};
	enum status status = rows_begin(&base->rows, job->table, 0, 1);
	if (status == STATUS_OK) {
		base->first_id = rows_first_base_id + rows_first_of(&base->rows, job->level);
		/* A reader into f32 takes no memory, so this does not fail. */
		status = stored_reader_init(&base->reader, &job->table->spec, DTYPE_F32, false);
	}
	return status;
}

static void base_rows_close(struct base_rows *base)
{
	stored_reader_fini(&base->reader);
	rows_end(&base->rows);
}

static void read_rows(void *arg, uint32_t first, uint32_t count, float *out)
{
	struct base_rows *base = arg;
	const struct table_spec *spec = &base->rows.table->spec;
	for (uint32_t i = 0; i < count; i++) {
		struct frame_row row;
		float *to = out + (size_t)i * spec->dim;
		if (rows_get(&base->rows, base->first_id + first + i, &row) == STATUS_OK) {
			const struct stored_row stored = {row.data, row.low, &row.scale};
			stored_read(&base->reader, &stored, (uint8_t *)to, NULL);
		} else {
			/* A tombstone, which searches pass over; or build finds the damage later. */
			memset(to, 0, spec->dim * sizeof *to);
		}
	}
}

static uint64_t sample_bytes(const struct index_job *job)
{
	const uint64_t share = job->memory_bytes / SAMPLE_PART;
	return share < SAMPLE_BYTES_MAX ? share : SAMPLE_BYTES_MAX;
}

/* Waits until all segments are read and checked. */
static enum status wait_for(const struct index_job *job, struct error *err)
{
	struct base_set *set = job->table->levels[job->level]->set;
	for (size_t i = 0; i < set->segment_count; i++) {
		if (atomic_load(job->stop)) {
			return error_set(err, STATUS_BUSY, "index: stopped");
		}
		if (base_segment_wait(set, i) != BASE_READY) {
			return error_set(err, STATUS_CORRUPT, "table '%s': a damaged segment",
				job->table->spec.name.text);
		}
	}
	return STATUS_OK;
}

/* The recalls of an index whose rows have changed so much that none can be promised. */
static const float no_recalls[BALLS_METRICS * BALLS_KS * BALLS_FACTORS];

/* What a build keeps of the index before a merge. */
struct kept {
	struct index_known known;
	uint64_t changed;
};

/* Makes the build keep the balls of rows that had them before a merge. AGAIN: not if to find those of the
 * others would take too long. */
static enum status keep_known(const struct index_job *job, struct balls_options *options,
	struct kept *kept)
{
	const struct index *index = job->axes;
	assert(job->before->number == job->table->number);
	const enum status status =
		index_known(job->table, job->level, job->before, index, &kept->known);
	if (status != STATUS_OK) {
		return status;
	}
	const uint64_t each = (uint64_t)index->balls.balls * index->balls.dim;
	if (kept->known.unknown > kept_work_max / each) {
		return STATUS_AGAIN;
	}
	options->known = kept->known.balls;
	return STATUS_OK;
}

/* Makes the build keep axes and recalls of an index, and balls. AGAIN: not if it is of no use, if its balls
 * would be too large, or as keep_known says. */
static enum status keep_balls(const struct index_job *job, struct balls_options *options,
	struct kept *kept)
{
	const struct index *index = job->axes;
	if (!index_is_sound(index) || index->balls.balls == 0 ||
		rows_in(job) / index->balls.balls > ROWS_A_BALL_MAX) {
		return STATUS_AGAIN;
	}
	const enum status status = job->before == NULL ? STATUS_OK : keep_known(job, options, kept);
	kept->changed = job->level > 0 ? 0 : index->changed + kept->known.changed;
	options->previous = &index->balls;
	options->query_count = *index->balls.queries;
	options->recalls = table_index_is_stale_at(kept->changed, rows_in(job))
				   ? no_recalls
				   : index->balls.recalls;
	return status;
}

/* Memory that a build takes but for the sample: four numbers of 32 bits a row, two more for what is
 * kept; and the axes, twice. */
static enum status check_memory(const struct index_job *job, struct error *err)
{
	const uint64_t rows = rows_in(job);
	/* Those of another index are kept all, however few rows there are. */
	const uint64_t axes = job->axes != NULL ? job->axes->balls.balls : rows / AXES_ROWS_MIN;
	const uint64_t bytes = rows * (job->before == NULL ? 16 : 24) +
			       axes * job->table->spec.dim * 2 * sizeof(float);
	const uint64_t most = job->memory_bytes - job->memory_bytes / SAMPLE_PART;
	return bytes <= most ? STATUS_OK
			     : error_set(err, STATUS_TOO_LARGE,
				       "index: it would take %" PRIu64 " bytes to build beside the "
				       "sample, and index_memory leaves %" PRIu64,
				       bytes, most);
}

static enum status build(const struct index_job *job, const char *name, struct base_rows *base,
	struct error *err)
{
	const uint64_t began_ns = clock_monotonic_ns();
	const struct table *table = job->table;
	assert(rows_in(job) <= BALLS_ROWS_MAX); /* table_wants_index, table_wants_image */
	const struct index_owner owner = table_index_owner(table, job->level, job->release);
	struct index_head head = {.base_hash = index_base_hash(&owner), .rows = owner.rows};
	const struct balls_source source = {
		.rows = (uint32_t)owner.rows,
		.dim = table->spec.dim,
		.read = read_rows,
		.arg = base,
	};
	struct balls_options options = {
		.seed = table->number,
		.memory_bytes = sample_bytes(job),
		.stop = job->stop,
	};
	struct balls_plan *plan = NULL;
	struct kept kept = {0};
	enum status status = check_memory(job, err);
	if (status == STATUS_OK && job->axes != NULL) {
		status = keep_balls(job, &options, &kept);
	} else if (status == STATUS_OK) {
		options.queries = job->queries;
		options.query_count = job->query_count;
	}
	if (status == STATUS_OK) {
		status = balls_plan(&source, &options, &plan);
	}
	if (status == STATUS_OK) {
		head.changed = kept.changed;
		status = index_write(job->folder, name, plan, &head, began_ns, err);
	} else if (status != STATUS_TOO_LARGE) {
		error_set(err, status, "index: %s", status_name(status));
	}
	balls_plan_close(plan);
	free(kept.known.balls);
	return status;
}

/* Where the index of a job is on the disk. */
struct place {
	struct index_owner owner;
	char name[64];
	char path[PATH_MAX];
};

/* What each job begins with: finds the place, and waits until the rows can be read. */
static enum status begin(const struct index_job *job, struct place *place, struct error *err)
{
	assert(!grace_is_inside()); /* it takes long */
	place->owner = table_index_owner(job->table, job->level, job->release);
	if (!index_file_name(place->name, sizeof place->name, &place->owner)) {
		return STATUS_NOT_FOUND;
	}
	const enum status status = file_path(place->path, job->folder, place->name, err);
	return status == STATUS_OK ? wait_for(job, err) : status;
}

enum status index_build(const struct index_job *job, struct index **out, struct error *err)
{
	struct place place;
	struct base_rows base;
	assert((job->axes != NULL) == (job->before != NULL || job->level > 0));
	enum status status = begin(job, &place, err);
	if (status != STATUS_OK) {
		return status;
	}
	const unsigned faults = mapfault_count();
	status = base_rows_open(&base, job);
	if (status == STATUS_OK) {
		status = build(job, place.name, &base, err);
	} else {
		status = error_set(err, status, "index: no memory");
	}
	base_rows_close(&base);
	if (status == STATUS_OK && mapfault_count() != faults) {
		(void)file_remove(place.path);
		/* Perhaps of another table: the next try knows. */
		return error_set(err, STATUS_IO, "index: rows could not be read");
	}
	return status == STATUS_OK ? index_open(job->folder, &place.owner, out, err) : status;
}

enum status index_calibrate(const struct index_job *job, struct index *index, struct error *err)
{
	struct place place;
	struct base_rows base = {0};
	float recalls[BALLS_METRICS * BALLS_KS * BALLS_FACTORS];
	const struct balls_source source = {
		.rows = (uint32_t)rows_in(job),
		.dim = job->table->spec.dim,
		.read = read_rows,
		.arg = &base,
	};
	const struct balls_options options = {
		.seed = job->table->number,
		.queries = job->queries,
		.query_count = job->query_count,
		.stop = job->stop,
	};
	const unsigned faults = mapfault_count();
	assert(job->query_count > 0 && job->level == 0);
	enum status status = begin(job, &place, err);
	if (status != STATUS_OK) {
		return status;
	}
	status = base_rows_open(&base, job);
	if (status == STATUS_OK) {
		status = balls_calibrate(&index->balls, &source, &options, recalls);
	}
	base_rows_close(&base);
	if (status != STATUS_OK) {
		return error_set(err, status, "index: %s", status_name(status));
	}
	if (mapfault_count() != faults) {
		/* Perhaps of another table: the next try knows. */
		return error_set(err, STATUS_IO, "index: rows could not be read");
	}
	return index_rewrite(index, place.path, recalls, job->query_count, err);
}
