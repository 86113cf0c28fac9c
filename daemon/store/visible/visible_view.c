/* visible_view.c - maps DATA/visible for a reader. */
#include "daemon/store/visible/visible_view.h"

#include "daemon/store/system/file.h"
#include "daemon/store/system/mapfault.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct visible_view {
	void *map;              /* owned, as the next */
	struct mapfault *watch; /* the file may be cut */
	_Atomic unsigned char damaged;
	dev_t device;
	ino_t inode;
};

/* Opens the file, and says which it is. */
static enum status open_file(const char *folder, int *fd, struct stat *about, struct error *err)
{
	char path[PATH_MAX];
	const enum status status = file_path(path, folder, "visible", err);
	if (status != STATUS_OK) {
		return status;
	}
	/* Whoever may write there may have put a pipe in its place, and to open one would wait for a writer. */
	*fd = file_open(path, O_RDONLY | O_NONBLOCK, 0);
	if (*fd >= 0 && fstat(*fd, about) == 0) {
		return STATUS_OK;
	}
	const int number = errno;
	if (*fd >= 0) {
		(void)close(*fd);
	}
	return error_set(err, status_of_errno(number), "open '%s': %s", path, file_reason(number));
}

static enum status map_file(struct visible_view *view, int fd, const struct stat *about,
	struct error *err)
{
	if (!S_ISREG(about->st_mode)) {
		return error_set(err, STATUS_IO, "open 'visible': it is no file");
	}
	if (about->st_size < VISIBLE_BYTES) {
		return error_set(err, STATUS_NOT_FOUND, "open 'visible': it has %lld bytes, not %d",
			(long long)about->st_size, VISIBLE_BYTES);
	}
	void *map = mmap(NULL, VISIBLE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		return error_set(err, status_of_errno(errno), "map 'visible': %s",
			file_reason(errno));
	}
	view->map = map;
	if (mapfault_watch(map, VISIBLE_BYTES, &view->damaged, 1, &view->watch) != STATUS_OK) {
		return error_set(err, STATUS_NO_MEMORY, "map 'visible'");
	}
	view->device = about->st_dev;
	view->inode = about->st_ino;
	return visible_check(map, err);
}

enum status visible_view_open(const char *folder, struct visible_view **out, struct error *err)
{
	int fd;
	struct stat about = {0};
	enum status status = open_file(folder, &fd, &about, err);
	if (status != STATUS_OK) {
		return status;
	}
	struct visible_view *view = calloc(1, sizeof *view);
	status = view == NULL ? error_set(err, STATUS_NO_MEMORY, "open 'visible'")
			      : map_file(view, fd, &about, err);
	(void)close(fd);
	if (status != STATUS_OK) {
		visible_view_close(view);
		return status;
	}
	*out = view;
	return STATUS_OK;
}

bool visible_view_read(const struct visible_view *view, struct visible *out)
{
	return visible_load(view->map, out);
}

bool visible_view_is_replaced(const struct visible_view *view, const char *folder)
{
	int fd;
	struct stat about = {0};
	if (atomic_load(&view->damaged) != 0 || open_file(folder, &fd, &about, NULL) != STATUS_OK) {
		return true;
	}
	(void)close(fd);
	return about.st_dev != view->device || about.st_ino != view->inode;
}

void visible_view_close(struct visible_view *view)
{
	if (view == NULL) {
		return;
	}
	mapfault_forget(view->watch);
	if (view->map != NULL) {
		(void)munmap(view->map, VISIBLE_BYTES);
	}
	free(view);
}
