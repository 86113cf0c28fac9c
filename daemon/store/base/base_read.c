/* base_read.c - opens a table's base files. */
#include "daemon/store/base/base.h"
#include "daemon/store/base/base_lmdb.h"
#include "daemon/store/base/segment_pages.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/mapfault.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

struct base_file {
	struct lmdb_file *lmdb; /* owned; NULL when it could not be opened */
	const struct base_file_info *info;
};

/* Tells the system what opening a file reads, so that it reads that side by side and nothing else: the heads of its
 * segments, and what is around them. */
static void announce_heads(int fd, const struct base_file_info *info)
{
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	for (size_t i = 0; i < info->segment_count; i++) {
		const struct base_segment_info *segment = &info->segments[i];
		(void)posix_fadvise(fd, (off_t)segment->offset - SEGMENT_LEAD_BYTES,
			(off_t)segment->head_bytes + SEGMENT_LEAD_BYTES, POSIX_FADV_WILLNEED);
	}
}

enum status base_file_check(const char *path, const struct base_file_info *info, struct error *err)
{
	const int fd = file_open(path, O_RDONLY, 0);
	struct stat about;
	if (fd < 0 || fstat(fd, &about) != 0) {
		const int number = errno;
		if (fd >= 0) {
			close(fd);
		}
		/* Too many open files are no damage. */
		return error_set(err,
			number == EMFILE || number == ENFILE ? STATUS_NO_MEMORY : STATUS_CORRUPT,
			"open '%s': %s", path, file_reason(number));
	}
	enum status status = STATUS_OK;
	uint64_t hash = 0;
	if ((uint64_t)about.st_size != info->bytes) {
		status = error_set(err, STATUS_CORRUPT, "'%s': %lld bytes, written were %" PRIu64,
			path, (long long)about.st_size, info->bytes);
	} else {
		announce_heads(fd, info);
		status = base_hash_outside(fd, info, &hash);
		if (status == STATUS_NO_MEMORY) {
			error_set(err, status, "open '%s'", path);
		} else if (status != STATUS_OK || hash != info->outside_hash) {
			status = error_set(err, STATUS_CORRUPT,
				"'%s': damaged outside its segments", path);
		}
	}
	close(fd);
	return status;
}

static enum status open_segment(struct base_set *set, struct base_file *file, uint32_t i,
	struct base_segment *segment, struct error *err)
{
	const struct base_segment_info *info = segment->info;
	struct lmdb_value value;
	enum status status = lmdb_file_get(file->lmdb, i, &value, err);
	if (status != STATUS_OK) {
		return status;
	}
	if (value.len < info->bytes + BASE_VALUE_PADDING ||
		value.offset + BASE_VALUE_PADDING != info->offset) {
		return error_set(err, STATUS_CORRUPT, "segment %" PRIu32 " is not where it was", i);
	}
	const uint8_t *data = value.data + BASE_VALUE_PADDING;
	/* lmdb_file_get has checked the value */
	assert((uintptr_t)data % SEGMENT_PAGE_BYTES == SEGMENT_LEAD_BYTES);
	const uint32_t page_count = segment_page_of(info->bytes + SEGMENT_PAGE_BYTES - 1);
	segment->pages = calloc(page_count, sizeof *segment->pages);
	if (segment->pages == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "segment %" PRIu32, i);
	}
	status = mapfault_watch_pages(data, info->bytes, &segment->state, segment->pages,
		BASE_DAMAGED, &segment->watch);
	if (status != STATUS_OK) {
		return status;
	}
	if (XXH3_64bits(data, info->head_bytes) != info->head_hash) {
		return error_set(err, STATUS_CORRUPT, "segment %" PRIu32 ": its head is damaged",
			i);
	}
	const struct segment_identity identity = {
		.release = set->owner.release,
		.table = set->owner.table,
		.seed = set->owner.seed,
		.prefix = info->prefix,
		.prefix_bits = info->prefix_bits,
		.rows = info->rows,
	};
	struct segment view = {0};
	status = segment_open(data, info->bytes, &set->owner.spec, &identity, &view, err);
	if (status == STATUS_OK && view.head_bytes != info->head_bytes) {
		status = error_set(err, STATUS_CORRUPT, "segment %" PRIu32 ": another head", i);
	}
	if (status == STATUS_OK) {
		assert(view.page_count == page_count);
		segment->view = view;
		segment->data = data;
	}
	return status;
}

/* Nothing of it can be used. */
static void mark_lost(struct base_segment *segment)
{
	mapfault_forget(segment->watch);
	free(segment->pages);
	segment->watch = NULL;
	segment->pages = NULL;
	atomic_store(&segment->state, BASE_DAMAGED);
}

/* Opens one file. A segment that cannot be used becomes DAMAGED, and `err` keeps the reason. */
static enum status open_file(struct base_set *set, const char *path,
	const struct base_file_info *info, size_t first, struct base_file *file, struct error *err)
{
	struct error reason = {0};
	assert(first + info->segment_count <= set->segment_count);
	enum status status = base_file_check(path, info, &reason);
	if (status == STATUS_OK) {
		status = lmdb_file_open(path, &file->lmdb, &reason);
	}
	for (size_t i = 0; i < info->segment_count; i++) {
		struct base_segment *segment = &set->segments[first + i];
		segment->info = &info->segments[i];
		enum status of_segment = status;
		if (status == STATUS_OK) {
			of_segment = open_segment(set, file, (uint32_t)i, segment, &reason);
		}
		if (of_segment == STATUS_NO_MEMORY) {
			return error_set(err, of_segment, "%s", reason.text);
		}
		if (of_segment != STATUS_OK) {
			mark_lost(segment);
			error_set(err, STATUS_CORRUPT, "%s", reason.text);
		}
	}
	return STATUS_OK;
}

