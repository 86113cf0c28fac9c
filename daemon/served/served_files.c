/* served_files.c - makes, fills and removes the files of the log of served rows. */
#include "daemon/served/served_files.h"

#include "daemon/store/system/file.h"
#include "schema/served.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MODE = 0640, NUMBER_DIGITS_MAX = 18 };

static enum status failed(struct error *err, const char *what, const char *path)
{
	const int error_number = errno;
	return error_set(err, status_of_errno(error_number), "served file: %s '%s': %s", what, path,
		file_reason(error_number));
}

/* ---- where they lie ---- */

/* Cuts a path into its folder and the name behind it. */
static enum status split(const char *file, char folder[PATH_MAX], char name[SERVED_NAME_BYTES],
	struct error *err)
{
	const char *slash = strrchr(file, '/');
	const size_t len = slash != NULL ? (size_t)(slash - file) : 0;
	if (slash == NULL || file[0] != '/' || slash[1] == '\0' || slash[1] == '.' ||
		strlen(slash + 1) >= SERVED_NAME_BYTES || len >= PATH_MAX) {
		return error_set(err, STATUS_BAD_REQUEST,
			"served file: '%s' given; a whole path is allowed, whose last name has at "
			"most %d bytes and does not begin with a point",
			file, SERVED_NAME_BYTES - 1);
	}
	memcpy(folder, file, len);
	folder[len] = '\0';
	if (len == 0) {
		memcpy(folder, "/", 2);
	}
	memcpy(name, slash + 1, strlen(slash + 1) + 1);
	return STATUS_OK;
}

