/* base_lmdb.c - the one file that knows LMDB's side of a base file. */
#include "daemon/store/base/base_lmdb.h"

#include "daemon/store/base/base.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

/* Before a large value LMDB 0.9 has a page header of 16 bytes, which begins with the page
 * number. */
enum { PAGE_HEADER_BYTES = 16, HASH_BLOCK_BYTES = 64 << 10 };

struct lmdb_file {
	MDB_env *env; /* owned */
	MDB_txn *txn; /* owned; a writer's open transaction, or the one that a reader keeps */
	MDB_dbi dbi;
	unsigned page_bytes;
	bool is_open;
	uint64_t reserved; /* bytes of the value of the open transaction */
};

/* What LMDB says of a file that is written once and then only read: a value that is not there, or is
 * none, is one that was damaged. */
static enum status status_of_lmdb(int code)
{
	switch (code) {
	case MDB_MAP_FULL:
		return STATUS_DISK_FULL;
	case MDB_INVALID:
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_NOTFOUND:
	case MDB_BAD_VALSIZE:
		return STATUS_CORRUPT;
	case MDB_VERSION_MISMATCH:
		return STATUS_UNSUPPORTED;
	default:
		return status_of_errno(code);
	}
}

static enum status fail(struct error *err, const char *what, int code)
{
	return error_set(err, status_of_lmdb(code), "base file: %s: %s", what,
		code > 0 ? file_reason(code) : mdb_strerror(code));
}

void lmdb_file_close(struct lmdb_file *file)
{
	if (file == NULL) {
		return;
	}
	mdb_txn_abort(file->txn);
	mdb_env_close(file->env);
	free(file);
}

/* LMDB opens by a path. It is given that of a descriptor, so what it opens is the file that was
 * found beneath the data folder, through no link. */
static enum status open_env(struct lmdb_file *file, const char *path, int fd, uint64_t map_bytes,
	unsigned flags, struct error *err)
{
	char opened[FILE_PROC_BYTES];
	file_proc_path(opened, fd);
	int code = mdb_env_create(&file->env);
	if (code == 0) {
		code = mdb_env_set_mapsize(file->env, map_bytes);
	}
	if (code == 0) {
		code = mdb_env_open(file->env, opened,
			MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS | flags, 0640);
	}
	MDB_stat about;
	if (code == 0) {
		code = mdb_env_stat(file->env, &about);
	}
	if (code != 0) {
		return fail(err, path, code);
	}
	file->page_bytes = about.ms_psize;
	return STATUS_OK;
}

enum status lmdb_file_create(const char *path, uint64_t bytes_max, struct lmdb_file **out,
	struct error *err)
{
	struct lmdb_file *file = calloc(1, sizeof *file);
	if (file == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "create '%s'", path);
	}
	/* The slack is for meta pages, the tree, and the first and last page of each value. */
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	const uint64_t slack = bytes_max / 64 + (1u << 20);
	const int fd = file_open(path, O_RDWR | O_CREAT | O_EXCL, 0640);
	const enum status status =
		fd < 0 ? error_set(err, status_of_errno(errno), "create '%s': %s", path,
				 file_reason(errno))
		       : open_env(file, path, fd, (bytes_max + slack) / page * page,
				 MDB_NOSYNC | MDB_NOMEMINIT | MDB_NORDAHEAD, err);
	if (fd >= 0) {
		close(fd);
	}
	if (status != STATUS_OK) {
		lmdb_file_close(file);
		return status;
	}
	*out = file;
	return STATUS_OK;
}

enum status lmdb_file_reserve(struct lmdb_file *file, uint32_t i, uint64_t len, void **value,
	struct error *err)
{
	assert(file->txn == NULL); /* one value at a time */
	assert(len > 0);
	int code = mdb_txn_begin(file->env, NULL, 0, &file->txn);
	if (code == 0 && !file->is_open) {
		code = mdb_dbi_open(file->txn, NULL, MDB_INTEGERKEY, &file->dbi);
		file->is_open = code == 0;
	}
	MDB_val key = {.mv_size = sizeof i, .mv_data = &i};
	MDB_val data = {.mv_size = len > file->page_bytes ? len : file->page_bytes};
	if (code == 0) {
		code = mdb_put(file->txn, file->dbi, &key, &data, MDB_RESERVE | MDB_NOOVERWRITE);
	}
	if (code != 0) {
		mdb_txn_abort(file->txn);
		file->txn = NULL;
		return fail(err, "reserve", code);
	}
	assert(data.mv_size >= len);
	memory_want_huge(data.mv_data, data.mv_size);
	memset((uint8_t *)data.mv_data + len, 0, data.mv_size - len);
	file->reserved = data.mv_size;
	*value = data.mv_data;
	return STATUS_OK;
}

