/* base_files.c - opens, fills and finishes the base files of a table. */
#include "daemon/store/base/base_files.h"

#include "daemon/store/base/segment_build.h"
#include "daemon/store/system/file.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

/* Whether ranges of so many bits are to be cut once more. */
static bool is_cut(const struct base_sizes *sizes, const struct base_extent *extent, uint32_t bits)
{
	const uint64_t bytes = extent->bytes >> bits;
	const uint64_t most = bits < BASE_RANGE_BITS ? sizes->range_bytes : sizes->file_bytes;
	const bool has_rows = !extent->is_indexed || bytes > sizes->file_bytes ||
			      extent->rows >> (bits + 1) >= sizes->range_rows;
	return bits < SEGMENT_PREFIX_BITS_MAX && bytes > most && has_rows;
}

uint32_t base_range_bits(const struct base_sizes *sizes, const struct base_extent *extent)
{
	uint32_t bits = 0;
	while (is_cut(sizes, extent, bits)) {
		bits++;
	}
	return bits;
}

uint64_t base_range_expected(uint64_t bytes, uint32_t bits)
{
	return (bytes >> bits) * 2;
}

bool base_is_one_range(uint32_t bits, uint64_t a, uint64_t b)
{
	return bits == 0 || (a ^ b) >> (64 - bits) == 0;
}

static enum status path_of(const struct base_files *files, uint64_t number, char *path,
	struct error *err)
{
	char name[64];
	base_file_name(name, sizeof name, files->owner->table, number);
	return file_path(path, files->folder, name, err);
}

enum status base_files_finish(struct base_files *files, struct error *err)
{
	struct base_writer *writer = files->writer;
	files->writer = NULL;
	if (writer == NULL) {
		return STATUS_OK;
	}
	struct base_file_info *grown =
		realloc(files->files, (files->file_count + 1) * sizeof *grown);
	if (grown == NULL) {
		base_writer_abort(writer);
		return error_set(err, STATUS_NO_MEMORY, "base file %zu", files->file_count);
	}
	files->files = grown;
	struct base_file_info info;
	const enum status status = base_writer_finish(writer, &info, err);
	if (status == STATUS_OK) {
		assert(info.segment_count > 0); /* a file is opened for a segment */
		info.number = files->file_number;
		info.delta = files->delta;
		info.deleted = files->file_deleted;
		info.hides = files->file_hides;
		files->file_deleted = 0;
		files->file_hides = 0;
		files->files[files->file_count++] = info;
	}
	return status;
}

/* Makes sure that a file with room for `bytes` is open, in which segments of this prefix may be. */
static enum status open_file(struct base_files *files, uint64_t bytes, uint64_t prefix,
	struct error *err)
{
	enum status status = STATUS_OK;
	if (files->writer != NULL &&
		(base_writer_bytes(files->writer) + bytes > files->file_bytes ||
			!base_is_one_range(files->range_bits, files->file_prefix, prefix))) {
		status = base_files_finish(files, err);
	}
	if (status != STATUS_OK || files->writer != NULL) {
		return status;
	}
	char path[PATH_MAX];
	files->file_number = atomic_fetch_add(files->next_file, 1);
	status = path_of(files, files->file_number, path, err);
	if (status != STATUS_OK) {
		return status;
	}
	/* An estimate. When there are more rows than were expected, there are more files. */
	uint64_t whole = files->expected_bytes + files->sizes.segment_bytes;
	whole = whole < files->sizes.file_bytes ? whole : files->sizes.file_bytes;
	files->file_bytes = bytes > whole ? bytes : whole;
	files->file_prefix = prefix;
	return base_writer_open(path, files->file_bytes, &files->writer, err);
}

enum status base_files_begin(struct base_files *files, const struct segment_plan *plan,
	uint8_t **space, struct error *err)
{
	const enum status status = open_file(files, plan->bytes, plan->identity.prefix, err);
	if (status != STATUS_OK) {
		return status;
	}
	assert(base_writer_bytes(files->writer) + plan->bytes <= files->file_bytes);
	return base_writer_begin(files->writer, plan->bytes, space, err);
}

enum status base_files_commit(struct base_files *files, const struct segment_plan *plan,
	struct error *err)
{
	assert(files->writer != NULL); /* base_files_begin has opened it */
	const enum status status = base_writer_commit(files->writer, plan, err);
	if (status == STATUS_OK) {
		files->rows += plan->identity.rows;
		files->file_deleted += plan->identity.deleted;
	}
	return status;
}

void base_files_hide(struct base_files *files, uint64_t hides)
{
	assert(files->writer != NULL); /* base_files_commit has just added to it */
	files->file_hides = hides == BASE_HIDES_UNKNOWN || files->file_hides == BASE_HIDES_UNKNOWN
				    ? BASE_HIDES_UNKNOWN
				    : files->file_hides + hides;
}

void base_files_abort(struct base_files *files)
{
	base_writer_abort(files->writer);
	files->writer = NULL;
	files->file_deleted = 0;
	files->file_hides = 0;
}

void base_files_fini(struct base_files *files, enum base_files_end end)
{
	base_files_abort(files);
	for (size_t i = 0; i < files->file_count; i++) {
		char path[PATH_MAX];
		if (end == BASE_FILES_REMOVE &&
			path_of(files, files->files[i].number, path, NULL) == STATUS_OK) {
			(void)file_remove(path);
		}
		base_file_info_fini(&files->files[i]);
	}
	free(files->files);
	files->files = NULL;
	files->file_count = 0;
	files->rows = 0;
}
