/* visible_page.c - makes and maps DATA/visible, and writes to it. */
#include "daemon/store/visible/visible_page.h"

#include "daemon/store/system/clock.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/mapfault.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

struct visible_page {
	void *map; /* owned, as the next */
	struct mapfault *watch;
	_Atomic unsigned char lost;
	uint64_t start;
	uint64_t seq; /* of the last write */
};

static enum status fail(struct error *err, const char *what, const char *path)
{
	return error_set(err, status_of_errno(errno), "%s '%s': %s", what, path,
		file_reason(errno));
}

/* Writes the whole page, so that the file has a place on the disk for it. */
static enum status write_out(int fd, const char *path, struct error *err)
{
	uint8_t bytes[VISIBLE_BYTES];
	visible_begin(bytes);
	const enum status status = file_write_at(fd, bytes, sizeof bytes, 0);
	if (status != STATUS_OK) {
		return error_set(err, status, "write '%s': %s", path, status_name(status));
	}
	return fdatasync(fd) == 0 ? STATUS_OK : fail(err, "sync", path);
}

/* *made: the file was too short to be one of an earlier start. */
static enum status prepare(int fd, const char *path, bool *made, struct error *err)
{
	struct stat about;
	if (fstat(fd, &about) != 0) {
		return fail(err, "open", path);
	}
	if (!S_ISREG(about.st_mode)) {
		return error_set(err, STATUS_IO, "open '%s': it is no file", path);
	}
	*made = about.st_size < VISIBLE_BYTES;
	return *made ? write_out(fd, path, err) : STATUS_OK;
}

static enum status map_file(struct visible_page *page, int fd, const char *path, struct error *err)
{
	void *map = mmap(NULL, VISIBLE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		return fail(err, "map", path);
	}
	page->map = map;
	if (mapfault_watch(map, VISIBLE_BYTES, &page->lost, 1, &page->watch) != STATUS_OK) {
		return error_set(err, STATUS_NO_MEMORY, "map '%s'", path);
	}
	struct visible before;
	if (!visible_is_ours(map)) {
		return write_out(fd, path, err); /* of another version */
	}
	if (visible_load(map, &before)) {
		page->seq = before.seq;
	}
	return STATUS_OK;
}

enum status visible_page_open(const char *folder, struct visible_page **out, struct error *err)
{
	char path[PATH_MAX];
	bool made = false;
	struct visible_page *page = calloc(1, sizeof *page);
	if (page == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "open 'visible'");
	}
	if (getrandom(&page->start, sizeof page->start, 0) != (ssize_t)sizeof page->start) {
		free(page);
		return error_set(err, STATUS_IO, "visible: no random number");
	}
	enum status status = file_path(path, folder, "visible", err);
	const int fd = status == STATUS_OK ? file_open(path, O_RDWR | O_CREAT, 0640) : -1;
	if (status == STATUS_OK && fd < 0) {
		status = fail(err, "open", path);
	}
	if (status == STATUS_OK) {
		status = prepare(fd, path, &made, err);
	}
	if (status == STATUS_OK) {
		status = map_file(page, fd, path, err);
	} else if (made) {
		(void)file_remove(path); /* a reader must not map what is too short */
	}
	if (fd >= 0) {
		(void)close(fd);
	}
	if (status != STATUS_OK) {
		visible_page_close(page);
		return status;
	}
	*out = page;
	return STATUS_OK;
}

void visible_page_write(struct visible_page *page, const struct visible *state)
{
	struct visible now = *state;
	now.seq = ++page->seq;
	now.start = page->start;
	now.monotonic_ns = clock_monotonic_ns();
	now.wall_ms = clock_unix_ms();
	visible_store(page->map, &now);
}

bool visible_page_is_lost(const struct visible_page *page)
{
	return atomic_load_explicit(&((struct visible_page *)page)->lost, memory_order_relaxed) !=
	       0;
}

void visible_page_close(struct visible_page *page)
{
	if (page == NULL) {
		return;
	}
	mapfault_forget(page->watch);
	if (page->map != NULL) {
		(void)munmap(page->map, VISIBLE_BYTES);
	}
	free(page);
}