/* Every hash must lead to exactly one segment. */
static enum status fill_directory(struct base_set *set, struct error *err)
{
	for (size_t i = 0; i < set->segment_count; i++) {
		assert(set->segments[i].info != NULL); /* open_file has set all */
		const uint32_t bits = set->segments[i].info->prefix_bits;
		set->depth = bits > set->depth ? bits : set->depth;
	}
	if (set->depth > SEGMENT_PREFIX_BITS_MAX) {
		return error_set(err, STATUS_CORRUPT, "a prefix of %" PRIu32 " bits", set->depth);
	}
	const size_t count = (size_t)1 << set->depth;
	set->directory = malloc(count * sizeof *set->directory);
	if (set->directory == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "directory of %zu entries", count);
	}
	memset(set->directory, 0xff, count * sizeof *set->directory);
	size_t filled = 0;
	size_t claimed = 0;
	for (size_t i = 0; i < set->segment_count; i++) {
		const struct base_segment_info *info = set->segments[i].info;
		const size_t first = set->depth == 0 ? 0 : info->prefix >> (64 - set->depth);
		assert(info->prefix_bits <= set->depth); /* it is the largest of them */
		const size_t width = (size_t)1 << (set->depth - info->prefix_bits);
		claimed += width;
		for (size_t j = first; j < first + width && j < count; j++) {
			filled += set->directory[j] == UINT32_MAX;
			set->directory[j] = (uint32_t)i;
		}
		if (first % width != 0) {
			return error_set(err, STATUS_CORRUPT, "a prefix is not a prefix");
		}
	}
	if (filled != count || claimed != count) {
		return error_set(err, STATUS_CORRUPT, "segments do not cover every key once");
	}
	return STATUS_OK;
}

static enum status open_all(struct base_set *set, const char *folder,
	const struct base_file_info *infos, struct error *err)
{
	size_t first = 0;
	for (size_t i = 0; i < set->file_count; i++) {
		char name[64];
		char path[PATH_MAX];
		base_file_name(name, sizeof name, set->owner.table, infos[i].number);
		enum status status = file_path(path, folder, name, err);
		if (status == STATUS_OK) {
			set->files[i].info = &infos[i];
			status = open_file(set, path, &infos[i], first, &set->files[i], err);
		}
		if (status != STATUS_OK) {
			return status;
		}
		first += infos[i].segment_count;
		set->bytes += infos[i].bytes;
	}
	assert(first == set->segment_count);
	return fill_directory(set, err);
}

enum status base_set_open(const char *folder, const struct base_owner *owner,
	const struct base_file_info *infos, size_t count, struct base_set **out, struct error *err)
{
	struct base_set *set = calloc(1, sizeof *set);
	if (set == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "open table '%s'", owner->spec.name.text);
	}
	set->owner = *owner;
	set->file_count = count;
	for (size_t i = 0; i < count; i++) {
		set->segment_count += infos[i].segment_count;
	}
	set->files = calloc(count + 1, sizeof *set->files);
	set->segments = calloc(set->segment_count + 1, sizeof *set->segments);
	for (size_t i = 0; set->segments != NULL && i < set->segment_count; i++) {
		lock_init(&set->segments[i].lock);
	}
	enum status status =
		set->files == NULL || set->segments == NULL
			? error_set(err, STATUS_NO_MEMORY, "open table '%s'", owner->spec.name.text)
			: open_all(set, folder, infos, err);
	if (status != STATUS_OK) {
		base_set_close(set);
		return status;
	}
	*out = set;
	return STATUS_OK;
}

void base_set_close(struct base_set *set)
{
	if (set == NULL) {
		return;
	}
	for (size_t i = 0; set->segments != NULL && i < set->segment_count; i++) {
		mapfault_forget(set->segments[i].watch);
		free(set->segments[i].pages);
		lock_fini(&set->segments[i].lock);
	}
	for (size_t i = 0; set->files != NULL && i < set->file_count; i++) {
		lmdb_file_close(set->files[i].lmdb);
	}
	free(set->files);
	free(set->segments);
	free(set->directory);
	free(set);
}

static void mark_all_damaged(struct base_segment *segment)
{
	for (uint32_t page = 0; segment->pages != NULL && page < segment->view.page_count; page++) {
		atomic_store(&segment->pages[page], BASE_PAGE_DAMAGED);
	}
	atomic_store(&segment->state, BASE_DAMAGED);
}

void base_set_look(struct base_set *set)
{
	size_t first = 0;
	for (size_t i = 0; i < set->file_count; i++) {
		const struct base_file *file = &set->files[i];
		const bool cut =
			file->lmdb != NULL && lmdb_file_size(file->lmdb) < file->info->bytes;
		for (size_t j = 0; cut && j < file->info->segment_count; j++) {
			mark_all_damaged(&set->segments[first + j]);
		}
		first += file->info->segment_count;
	}
}
