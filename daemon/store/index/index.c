/* index.c - the file of an index: its name, its head, which base file it is of, how it is
 * opened. */
#include "daemon/store/index/index.h"

#include "daemon/retrieval/balls/balls_recall.h"
#include "daemon/store/base/base.h"
#include "daemon/store/index/index_file.h"
#include "daemon/store/system/bytes.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/mapfault.h"
#include "daemon/store/system/refs.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum {
	HASHED_BYTES = INDEX_HEAD_BYTES - 8, /* of the head; their hash follows them */
	HASH_OFFSET = 40,                    /* of the image's */
	BUILD_MS_OFFSET = 48,
};

static const char index_magic[8] = {'r', 'e', 'p', 's', 't', 'i', 'd', 'x'};

uint64_t index_file_rows(const struct base_file_info *file)
{
	uint64_t rows = 0;
	for (size_t i = 0; i < file->segment_count; i++) {
		rows += file->segments[i].rows;
	}
	return rows;
}

void index_file_name(char *out, size_t size, uint64_t table, uint64_t file)
{
	(void)snprintf(out, size, "index-%" PRIu64 "-%" PRIu64 ".idx", table, file);
}

static enum status path_of(const char *folder, const struct index_owner *owner, char *path,
	struct error *err)
{
	char name[64];
	index_file_name(name, sizeof name, owner->table, owner->file->number);
	return file_path(path, folder, name, err);
}

uint64_t index_base_hash(const struct index_owner *owner)
{
	XXH3_state_t *state = XXH3_createState();
	if (state == NULL) {
		return 0;
	}
	(void)XXH3_64bits_reset(state);
	uint8_t bytes[16];
	bytes_put_u64(bytes, owner->release);
	bytes_put_u64(bytes + 8, owner->table);
	(void)XXH3_64bits_update(state, bytes, 16);
	for (size_t i = 0; i < owner->file->segment_count; i++) {
		bytes_put_u64(bytes, owner->file->segments[i].hash);
		(void)XXH3_64bits_update(state, bytes, 8);
	}
	const uint64_t hash = XXH3_64bits_digest(state);
	(void)XXH3_freeState(state);
	return hash;
}

void index_head_write(const struct index_head *head, uint8_t out[INDEX_HEAD_BYTES])
{
	memcpy(out, index_magic, sizeof index_magic);
	bytes_put_u32(out + 8, INDEX_VERSION);
	bytes_put_u32(out + 12, INDEX_BALLS);
	bytes_put_u64(out + 16, head->base_hash);
	bytes_put_u64(out + 24, head->rows);
	bytes_put_u64(out + 32, head->bytes);
	bytes_put_u64(out + HASH_OFFSET, head->hash);
	bytes_put_u64(out + BUILD_MS_OFFSET, head->build_ms);
	bytes_put_u64(out + 56, head->changed);
	bytes_put_u64(out + HASHED_BYTES, XXH3_64bits(out, HASHED_BYTES));
}

static enum status read_head(int fd, const char *path, const struct index_head *expected,
	struct index_head *out, struct error *err)
{
	uint8_t data[INDEX_HEAD_BYTES];
	struct stat about;
	if (file_read_at(fd, data, sizeof data, 0) != STATUS_OK || fstat(fd, &about) != 0 ||
		memcmp(data, index_magic, sizeof index_magic) != 0 ||
		XXH3_64bits(data, HASHED_BYTES) != bytes_get_u64(data + HASHED_BYTES)) {
		return error_set(err, STATUS_CORRUPT, "'%s': it has no sound head", path);
	}
	if (bytes_get_u32(data + 8) != INDEX_VERSION || bytes_get_u32(data + 12) != INDEX_BALLS) {
		return error_set(err, STATUS_UNSUPPORTED,
			"'%s': version %" PRIu32 ", kind %" PRIu32 ", known are %d and %d", path,
			bytes_get_u32(data + 8), bytes_get_u32(data + 12), INDEX_VERSION,
			INDEX_BALLS);
	}
	*out = (struct index_head){
		.base_hash = bytes_get_u64(data + 16),
		.rows = bytes_get_u64(data + 24),
		.bytes = bytes_get_u64(data + 32),
		.hash = bytes_get_u64(data + 40),
		.build_ms = bytes_get_u64(data + BUILD_MS_OFFSET),
		.changed = bytes_get_u64(data + 56),
	};
	if (out->base_hash != expected->base_hash || out->rows != expected->rows) {
		return error_set(err, STATUS_CONFLICT, "'%s': it is of another base file", path);
	}
	return (uint64_t)about.st_size == INDEX_IMAGE_OFFSET + out->bytes
		       ? STATUS_OK
		       : error_set(err, STATUS_CORRUPT, "'%s': it has %lld bytes, not %" PRIu64,
				 path, (long long)about.st_size, INDEX_IMAGE_OFFSET + out->bytes);
}

/* Maps the file, and reads all of it in order, which is faster than page by page. */
static enum status map_file(struct index *index, int fd, const char *path, struct error *err)
{
	assert(index->map == NULL);
	assert(index->bytes >= INDEX_IMAGE_OFFSET);
	void *map = mmap(NULL, index->bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		return error_set(err, status_of_errno(errno), "map '%s': %s", path,
			strerror(errno));
	}
	index->map = map;
	atomic_store(&index->state, INDEX_READY);
	if (mapfault_watch(map, index->bytes, &index->state, INDEX_DAMAGED, &index->watch) !=
		STATUS_OK) {
		return error_set(err, STATUS_NO_MEMORY, "map '%s'", path);
	}
	(void)madvise(map, index->bytes, MADV_POPULATE_READ);
	return STATUS_OK;
}

