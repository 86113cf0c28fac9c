/* base_read.c - opens a table's base files. */
#include "daemon/store/base/at_hand.h"
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
	_Atomic unsigned refs;         /* sets that have it */
	struct base_file_info info;    /* owned */
	struct lmdb_file *lmdb;        /* owned; NULL when it could not be opened */
	struct base_segment *segments; /* owned: those that `info` names */
};

/* Tells the system what opening a file reads, so that it reads that side by side and nothing else: what is outside the
 * segments, and their heads. Behind a head stands the first page of the list, which the first look-up of any key needs. */
static void announce_file(int fd, const struct base_file_info *info)
{
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	for (uint64_t at = 0; at < info->bytes;) {
		const struct base_segment_info *segment = base_next_segment(info, at);
		const uint64_t end = segment == NULL ? info->bytes
						     : segment->offset + segment->head_bytes +
							       SEGMENT_PAGE_BYTES;
		(void)posix_fadvise(fd, (off_t)at, (off_t)(end - at), POSIX_FADV_WILLNEED);
		at = segment == NULL || segment->bytes == 0 ? info->bytes
							    : segment->offset + segment->bytes;
	}
}

enum status base_file_check(const char *path, const struct base_file_info *info, struct error *err)
{
	const int fd = file_open(path, O_RDONLY | O_NONBLOCK, 0);
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
		announce_file(fd, info);
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
static enum status open_segments(struct base_set *set, const char *path, struct base_file *file,
	struct error *err)
{
	struct error reason = {0};
	const struct base_file_info *info = &file->info;
	enum status status = base_file_check(path, info, &reason);
	if (status == STATUS_OK) {
		status = lmdb_file_open(path, &file->lmdb, &reason);
	}
	for (size_t i = 0; i < info->segment_count; i++) {
		struct base_segment *segment = &file->segments[i];
		enum status of_segment = status;
		if (status == STATUS_OK) {
			of_segment = open_segment(set, file, (uint32_t)i, segment, &reason);
		}
		/* What a newer build has written is no damage: nobody may mend it. */
		if (of_segment == STATUS_NO_MEMORY || of_segment == STATUS_UNSUPPORTED) {
			return error_set(err, of_segment, "%s: %s", path, reason.text);
		}
		if (of_segment != STATUS_OK) {
			mark_lost(segment);
			error_set(err, STATUS_CORRUPT, "%s", reason.text);
		}
	}
	return STATUS_OK;
}

/* Gives up a set's part in a file. */
static void file_drop(struct base_file *file)
{
	if (file == NULL || atomic_fetch_sub(&file->refs, 1) > 1) {
		return;
	}
	for (size_t i = 0; file->segments != NULL && i < file->info.segment_count; i++) {
		mapfault_forget(file->segments[i].watch);
		free(file->segments[i].pages);
		lock_fini(&file->segments[i].lock);
	}
	lmdb_file_close(file->lmdb);
	free(file->segments);
	base_file_info_fini(&file->info);
	free(file);
}

static struct base_file *file_new(const struct base_file_info *info)
{
	struct base_file *file = calloc(1, sizeof *file);
	if (file == NULL) {
		return NULL;
	}
	atomic_init(&file->refs, 1);
	if (base_file_info_copy(info, &file->info) == STATUS_OK) {
		file->segments = calloc(info->segment_count + 1, sizeof *file->segments);
	}
	if (file->segments == NULL) {
		file_drop(file);
		return NULL;
	}
	for (size_t i = 0; i < info->segment_count; i++) {
		file->segments[i].info = &file->info.segments[i];
		lock_init(&file->segments[i].lock);
	}
	return file;
}

/* Every hash must lead to exactly one segment; in a delta, to one at most. */
static enum status fill_directory(struct base_set *set, bool is_delta, struct error *err)
{
	for (size_t i = 0; i < set->segment_count; i++) {
		const uint32_t bits = set->segments[i]->info->prefix_bits;
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
	memset(set->directory, 0xff, count * sizeof *set->directory); /* BASE_NO_SEGMENT */
	size_t filled = 0;
	size_t claimed = 0;
	size_t behind = 0;
	for (size_t i = 0; i < set->segment_count; i++) {
		const struct base_segment_info *info = set->segments[i]->info;
		const size_t first = set->depth == 0 ? 0 : info->prefix >> (64 - set->depth);
		assert(info->prefix_bits <= set->depth); /* it is the largest of them */
		const size_t width = (size_t)1 << (set->depth - info->prefix_bits);
		claimed += width;
		for (size_t j = first; j < first + width && j < count; j++) {
			filled += set->directory[j] == BASE_NO_SEGMENT;
			set->directory[j] = (uint32_t)i;
		}
		if (first % width != 0) {
			return error_set(err, STATUS_CORRUPT, "a prefix is not a prefix");
		}
		if (first < behind) {
			return error_set(err, STATUS_CORRUPT, "segments are not in their order");
		}
		behind = first + width;
	}
	if (filled != claimed || (!is_delta && filled != count)) {
		return error_set(err, STATUS_CORRUPT, "segments do not cover every key once");
	}
	return STATUS_OK;
}

uint64_t base_set_file_of(const struct base_set *set, size_t i)
{
	const struct base_segment_info *segment = set->segments[i]->info;
	size_t file = 0;
	for (; file + 1 < set->file_count; file++) {
		const struct base_file_info *info = &set->files[file]->info;
		if (segment >= info->segments && segment < info->segments + info->segment_count) {
			break;
		}
	}
	return set->files[file]->info.number;
}

/* The file of this number that a set has open, with a reference more; NULL: it has none. */
static struct base_file *share_file(const struct base_set *from, uint64_t number)
{
	for (size_t i = 0; from != NULL && i < from->file_count; i++) {
		if (from->files[i]->info.number == number) {
			atomic_fetch_add(&from->files[i]->refs, 1);
			return from->files[i];
		}
	}
	return NULL;
}

/* The path of a file of a table. */
static enum status path_of(const struct base_set *set, const char *folder,
	const struct base_file_info *info, char *path, struct error *err)
{
	char name[64];
	base_file_name(name, sizeof name, set->owner.table, info->number);
	return file_path(path, folder, name, err);
}

/* Announces what opening all files will read, so that the disk reads of one what is needed while another is
 * opened. A file that cannot be opened is told of when it is its turn. */
static void announce_files(const struct base_set *set, const char *folder,
	const struct base_file_info *infos)
{
	char path[PATH_MAX];
	for (size_t i = 0; set->file_count > 1 && i < set->file_count; i++) {
		const int fd = path_of(set, folder, &infos[i], path, NULL) == STATUS_OK
				       ? file_open(path, O_RDONLY | O_NONBLOCK, 0)
				       : -1;
		if (fd >= 0) {
			announce_file(fd, &infos[i]);
			close(fd);
		}
	}
}

/* Gives the set its i-th file, which `from` may have open already. */
static enum status add_file(struct base_set *set, const char *folder,
	const struct base_file_info *info, size_t i, const struct base_set *from, struct error *err)
{
	char path[PATH_MAX];
	set->files[i] = share_file(from, info->number);
	if (set->files[i] != NULL) {
		return STATUS_OK;
	}
	enum status status = path_of(set, folder, info, path, err);
	if (status != STATUS_OK) {
		return status;
	}
	set->files[i] = file_new(info);
	if (set->files[i] == NULL) {
		status = error_set(err, STATUS_NO_MEMORY, "open '%s'", path);
	}
	return status == STATUS_OK ? open_segments(set, path, set->files[i], err) : status;
}

static enum status open_all(struct base_set *set, const char *folder,
	const struct base_file_info *infos, const struct base_set *from, struct error *err)
{
	size_t first = 0;
	if (from == NULL) {
		announce_files(set, folder, infos);
	}
	for (size_t i = 0; i < set->file_count; i++) {
		const enum status status = add_file(set, folder, &infos[i], i, from, err);
		if (status != STATUS_OK) {
			return status;
		}
		for (size_t j = 0; j < infos[i].segment_count; j++) {
			set->segments[first++] = &set->files[i]->segments[j];
		}
		set->bytes += infos[i].bytes;
	}
	assert(first == set->segment_count);
	return fill_directory(set, set->file_count > 0 && infos[0].delta != 0, err);
}

/* A set with room for these files. NULL: no memory. */
static struct base_set *set_new(const struct base_owner *owner, const struct base_file_info *infos,
	size_t count)
{
	struct base_set *set = calloc(1, sizeof *set);
	if (set == NULL) {
		return NULL;
	}
	set->owner = *owner;
	set->file_count = count;
	for (size_t i = 0; i < count; i++) {
		set->segment_count += infos[i].segment_count;
	}
	set->files = calloc(count + 1, sizeof(struct base_file *));
	set->segments = calloc(set->segment_count + 1, sizeof(struct base_segment *));
	if (set->files == NULL || set->segments == NULL) {
		base_set_close(set);
		return NULL;
	}
	return set;
}

static enum status open_set(struct base_set *set, const char *folder,
	const struct base_file_info *infos, const struct base_set *from, struct error *err)
{
	const enum status status = set == NULL ? error_set(err, STATUS_NO_MEMORY, "open a table")
					       : open_all(set, folder, infos, from, err);
	if (status != STATUS_OK) {
		base_set_close(set);
	}
	return status;
}

enum status base_set_open(const char *folder, const struct base_owner *owner,
	const struct base_file_info *infos, size_t count, struct base_set **out, struct error *err)
{
	struct base_set *set = set_new(owner, infos, count);
	const enum status status = open_set(set, folder, infos, NULL, err);
	*out = status == STATUS_OK ? set : *out;
	return status;
}

enum status base_set_renew(const char *folder, const struct base_set *from,
	const struct base_file_info *infos, size_t count, struct base_set **out, struct error *err)
{
	struct base_set *set = set_new(&from->owner, infos, count);
	const enum status status = open_set(set, folder, infos, from, err);
	*out = status == STATUS_OK ? set : *out;
	return status;
}

void base_set_close(struct base_set *set)
{
	if (set == NULL) {
		return;
	}
	for (size_t i = 0; set->files != NULL && i < set->file_count; i++) {
		file_drop(set->files[i]);
	}
	free(set->files);
	free(set->segments);
	free(set->directory);
	free(set);
}

uint64_t base_set_next(const struct base_set *set, uint64_t hash)
{
	size_t low = 0;
	size_t high = set->segment_count;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		if (set->segments[middle]->info->prefix <= hash) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low == set->segment_count ? 0 : set->segments[low]->info->prefix;
}

static void mark_all_damaged(struct base_segment *segment)
{
	for (uint32_t page = 0; segment->pages != NULL && page < segment->view.page_count; page++) {
		atomic_store(&segment->pages[page], BASE_PAGE_DAMAGED);
	}
	base_segment_lose(segment, BASE_DAMAGED);
}

void base_set_look(struct base_set *set)
{
	for (size_t i = 0; i < set->file_count; i++) {
		struct base_file *file = set->files[i];
		const bool cut =
			file->lmdb != NULL && lmdb_file_size(file->lmdb) < file->info.bytes;
		for (size_t j = 0; cut && j < file->info.segment_count; j++) {
			mark_all_damaged(&file->segments[j]);
		}
	}
}
