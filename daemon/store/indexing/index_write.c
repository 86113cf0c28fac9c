/* index_write.c - makes room for the file, maps it, lets the image be written there. */
#include "daemon/store/indexing/index_write.h"

#include "daemon/retrieval/building/balls_build.h"
#include "daemon/store/index/index_file.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/mapfault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

static enum status fail(struct error *err, int error_number, const char *what, const char *path)
{
	return error_set(err, status_of_errno(error_number), "%s '%s': %s", what, path,
		file_reason(error_number));
}

/* Writes image and head into the map. */
static enum status fill(uint8_t *map, struct balls_plan *plan, struct index_head *head,
	uint64_t began_ns, struct error *err)
{
	uint8_t *image = map + INDEX_IMAGE_OFFSET;
	const enum status status = balls_write(plan, image);
	if (status != STATUS_OK) {
		return error_set(err, status, "index: %s", status_name(status));
	}
	head->hash = XXH3_64bits(image, head->bytes);
	head->build_ms = (clock_monotonic_ns() - began_ns) / 1000000;
	index_head_write(head, map);
	return STATUS_OK;
}

/* The same with a page of the map that cannot be read or written as an error. */
static enum status fill_watched(uint8_t *map, size_t len, struct balls_plan *plan,
	struct index_head *head, uint64_t began_ns, struct error *err)
{
	struct mapfault *watch = NULL;
	_Atomic unsigned char failed = 0;
	if (mapfault_watch(map, len, &failed, 1, &watch) != STATUS_OK) {
		return error_set(err, STATUS_NO_MEMORY, "index: no memory");
	}
	const enum status status = fill(map, plan, head, began_ns, err);
	mapfault_forget(watch);
	return status == STATUS_OK && failed != 0
		       ? error_set(err, STATUS_IO, "index: its file could not be written")
		       : status;
}

static enum status write_open(int fd, const char *path, struct balls_plan *plan,
	struct index_head *head, uint64_t began_ns, struct error *err)
{
	const size_t len = INDEX_IMAGE_OFFSET + head->bytes;
	/* The room is taken first: where a disk is full, a map says so by a signal only. */
	const int no_room = posix_fallocate(fd, 0, (off_t)len);
	if (no_room != 0) {
		return fail(err, no_room, "make room for", path);
	}
	void *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		return fail(err, errno, "map", path);
	}
	const enum status status = fill_watched(map, len, plan, head, began_ns, err);
	(void)munmap(map, len);
	if (status == STATUS_OK && fdatasync(fd) != 0) {
		return fail(err, errno, "write", path);
	}
	return status;
}

enum status index_name(const char *folder, const char *from, const char *name, struct error *err)
{
	const int fd = file_open(folder, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0) {
		return fail(err, errno, "open folder", folder);
	}
	enum status status = STATUS_OK;
	if (renameat(fd, from, fd, name) != 0) {
		status = fail(err, errno, "rename to", name);
	} else if (fsync(fd) != 0) {
		status = fail(err, errno, "sync folder", folder);
	}
	(void)close(fd);
	return status;
}

enum status index_write(const char *path, struct balls_plan *plan, struct index_head *head,
	uint64_t began_ns, struct error *err)
{
	head->bytes = balls_plan_bytes(plan);
	const int fd = file_open(path, O_RDWR | O_CREAT | O_TRUNC, 0640);
	if (fd < 0) {
		return fail(err, errno, "create", path);
	}
	const enum status status = write_open(fd, path, plan, head, began_ns, err);
	(void)close(fd);
	if (status != STATUS_OK) {
		(void)file_remove(path);
	}
	return status;
}
