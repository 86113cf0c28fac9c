/* index_build.c - makes the index of a table's base files and writes it. */
#include "daemon/store/indexing/index_build.h"

#include "daemon/retrieval/building/balls_build.h"
#include "daemon/store/base/base.h"
#include "daemon/store/index/index_file.h"
#include "daemon/store/indexing/index_known.h"
#include "daemon/store/read/rows.h"
#include "daemon/store/row/stored.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/system/mapfault.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

enum {
	/* With more rows a ball than this, axes and balls are found anew. */
	ROWS_A_BALL_MAX = 1333,
};

/* Rows of base files by their number, as f32. */
struct base_rows {
	struct rows rows;
	struct stored_reader reader;
};

static enum status base_rows_open(struct base_rows *base, const struct table *table)
{
	*base = (struct base_rows){0};
	enum status status = rows_begin(&base->rows, table, 0, 1);
	if (status == STATUS_OK) {
		/* A reader into f32 takes no memory, so this does not fail. */
		status = stored_reader_init(&base->reader, &table->spec, DTYPE_F32, false);
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
	assert((uint64_t)first + count <= base->rows.table->rows);
	for (uint32_t i = 0; i < count; i++) {
		struct frame_row row;
		float *to = out + (size_t)i * spec->dim;
		if (rows_get(&base->rows, rows_first_base_id + first + i, &row) == STATUS_OK) {
			stored_read(&base->reader, row.data, &row.scale, (uint8_t *)to, NULL);
		} else {
			memset(to, 0, spec->dim * sizeof *to); /* build finds the damage later */
		}
	}
}

/* Waits until all segments are read and checked. */
static enum status wait_for(const struct table *table, struct error *err)
{
	for (size_t i = 0; i < table->bases->segment_count; i++) {
		if (base_segment_wait(table->bases, i) != BASE_READY) {
			return error_set(err, STATUS_CORRUPT, "table '%s': a damaged segment",
				table->spec.name.text);
		}
	}
	return STATUS_OK;
}

/* Reads rows from all over a table, as queries of the calibration; returns how many. None is fine. */
static uint32_t read_queries(const struct table *table, uint32_t dim, float **out)
{
	struct base_rows base;
	*out = NULL;
	if (table == NULL || table->bases == NULL || wait_for(table, NULL) != STATUS_OK) {
		return 0;
	}
	const uint32_t count =
		table->rows < BALLS_QUERIES_MAX ? (uint32_t)table->rows : BALLS_QUERIES_MAX;
	float *queries = malloc((size_t)count * dim * sizeof *queries);
	assert(table->spec.dim == dim);
	const bool opened = queries != NULL && base_rows_open(&base, table) == STATUS_OK;
	for (uint32_t i = 0; opened && i < count; i++) {
		read_rows(&base, (uint32_t)(table->rows * i / count), 1, queries + (size_t)i * dim);
	}
	if (queries != NULL) {
		base_rows_close(&base); /* also what was opened by half */
	}
	if (opened) {
		*out = queries;
		return count;
	}
	free(queries);
	return 0;
}

/* Writes head and image, and syncs them. */
static enum status write_bytes(const char *path, const uint8_t *head, const uint8_t *image,
	size_t bytes, struct error *err)
{
	const int fd = file_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
	if (fd < 0) {
		return error_set(err, status_of_errno(errno), "create '%s': %s", path,
			file_reason(errno));
	}
	enum status status = file_write_at(fd, image, bytes, INDEX_IMAGE_OFFSET);
	if (status == STATUS_OK) {
		status = file_write_at(fd, head, INDEX_HEAD_BYTES, 0);
	}
	if (status == STATUS_OK && fdatasync(fd) != 0) {
		status = status_of_errno(errno);
	}
	const int failed = errno;
	(void)close(fd);
	return status == STATUS_OK
		       ? status
		       : error_set(err, status, "write '%s': %s", path, strerror(failed));
}

static enum status write_file(const struct index_job *job, const char *path,
	struct balls_plan *plan, uint64_t began_ns, struct error *err)
{
	uint8_t bytes[INDEX_HEAD_BYTES];
	const struct index_owner owner = table_index_owner(job->table, job->release);
	struct index_head head = {
		.base_hash = index_base_hash(&owner),
		.rows = job->table->rows,
		.bytes = balls_plan_bytes(plan),
	};
	void *image = NULL;
	if (posix_memalign(&image, BALLS_ALIGN, head.bytes) != 0) {
		return error_set(err, STATUS_NO_MEMORY, "index: no memory for %llu bytes",
			(unsigned long long)head.bytes);
	}
	enum status status = balls_write(plan, image);
	if (status == STATUS_OK) {
		head.hash = XXH3_64bits(image, head.bytes);
		head.build_ms = (clock_monotonic_ns() - began_ns) / 1000000;
		index_head_write(&head, bytes);
		status = write_bytes(path, bytes, image, head.bytes, err);
	} else {
		status = error_set(err, status, "index: %s", status_name(status));
	}
	free(image);
	if (status == STATUS_OK) {
		status = file_sync_folder(job->folder, err);
	}
	if (status != STATUS_OK) {
		(void)file_remove(path);
	}
	return status;
}

/* Makes the build keep axes and balls of the index before a merge, if they are worth it. */
static enum status keep_balls(const struct index_job *job, struct balls_options *options,
	uint32_t **known)
{
	const struct index *index =
		job->before == NULL ? NULL : atomic_load(&((struct table *)job->before)->index);
	if (index == NULL || !index_is_sound(index) || index->balls.balls == 0 ||
		job->table->rows / index->balls.balls > ROWS_A_BALL_MAX) {
		return STATUS_OK;
	}
	assert(job->before->number == job->table->number);
	options->previous = &index->balls;
	const enum status status = index_known(job->table, job->before, known);
	options->known = *known;
	return status;
}

static enum status build(const struct index_job *job, const char *path, struct base_rows *base,
	struct error *err)
{
	const uint64_t began_ns = clock_monotonic_ns();
	float *queries;
	const struct table *table = job->table;
	assert(table->rows <= UINT32_MAX); /* table_wants_index */
	const uint32_t query_count = read_queries(job->queries, table->spec.dim, &queries);
	const struct balls_source source = {
		.rows = (uint32_t)table->rows,
		.dim = table->spec.dim,
		.read = read_rows,
		.arg = base,
	};
	struct balls_options options = {
		.seed = table->number,
		.queries = queries,
		.query_count = query_count,
		.stop = job->stop,
	};
	struct balls_plan *plan = NULL;
	uint32_t *known = NULL;
	const unsigned faults = mapfault_count();
	enum status status = keep_balls(job, &options, &known);
	if (status == STATUS_OK) {
		status = balls_plan(&source, &options, &plan);
	}
	if (status == STATUS_OK) {
		status = write_file(job, path, plan, began_ns, err);
	} else {
		status = error_set(err, status, "index: %s", status_name(status));
	}
	balls_plan_close(plan);
	free(known);
	free(queries);
	if (status == STATUS_OK && mapfault_count() != faults) {
		(void)file_remove(path);
		status = error_set(err, STATUS_CORRUPT, "index: rows could not be read");
	}
	return status;
}

enum status index_build(const struct index_job *job, struct index **out, struct error *err)
{
	char name[64];
	char path[PATH_MAX];
	struct base_rows base;
	const struct index_owner owner = table_index_owner(job->table, job->release);
	assert(!grace_is_inside()); /* it takes long */
	if (!index_file_name(name, sizeof name, &owner)) {
		return STATUS_NOT_FOUND;
	}
	enum status status = file_path(path, job->folder, name, err);
	if (status == STATUS_OK) {
		status = wait_for(job->table, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	status = base_rows_open(&base, job->table);
	if (status == STATUS_OK) {
		status = build(job, path, &base, err);
	} else {
		status = error_set(err, status, "index: no memory");
	}
	base_rows_close(&base);
	return status == STATUS_OK ? index_open(job->folder, &owner, out, err) : status;
}