/* Is one folder the other, or below it? Both are resolved. */
static bool is_below(const char *path, const char *folder)
{
	const size_t len = strlen(folder);
	return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

enum status served_files_check(const char *file, const char *const *kept_out, struct error *err)
{
	char folder[PATH_MAX];
	char name[SERVED_NAME_BYTES];
	char real[PATH_MAX];
	char other[PATH_MAX];
	struct stat info;
	const enum status status = split(file, folder, name, err);
	if (status != STATUS_OK) {
		return status;
	}
	if (realpath(folder, real) == NULL || stat(real, &info) != 0) {
		return failed(err, "folder", folder);
	}
	if (!S_ISDIR(info.st_mode)) {
		return error_set(err, STATUS_BAD_REQUEST, "served file: '%s' is no folder", folder);
	}
	if ((info.st_mode & S_IWOTH) != 0) {
		return error_set(err, STATUS_BAD_REQUEST,
			"served file: everybody may write into '%s'; a folder of the daemon's own "
			"is needed",
			folder);
	}
	for (size_t i = 0; kept_out[i] != NULL; i++) {
		if (kept_out[i][0] != '\0' && realpath(kept_out[i], other) != NULL &&
			is_below(real, other)) {
			return error_set(err, STATUS_BAD_REQUEST,
				"served file: '%s' lies in '%s', which holds what the daemon needs; "
				"another folder is allowed",
				file, kept_out[i]);
		}
	}
	return STATUS_OK;
}

/* ---- those that are there ---- */

/* The number behind the point of such a name; 0: it is none. */
static uint64_t number_of(const struct served_files *files, const char *name)
{
	const size_t len = strlen(files->name);
	if (strncmp(name, files->name, len) != 0 || name[len] != '.') {
		return 0;
	}
	const char *digits = name + len + 1;
	const size_t count = strspn(digits, "0123456789");
	const bool is_number = count > 0 && count <= NUMBER_DIGITS_MAX && digits[count] == '\0' &&
			       digits[0] != '0';
	return is_number ? strtoull(digits, NULL, 10) : 0;
}

enum { FULL_NAME_BYTES = SERVED_NAME_BYTES + NUMBER_DIGITS_MAX + 4 };

static const char *name_of(const struct served_files *files, uint64_t number,
	char out[FULL_NAME_BYTES])
{
	(void)snprintf(out, FULL_NAME_BYTES, "%s.%" PRIu64, files->name, number);
	return out;
}

static enum status keep(struct served_files *files, uint64_t number, uint64_t bytes)
{
	if (files->count == files->cap) {
		const size_t cap = files->cap > 0 ? 2 * files->cap : 16;
		struct served_file *kept = reallocarray(files->kept, cap, sizeof *kept);
		if (kept == NULL) {
			return STATUS_NO_MEMORY;
		}
		files->kept = kept;
		files->cap = cap;
	}
	files->kept[files->count++] = (struct served_file){number, bytes};
	files->kept_bytes += bytes;
	files->last = number > files->last ? number : files->last;
	return STATUS_OK;
}

static int by_number(const void *a, const void *b)
{
	const struct served_file *left = a;
	const struct served_file *right = b;
	return (left->number > right->number) - (left->number < right->number);
}

static enum status find_files(struct served_files *files, const char *path, struct error *err)
{
	const int fd = openat(files->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
	enum status status = STATUS_OK;
	if (list == NULL) {
		status = failed(err, "list", path);
		if (fd >= 0) {
			(void)close(fd);
		}
		return status;
	}
	for (struct dirent *each = readdir(list); each != NULL && status == STATUS_OK;
		each = readdir(list)) {
		struct stat info;
		const uint64_t number = number_of(files, each->d_name);
		if (number != 0 &&
			fstatat(files->folder, each->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISREG(info.st_mode)) {
			status = keep(files, number, (uint64_t)info.st_size);
		}
	}
	(void)closedir(list);
	if (status == STATUS_OK && files->count > 0) {
		qsort(files->kept, files->count, sizeof *files->kept, by_number);
	}
	return status == STATUS_OK ? status : error_set(err, status, "served file: no memory");
}

enum status served_files_open(const char *file, struct served_files *out, struct error *err)
{
	char folder[PATH_MAX];
	struct served_files files = {.folder = -1, .fd = -1};
	enum status status = split(file, folder, files.name, err);
	if (status != STATUS_OK) {
		return status;
	}
	files.folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (files.folder < 0) {
		return failed(err, "folder", folder);
	}
	if (flock(files.folder, LOCK_EX | LOCK_NB) != 0) {
		status = error_set(err, STATUS_CONFLICT,
			"served file: another daemon writes its served rows into '%s'", folder);
	}
	if (status == STATUS_OK) {
		status = find_files(&files, folder, err);
	}
	if (status != STATUS_OK) {
		served_files_close(&files);
		return status;
	}
	*out = files;
	return STATUS_OK;
}

void served_files_close(struct served_files *files)
{
	if (files->fd >= 0) {
		(void)close(files->fd);
	}
	if (files->folder >= 0) {
		(void)close(files->folder);
	}
	free(files->kept);
	*files = (struct served_files){.folder = -1, .fd = -1};
}

/* ---- writing ---- */

/* Ends the file that is written, so that the next frame begins another one. */
static enum status end_file(struct served_files *files)
{
	if (files->fd < 0) {
		return STATUS_OK;
	}
	const enum status status = keep(files, files->last, files->at);
	if (status == STATUS_OK) {
		(void)close(files->fd);
		files->fd = -1;
		files->at = 0;
	}
	return status;
}

/* Lets go of a file that somebody has removed: what is written into it would be gone. */
static void leave_removed(struct served_files *files)
{
	if (files->fd >= 0 && !file_is_named(files->fd)) {
		(void)close(files->fd);
		files->fd = -1;
		files->at = 0;
	}
}

/* Removes the oldest files until those that are left, and `more` bytes, have at most `most`. */
static enum status make_room(struct served_files *files, uint64_t more, uint64_t most,
	struct error *err)
{
	enum status status = STATUS_OK;
	size_t removed = 0;
	while (status == STATUS_OK && removed < files->count && files->kept_bytes + more > most) {
		char name[FULL_NAME_BYTES];
		(void)name_of(files, files->kept[removed].number, name);
		if (unlinkat(files->folder, name, 0) == 0 || errno == ENOENT) {
			files->kept_bytes -= files->kept[removed++].bytes;
		} else {
			status = failed(err, "remove", name);
		}
	}
	files->count -= removed;
	if (removed > 0) {
		memmove(files->kept, files->kept + removed, files->count * sizeof *files->kept);
	}
	return status;
}

static enum status not_written(enum status status, const char *name, struct error *err)
{
	return error_set(err, status, "served file: write '%s': %s", name,
		status == STATUS_DISK_FULL ? "no room on the disk" : "input or output error");
}

static enum status begin_file(struct served_files *files, int64_t now_ms, struct error *err)
{
	char name[FULL_NAME_BYTES];
	uint8_t head[SERVED_HEAD_BYTES];
	(void)name_of(files, files->last + 1, name);
	const int fd = openat(files->folder, name,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
	if (fd < 0) {
		/* What somebody else has put there stays; the next number may be free. */
		files->last += errno == EEXIST ? 1 : 0;
		return failed(err, "create", name);
	}
	served_write_head(head, now_ms);
	const enum status status = file_write_at(fd, head, sizeof head, 0);
	if (status != STATUS_OK) {
		(void)unlinkat(files->folder, name, 0);
		(void)close(fd);
		return not_written(status, name, err);
	}
	files->last++;
	files->fd = fd;
	files->at = sizeof head;
	return STATUS_OK;
}

enum status served_files_append(struct served_files *files, const uint8_t *frame, size_t len,
	uint64_t most, int64_t now_ms, struct error *err)
{
	const uint64_t most_of_one = most / SERVED_PARTS;
	char name[FULL_NAME_BYTES];
	enum status status = STATUS_OK;
	if (len > most_of_one - SERVED_HEAD_BYTES) {
		return error_set(err, STATUS_TOO_LARGE, "served file: a fetch of %zu bytes", len);
	}
	leave_removed(files);
	if (files->fd >= 0 && files->at + len > most_of_one) {
		status = end_file(files);
	}
	if (status == STATUS_OK && files->fd < 0) {
		status = make_room(files, most_of_one, most, err);
		if (status == STATUS_OK) {
			status = begin_file(files, now_ms, err);
		}
	}
	if (status != STATUS_OK) {
		return status;
	}
	status = file_write_at(files->fd, frame, len, files->at);
	if (status != STATUS_OK) {
		/* What was written of the frame would be in the way of the next one, if that is shorter. */
		if (ftruncate(files->fd, (off_t)files->at) != 0) {
			(void)end_file(files);
		}
		return not_written(status, name_of(files, files->last, name), err);
	}
	files->at += len;
	return STATUS_OK;
}