uint64_t index_hash_axes(const struct balls *balls)
{
	const uint32_t dims[] = {balls->dim, balls->prefix, balls->first};
	const size_t dim_bytes = balls->dim * sizeof(float);
	uint64_t hash = XXH3_64bits(dims, sizeof dims);
	if (balls->basis != NULL) {
		hash = XXH3_64bits_withSeed(balls->basis, balls->prefix * dim_bytes, hash);
	}
	return XXH3_64bits_withSeed(balls->axes, balls->balls * dim_bytes, hash);
}

static enum status open_file(struct index *index, int fd, const char *path,
	const struct index_head *expected, uint32_t dim, struct error *err)
{
	struct index_head head = {0};
	enum status status = read_head(fd, path, expected, &head, err);
	if (status == STATUS_OK) {
		index->bytes = INDEX_IMAGE_OFFSET + head.bytes;
		index->build_ms = head.build_ms;
		index->changed = head.changed;
		status = map_file(index, fd, path, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	const uint8_t *image = (const uint8_t *)index->map + INDEX_IMAGE_OFFSET;
	if (XXH3_64bits(image, head.bytes) != head.hash || !index_is_sound(index)) {
		return error_set(err, STATUS_CORRUPT, "'%s': it is damaged", path);
	}
	status = balls_open(image, head.bytes, (uint32_t)head.rows, dim, &index->balls, err);
	if (status == STATUS_OK) {
		index->axes = index_hash_axes(&index->balls);
	}
	return status;
}

static uint64_t inode_of(int fd)
{
	struct stat about;
	return fstat(fd, &about) == 0 ? (uint64_t)about.st_ino : 0;
}

uint64_t index_inode(const char *folder, const struct index_owner *owner)
{
	char path[PATH_MAX];
	if (path_of(folder, owner, path, NULL) != STATUS_OK) {
		return 0;
	}
	const int fd = file_open(path, O_RDONLY | O_NONBLOCK, 0);
	const uint64_t inode = fd < 0 ? 0 : inode_of(fd);
	if (fd >= 0) {
		(void)close(fd);
	}
	return inode;
}

enum status index_open_at(const char *path, const struct index_owner *owner, struct index **out,
	struct error *err)
{
	const int fd = file_open(path, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0) {
		return error_set(err, status_of_errno(errno), "open '%s': %s", path,
			file_reason(errno));
	}
	const struct index_head expected = {
		.base_hash = index_base_hash(owner),
		.rows = index_file_rows(owner->file),
	};
	struct index *index = calloc(1, sizeof *index);
	if (index != NULL) {
		atomic_init(&index->refs, 1);
	}
	const enum status status = index == NULL
					   ? error_set(err, STATUS_NO_MEMORY, "open '%s'", path)
					   : open_file(index, fd, path, &expected, owner->dim, err);
	if (status == STATUS_OK && index != NULL) {
		index->inode = inode_of(fd);
	}
	(void)close(fd);
	if (status != STATUS_OK) {
		index_close(index);
		return status;
	}
	*out = index;
	return STATUS_OK;
}

enum status index_open(const char *folder, const struct index_owner *owner, struct index **out,
	struct error *err)
{
	char path[PATH_MAX];
	const enum status status = path_of(folder, owner, path, err);
	return status == STATUS_OK ? index_open_at(path, owner, out, err) : status;
}

void index_hold(struct index *index)
{
	if (index != NULL) {
		refs_hold(&index->refs);
	}
}

/* Writes what has changed, and syncs it, and then a head that fits: after a crash in between the
 * checksum of the image does not, and the index is built again. */
static enum status rewrite(const struct index *index, int fd, const float *recalls,
	uint32_t queries)
{
	uint8_t head[INDEX_HEAD_BYTES];
	uint8_t number[4];
	const uint8_t *map = index->map;
	bytes_put_u32(number, queries);
	enum status status = file_write_at(fd, recalls, BALLS_RECALLS_BYTES,
		(uint64_t)((const uint8_t *)index->balls.recalls - map));
	if (status == STATUS_OK) {
		status = file_write_at(fd, number, sizeof number,
			(uint64_t)((const uint8_t *)index->balls.queries - map));
	}
	if (status == STATUS_OK && fdatasync(fd) == 0 &&
		file_read_at(fd, head, sizeof head, 0) == STATUS_OK) {
		bytes_put_u64(head + BUILD_MS_OFFSET, index->build_ms);
		bytes_put_u64(head + HASH_OFFSET,
			XXH3_64bits(map + INDEX_IMAGE_OFFSET, index->bytes - INDEX_IMAGE_OFFSET));
		bytes_put_u64(head + HASHED_BYTES, XXH3_64bits(head, HASHED_BYTES));
		status = file_write_at(fd, head, sizeof head, 0);
		return status == STATUS_OK && fdatasync(fd) != 0 ? status_of_errno(errno) : status;
	}
	return status == STATUS_OK ? STATUS_IO : status;
}

enum status index_rewrite(const struct index *index, const char *path, const float *recalls,
	uint32_t queries, struct error *err)
{
	const int fd = file_open(path, O_RDWR, 0);
	if (fd < 0) {
		return error_set(err, status_of_errno(errno), "open '%s': %s", path,
			file_reason(errno));
	}
	const enum status status = rewrite(index, fd, recalls, queries);
	(void)close(fd);
	return status == STATUS_OK
		       ? status
		       : error_set(err, status, "write '%s': %s", path, status_name(status));
}

void index_close(struct index *index)
{
	if (index == NULL || !refs_drop(&index->refs)) {
		return;
	}
	mapfault_forget(index->watch);
	if (index->map != NULL) {
		(void)munmap(index->map, index->bytes);
	}
	free(index);
}
