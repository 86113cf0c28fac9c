/* file.c - files that survive: whole writes, synced folders, replacement in one step. */
#include "daemon/store/system/file.h"

#include "daemon/store/system/folder.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static enum status fail(struct error *err, const char *what, const char *path)
{
	const int number = errno;
	return error_set(err, status_of_errno(number), "%s '%s': %s", what, path,
		file_reason(number));
}

enum status file_write_at(int fd, const void *data, size_t len, uint64_t offset)
{
	const uint8_t *from = data;
	assert(fd >= 0);
	while (len > 0) {
		const ssize_t n = pwrite(fd, from, len, (off_t)offset);
		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return n == 0 ? STATUS_IO : status_of_errno(errno);
		}
		from += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return STATUS_OK;
}

enum status file_why_short(int fd, uint64_t len)
{
	struct stat about;
	assert(len > 0); /* the system refuses to find room for nothing */
	if (fstat(fd, &about) != 0) {
		return STATUS_IO;
	}
	if (fallocate(fd, 0, about.st_size, (off_t)len) != 0) {
		return status_of_errno(errno);
	}
	return ftruncate(fd, about.st_size) == 0 ? STATUS_IO : status_of_errno(errno);
}

enum status file_free_bytes(const char *folder, uint64_t *out)
{
	struct statvfs about;
	if (statvfs(folder, &about) != 0) {
		return status_of_errno(errno);
	}
	*out = (uint64_t)about.f_bavail * about.f_frsize;
	return STATUS_OK;
}

bool file_is_named(int fd)
{
	struct stat about;
	return fstat(fd, &about) == 0 && about.st_nlink > 0;
}

enum status file_read_at(int fd, void *data, size_t len, uint64_t offset)
{
	uint8_t *to = data;
	assert(fd >= 0);
	while (len > 0) {
		const ssize_t n = pread(fd, to, len, (off_t)offset);
		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n < 0) {
			return STATUS_IO;
		}
		if (n == 0) {
			return STATUS_CORRUPT;
		}
		to += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return STATUS_OK;
}

enum status file_path(char *out, const char *folder, const char *name, struct error *err)
{
	const int n = snprintf(out, PATH_MAX, "%s/%s", folder, name);
	if (n < 0 || n >= PATH_MAX) {
		return error_set(err, STATUS_TOO_LARGE, "path '%.100s/%s': over %d bytes", folder,
			name, PATH_MAX);
	}
	return STATUS_OK;
}

enum status file_sync_folder(const char *folder, struct error *err)
{
	const int fd = file_open(folder, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0) {
		return fail(err, "open folder", folder);
	}
	if (fsync(fd) != 0) {
		const enum status status = fail(err, "sync folder", folder);
		close(fd);
		return status;
	}
	close(fd);
	return STATUS_OK;
}

static enum status write_and_sync(int folder, const char *name, const void *data, size_t len,
	struct error *err)
{
	const int fd =
		openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0) {
		return fail(err, "create", name);
	}
	enum status status = file_write_at(fd, data, len, 0);
	if (status != STATUS_OK || fsync(fd) != 0) {
		status = fail(err, "write", name);
	}
	close(fd);
	return status;
}

enum status file_replace(const char *folder, const char *name, const void *data, size_t len,
	struct error *err)
{
	char beside[NAME_MAX];
	const int len_beside = snprintf(beside, sizeof beside, "%s.new", name);
	assert(len_beside > 0);
	assert((size_t)len_beside < sizeof beside); /* else `name` itself would be replaced */
	const int fd = file_open(folder, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0) {
		return fail(err, "open folder", folder);
	}
	enum status status = write_and_sync(fd, beside, data, len, err);
	if (status == STATUS_OK && renameat(fd, beside, fd, name) != 0) {
		status = fail(err, "rename to", name);
	}
	if (status == STATUS_OK && fsync(fd) != 0) {
		status = fail(err, "sync folder", folder);
	}
	close(fd);
	return status;
}

enum status file_read_all(const char *path, size_t limit, uint8_t **data, size_t *len,
	struct error *err)
{
	/* Whoever may write there may have put a pipe in its place, and to open one would wait for a writer. */
	const int fd = file_open(path, O_RDONLY | O_NONBLOCK, 0);
	struct stat about;
	if (fd >= 0 && fstat(fd, &about) == 0 && !S_ISREG(about.st_mode)) {
		close(fd);
		return error_set(err, STATUS_IO, "open '%s': it is no file", path);
	}
	if (fd < 0 || fstat(fd, &about) != 0) {
		const enum status status = fail(err, "open", path);
		if (fd >= 0) {
			close(fd);
		}
		return status;
	}
	if (about.st_size < 0 || (size_t)about.st_size > limit) {
		close(fd);
		return error_set(err, STATUS_TOO_LARGE, "'%s': %lld bytes, at most %zu expected",
			path, (long long)about.st_size, limit);
	}
	const size_t size = (size_t)about.st_size;
	uint8_t *bytes = malloc(size + 1);
	enum status status = bytes == NULL ? STATUS_NO_MEMORY : file_read_at(fd, bytes, size, 0);
	close(fd);
	if (status != STATUS_OK) {
		free(bytes);
		return error_set(err, status, "read '%s': %s", path, status_name(status));
	}
	*data = bytes;
	*len = size;
	return STATUS_OK;
}

enum status file_remove_prefixed(const char *folder, const char *prefix, struct error *err)
{
	DIR *dir = file_list(folder);
	if (dir == NULL) {
		return errno == ENOENT ? STATUS_OK : fail(err, "open folder", folder);
	}
	enum status status = STATUS_OK;
	const struct dirent *entry;
	while (status == STATUS_OK && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
			strncmp(entry->d_name, prefix, strlen(prefix)) != 0) {
			continue;
		}
		if (unlinkat(dirfd(dir), entry->d_name, 0) != 0 && errno != ENOENT) {
			status = fail(err, "remove a file of", folder);
		}
	}
	closedir(dir);
	return status;
}

enum status file_remove_folder(const char *path, struct error *err)
{
	const enum status status = file_remove_prefixed(path, "", err);
	if (status == STATUS_OK && file_remove_empty(path) != 0 && errno != ENOENT) {
		return fail(err, "remove folder", path);
	}
	return status;
}