enum status lmdb_file_commit(struct lmdb_file *file, struct error *err)
{
	int fd;
	const bool has_fd = mdb_env_get_fd(file->env, &fd) == 0;
	assert(file->txn != NULL);
	assert(file->reserved > 0);
	const int code = mdb_txn_commit(file->txn);
	file->txn = NULL;
	if (code == EIO && has_fd && file_why_short(fd, file->reserved) == STATUS_DISK_FULL) {
		return fail(err, "commit", ENOSPC); /* LMDB says EIO when a write is cut short */
	}
	if (code != 0) {
		return fail(err, "commit", code);
	}
	if (has_fd) {
		/* This is only a hint: the sync at the end then finds less to do. */
		(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	}
	return STATUS_OK;
}

enum status lmdb_file_sync(struct lmdb_file *file, struct error *err)
{
	assert(file->txn == NULL); /* what is not committed would not be on the disk */
	const int code = mdb_env_sync(file->env, 1);
	return code == 0 ? STATUS_OK : fail(err, "sync", code);
}

enum status lmdb_file_open(const char *path, struct lmdb_file **out, struct error *err)
{
	struct stat about;
	struct lmdb_file *file = calloc(1, sizeof *file);
	if (file == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "open '%s'", path);
	}
	const int fd = file_open(path, O_RDONLY | O_NONBLOCK, 0);
	enum status status = fd < 0 || fstat(fd, &about) != 0
				     ? error_set(err, status_of_errno(errno), "open '%s': %s", path,
					       file_reason(errno))
				     : open_env(file, path, fd, (uint64_t)about.st_size,
					       MDB_RDONLY | MDB_NORDAHEAD, err);
	if (fd >= 0) {
		close(fd);
	}
	if (status == STATUS_OK) {
		int code = mdb_txn_begin(file->env, NULL, MDB_RDONLY, &file->txn);
		if (code == 0) {
			code = mdb_dbi_open(file->txn, NULL, 0, &file->dbi);
		}
		status = code == 0 ? STATUS_OK : fail(err, path, code);
	}
	if (status != STATUS_OK) {
		lmdb_file_close(file);
		return status;
	}
	*out = file;
	return STATUS_OK;
}

enum status lmdb_file_get(struct lmdb_file *file, uint32_t i, struct lmdb_value *out,
	struct error *err)
{
	MDB_val key = {.mv_size = sizeof i, .mv_data = &i};
	MDB_val data;
	assert(file->txn != NULL);
	const int code = mdb_get(file->txn, file->dbi, &key, &data);
	if (code != 0) {
		return fail(err, "segment", code);
	}
	uint64_t page_number;
	memcpy(&page_number, (const uint8_t *)data.mv_data - PAGE_HEADER_BYTES, 8);
	if ((uintptr_t)data.mv_data % file->page_bytes != PAGE_HEADER_BYTES) {
		return error_set(err, STATUS_CORRUPT,
			"base file: value %" PRIu32 " is not at the "
			"start of a page",
			i);
	}
	*out = (struct lmdb_value){
		.data = data.mv_data,
		.len = data.mv_size,
		.offset = page_number * file->page_bytes + PAGE_HEADER_BYTES,
	};
	return STATUS_OK;
}

uint64_t lmdb_file_size(const struct lmdb_file *file)
{
	int fd;
	struct stat about;
	if (mdb_env_get_fd(file->env, &fd) != 0 || fstat(fd, &about) != 0) {
		return 0;
	}
	return (uint64_t)about.st_size;
}

/* ---- outside bytes ---- */

static enum status hash_range(int fd, uint64_t from, uint64_t to, uint8_t *block,
	XXH3_state_t *state)
{
	while (from < to) {
		const size_t n =
			to - from < HASH_BLOCK_BYTES ? (size_t)(to - from) : HASH_BLOCK_BYTES;
		const enum status status = file_read_at(fd, block, n, from);
		if (status != STATUS_OK) {
			return status;
		}
		(void)XXH3_64bits_update(state, block, n);
		from += n;
	}
	return STATUS_OK;
}

const struct base_segment_info *base_next_segment(const struct base_file_info *info,
	uint64_t offset)
{
	const struct base_segment_info *best = NULL;
	for (size_t i = 0; i < info->segment_count; i++) {
		const struct base_segment_info *at = &info->segments[i];
		if (at->offset >= offset && (best == NULL || at->offset < best->offset)) {
			best = at;
		}
	}
	return best;
}

enum status base_hash_outside(int fd, const struct base_file_info *info, uint64_t *out)
{
	XXH3_state_t *state = XXH3_createState();
	uint8_t *block = malloc(HASH_BLOCK_BYTES);
	enum status status = state == NULL || block == NULL ? STATUS_NO_MEMORY : STATUS_OK;
	if (status == STATUS_OK) {
		(void)XXH3_64bits_reset(state);
	}
	uint64_t at = 0;
	while (status == STATUS_OK && at < info->bytes) {
		const struct base_segment_info *segment = base_next_segment(info, at);
		const uint64_t end = segment == NULL ? info->bytes : segment->offset;
		const uint64_t bytes = segment == NULL ? 1 : segment->bytes;
		status = bytes == 0 || end > info->bytes ? STATUS_CORRUPT
							 : hash_range(fd, at, end, block, state);
		at = end + bytes;
	}
	if (status == STATUS_OK) {
		*out = XXH3_64bits_digest(state);
	}
	free(block);
	(void)XXH3_freeState(state);
	return status;
}
