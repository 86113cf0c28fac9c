/* base_write.c - writes a base file: one segment a transaction, synced at the end. */
#include "daemon/store/base/base.h"
#include "daemon/store/base/base_lmdb.h"
#include "daemon/store/base/segment_build.h"
#include "daemon/store/system/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

struct base_writer {
	struct lmdb_file *lmdb;     /* owned */
	uint8_t *space;             /* of the open transaction, or NULL */
	uint64_t space_bytes;       /* that the open transaction has for its segment */
	uint64_t bytes;             /* of all segments that were committed */
	struct base_file_info info; /* owned until finish */
	size_t capacity;            /* of info.segments */
	char path[PATH_MAX];
};

void base_file_info_fini(struct base_file_info *info)
{
	free(info->segments);
	*info = (struct base_file_info){0};
}

enum status base_file_info_copy(const struct base_file_info *info, struct base_file_info *out)
{
	struct base_segment_info *segments =
		malloc((info->segment_count + 1) * sizeof *info->segments);
	if (segments == NULL) {
		return STATUS_NO_MEMORY;
	}
	memcpy(segments, info->segments, info->segment_count * sizeof *segments);
	*out = *info;
	out->segments = segments;
	return STATUS_OK;
}

void base_file_name(char *out, size_t size, uint64_t table, uint64_t number)
{
	(void)snprintf(out, size, "base-%" PRIu64 "-%" PRIu64 ".mdb", table, number);
}

enum status base_writer_open(const char *path, uint64_t bytes_max, struct base_writer **out,
	struct error *err)
{
	if (file_remove(path) != 0 && errno != ENOENT) {
		return error_set(err, status_of_errno(errno), "remove '%s': %s", path,
			file_reason(errno));
	}
	struct base_writer *writer = calloc(1, sizeof *writer);
	if (writer == NULL || strlen(path) >= sizeof writer->path) {
		free(writer);
		return error_set(err, STATUS_NO_MEMORY, "create '%s'", path);
	}
	memcpy(writer->path, path, strlen(path) + 1);
	const enum status status = lmdb_file_create(path, bytes_max, &writer->lmdb, err);
	if (status != STATUS_OK) {
		base_writer_abort(writer);
		return status;
	}
	*out = writer;
	return STATUS_OK;
}

void base_writer_abort(struct base_writer *writer)
{
	if (writer == NULL) {
		return;
	}
	lmdb_file_close(writer->lmdb);
	(void)file_remove(writer->path);
	base_file_info_fini(&writer->info);
	free(writer);
}

uint64_t base_writer_bytes(const struct base_writer *writer)
{
	return writer->bytes;
}

enum status base_writer_begin(struct base_writer *writer, uint64_t bytes, uint8_t **space,
	struct error *err)
{
	assert(writer->space == NULL);
	if (writer->info.segment_count == writer->capacity) {
		const size_t capacity = writer->capacity * 2 + 16;
		void *grown =
			realloc(writer->info.segments, capacity * sizeof *writer->info.segments);
		if (grown == NULL) {
			return error_set(err, STATUS_NO_MEMORY, "segment of '%s'", writer->path);
		}
		writer->info.segments = grown;
		writer->capacity = capacity;
	}
	void *value = NULL;
	const enum status status = lmdb_file_reserve(writer->lmdb,
		(uint32_t)writer->info.segment_count, BASE_VALUE_PADDING + bytes, &value, err);
	if (status != STATUS_OK) {
		return status;
	}
	memset(value, 0, BASE_VALUE_PADDING);
	writer->space = (uint8_t *)value + BASE_VALUE_PADDING;
	writer->space_bytes = bytes;
	*space = writer->space;
	return STATUS_OK;
}

enum status base_writer_commit(struct base_writer *writer, const struct segment_plan *plan,
	struct error *err)
{
	assert(writer->space != NULL);
	assert(plan->bytes == writer->space_bytes);
	assert(writer->info.segment_count < writer->capacity);
	const struct base_segment_info info = {
		.prefix = plan->identity.prefix,
		.prefix_bits = plan->identity.prefix_bits,
		.rows = plan->identity.rows,
		.bytes = plan->bytes,
		.hash = XXH3_64bits(writer->space, plan->bytes),
		.head_bytes = plan->head_bytes,
		.head_hash = XXH3_64bits(writer->space, plan->head_bytes),
	};
	writer->space = NULL;
	const enum status status = lmdb_file_commit(writer->lmdb, err);
	if (status == STATUS_OK) {
		writer->info.segments[writer->info.segment_count++] = info;
		writer->bytes += plan->bytes;
	}
	return status;
}

/* Reads from the finished file where LMDB has put its segments. */
static enum status find_offsets(struct base_writer *writer, struct error *err)
{
	struct lmdb_file *lmdb = NULL;
	enum status status = lmdb_file_open(writer->path, &lmdb, err);
	for (size_t i = 0; status == STATUS_OK && i < writer->info.segment_count; i++) {
		struct lmdb_value value;
		status = lmdb_file_get(lmdb, (uint32_t)i, &value, err);
		if (status == STATUS_OK) {
			writer->info.segments[i].offset = value.offset + BASE_VALUE_PADDING;
		}
	}
	lmdb_file_close(lmdb);
	return status;
}

static enum status finish(struct base_writer *writer, struct error *err)
{
	assert(writer->space == NULL); /* no segment was begun and not committed */
	enum status status = lmdb_file_sync(writer->lmdb, err);
	lmdb_file_close(writer->lmdb);
	writer->lmdb = NULL;
	if (status == STATUS_OK) {
		status = find_offsets(writer, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	const int fd = file_open(writer->path, O_RDONLY, 0);
	struct stat about;
	if (fd < 0 || fstat(fd, &about) != 0) {
		status = error_set(err, STATUS_IO, "open '%s': %s", writer->path, strerror(errno));
	} else {
		writer->info.bytes = (uint64_t)about.st_size;
		status = base_hash_outside(fd, &writer->info, &writer->info.outside_hash);
		if (status != STATUS_OK) {
			error_set(err, status, "read '%s' again", writer->path);
		}
	}
	if (fd >= 0) {
		close(fd);
	}
	return status;
}

enum status base_writer_finish(struct base_writer *writer, struct base_file_info *info,
	struct error *err)
{
	const enum status status = finish(writer, err);
	if (status != STATUS_OK) {
		base_writer_abort(writer);
		return status;
	}
	*info = writer->info;
	free(writer);
	return STATUS_OK;
}
