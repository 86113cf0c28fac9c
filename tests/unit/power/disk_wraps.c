/* disk_wraps.c - stands in the place of the calls that change files; the linker sends them here. */
#include "tests/unit/power/disk_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

int __real_openat64(int at, const char *path, int flags, ...);
ssize_t __real_pwrite64(int fd, const void *data, size_t len, off_t at);
ssize_t __real_pwritev64(int fd, const struct iovec *parts, int count, off_t at);
ssize_t __real_writev(int fd, const struct iovec *parts, int count);
int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __real_ftruncate64(int fd, off_t size);
int __real_fallocate64(int fd, int mode, off_t at, off_t len);
int __real_posix_fallocate64(int fd, off_t at, off_t len);
int __real_mkdirat(int at, const char *path, mode_t mode);
int __real_unlinkat(int at, const char *path, int flags);
int __real_renameat(int from, const char *path, int to, const char *new_path);
void *__real_mmap64(void *at, size_t len, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t len);

int __wrap_open(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_openat64(int at, const char *path, int flags, ...);
ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t len, off_t at);
ssize_t __wrap_pwritev64(int fd, const struct iovec *parts, int count, off_t at);
ssize_t __wrap_writev(int fd, const struct iovec *parts, int count);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_ftruncate(int fd, off_t size);
int __wrap_ftruncate64(int fd, off_t size);
int __wrap_fallocate64(int fd, int mode, off_t at, off_t len);
int __wrap_posix_fallocate64(int fd, off_t at, off_t len);
int __wrap_mkdirat(int at, const char *path, mode_t mode);
int __wrap_unlinkat(int at, const char *path, int flags);
int __wrap_renameat(int from, const char *path, int to, const char *new_path);
void *__wrap_mmap64(void *at, size_t len, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t len);
ssize_t __wrap_getrandom(void *data, size_t len, unsigned flags);

/* ---- open ---- */

static int open_file(int at, const char *path, int flags, mode_t mode)
{
	uint32_t folder = 0;
	uint32_t file = 0;
	const char *name = path;
	struct stat about;
	const bool creates = (flags & O_CREAT) != 0 && fstatat(at, path, &about, 0) != 0 &&
			     disk_calls_find_folder(at, path, &folder, &name);
	const bool cuts = !creates && (flags & O_TRUNC) != 0 && fstatat(at, path, &about, 0) == 0 &&
			  disk_calls_find(&about, &file);
	if (!creates && !cuts) {
		return __real_openat64(at, path, flags, mode);
	}
	const bool is_last = disk_calls_enter();
	int fd = creates && disk_calls_fail(DISK_NO_SPACE, disk_kind_of(name))
			 ? -1
			 : __real_openat64(at, path, flags, mode);
	if (fd >= 0 && creates && fstat(fd, &about) == 0) {
		disk_calls_note_create(folder, name, &about);
	} else if (fd >= 0) {
		disk_calls_note_size(file, 0);
	}
	const int number = errno;
	disk_calls_leave(is_last);
	errno = number;
	return fd;
}

static mode_t mode_of(int flags, va_list *arguments)
{
	return (flags & O_CREAT) != 0 ? va_arg(*arguments, mode_t) : 0;
}

int __wrap_open(const char *path, int flags, ...)
{
	va_list arguments;
	va_start(arguments, flags);
	const mode_t mode = mode_of(flags, &arguments);
	va_end(arguments);
	return open_file(AT_FDCWD, path, flags, mode);
}

int __wrap_open64(const char *path, int flags, ...)
{
	va_list arguments;
	va_start(arguments, flags);
	const mode_t mode = mode_of(flags, &arguments);
	va_end(arguments);
	return open_file(AT_FDCWD, path, flags, mode);
}

int __wrap_openat64(int at, const char *path, int flags, ...)
{
	va_list arguments;
	va_start(arguments, flags);
	const mode_t mode = mode_of(flags, &arguments);
	va_end(arguments);
	return open_file(at, path, flags, mode);
}

/* ---- write ---- */

static bool is_synced(int fd)
{
	return (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
}

/* Writes all parts at `at`, as far as nothing fails. */
static ssize_t write_parts(uint32_t file, int fd, const struct iovec *parts, int count, off_t at)
{
	size_t len = 0;
	for (int i = 0; i < count; i++) {
		len += parts[i].iov_len;
	}
	const bool is_last = is_synced(fd) ? disk_calls_enter_sync(file) : disk_calls_enter();
	ssize_t written = -1;
	const enum disk_kind kind = disk_calls_kind(file);
	if (!disk_calls_fail(DISK_NO_SPACE, kind) && !disk_calls_fail(DISK_WRITE_FAILS, kind)) {
		len = disk_calls_shorten(len, kind);
		size_t left = len;
		off_t to = at;
		for (int i = 0; i < count && left > 0; i++) {
			const size_t some = parts[i].iov_len < left ? parts[i].iov_len : left;
			if (__real_pwrite64(fd, parts[i].iov_base, some, to) != (ssize_t)some) {
				abort(); /* the real disk is full */
			}
			to += (off_t)some;
			left -= some;
		}
		disk_calls_note_write(file, parts, (size_t)count, (uint64_t)at, len,
			!is_last && is_synced(fd));
		written = (ssize_t)len;
	}
	const int number = errno;
	disk_calls_leave(is_last);
	errno = number;
	return written;
}

ssize_t __wrap_pwrite64(int fd, const void *data, size_t len, off_t at)
{
	uint32_t file;
	const struct iovec part = {.iov_base = (void *)data, .iov_len = len};
	return disk_calls_find_fd(fd, &file) ? write_parts(file, fd, &part, 1, at)
					     : __real_pwrite64(fd, data, len, at);
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t at)
{
	return __wrap_pwrite64(fd, data, len, at);
}

ssize_t __wrap_pwritev64(int fd, const struct iovec *parts, int count, off_t at)
{
	uint32_t file;
	return disk_calls_find_fd(fd, &file) ? write_parts(file, fd, parts, count, at)
					     : __real_pwritev64(fd, parts, count, at);
}

/* LMDB writes runs of pages so, where it has sought to. */
ssize_t __wrap_writev(int fd, const struct iovec *parts, int count)
{
	uint32_t file;
	if (!disk_calls_find_fd(fd, &file)) {
		return __real_writev(fd, parts, count);
	}
	const off_t at = lseek(fd, 0, SEEK_CUR);
	const ssize_t written = write_parts(file, fd, parts, count, at);
	if (written > 0) {
		(void)lseek(fd, at + written, SEEK_SET);
	}
	return written;
}

/* ---- sync ---- */

static int sync_file(uint32_t file)
{
	const bool is_last = disk_calls_enter_sync(file);
	const bool failed = disk_calls_fail(DISK_SYNC_FAILS, disk_calls_kind(file));
	if (failed || !is_last) {
		disk_calls_note_sync(file, failed);
	}
	disk_calls_leave(is_last);
	errno = failed ? EIO : errno;
	return failed ? -1 : 0;
}

int __wrap_fsync(int fd)
{
	uint32_t file;
	return disk_calls_find_fd(fd, &file) ? sync_file(file) : __real_fsync(fd);
}

int __wrap_fdatasync(int fd)
{
	uint32_t file;
	return disk_calls_find_fd(fd, &file) ? sync_file(file) : __real_fdatasync(fd);
}

/* ---- sizes ---- */

int __wrap_ftruncate64(int fd, off_t size)
{
	uint32_t file;
	if (!disk_calls_find_fd(fd, &file)) {
		return __real_ftruncate64(fd, size);
	}
	const bool is_last = disk_calls_enter();
	const int result = disk_calls_fail(DISK_WRITE_FAILS, disk_calls_kind(file))
				   ? -1
				   : __real_ftruncate64(fd, size);
	if (result == 0) {
		disk_calls_note_size(file, (uint64_t)size);
	}
	const int number = errno;
	disk_calls_leave(is_last);
	errno = number;
	return result;
}

int __wrap_ftruncate(int fd, off_t size)
{
	return __wrap_ftruncate64(fd, size);
}

/* Makes room; the errno, or 0. */
static int make_room(uint32_t file, int fd, int mode, off_t at, off_t len)
{
	struct stat before;
	struct stat after;
	const bool is_last = disk_calls_enter();
	int result = fstat(fd, &before);
	if (result == 0) {
		result = disk_calls_fail(DISK_NO_SPACE, disk_calls_kind(file))
				 ? -1
				 : __real_fallocate64(fd, mode, at, len);
	}
	if (result == 0 && fstat(fd, &after) == 0 && after.st_size != before.st_size) {
		disk_calls_note_size(file, (uint64_t)after.st_size);
	}
	const int number = errno;
	disk_calls_leave(is_last);
	errno = number;
	return result == 0 ? 0 : number;
}

int __wrap_fallocate64(int fd, int mode, off_t at, off_t len)
{
	uint32_t file;
	if (!disk_calls_find_fd(fd, &file)) {
		return __real_fallocate64(fd, mode, at, len);
	}
	return make_room(file, fd, mode, at, len) == 0 ? 0 : -1;
}

int __wrap_posix_fallocate64(int fd, off_t at, off_t len)
{
	uint32_t file;
	return disk_calls_find_fd(fd, &file) ? make_room(file, fd, 0, at, len)
					     : __real_posix_fallocate64(fd, at, len);
}

/* ---- names ---- */

int __wrap_mkdirat(int at, const char *path, mode_t mode)
{
	uint32_t folder;
	const char *name;
	struct stat about;
	if (!disk_calls_find_folder(at, path, &folder, &name)) {
		return __real_mkdirat(at, path, mode);
	}
	const bool is_last = disk_calls_enter();
	const int result =
		disk_calls_fail(DISK_NO_SPACE, DISK_FOLDER) ? -1 : __real_mkdirat(at, path, mode);
	if (result == 0 && fstatat(at, path, &about, AT_SYMLINK_NOFOLLOW) == 0) {
		disk_calls_note_create(folder, name, &about);
	}
	const int number = errno;
	disk_calls_leave(is_last);
	errno = number;
	return result;
}

int __wrap_unlinkat(int at, const char *path, int flags)
{
	uint32_t folder;
	uint32_t file;
	const char *name;
	struct stat about;
	if (!disk_calls_find_folder(at, path, &folder, &name) ||
		fstatat(at, path, &about, AT_SYMLINK_NOFOLLOW) != 0 ||
		!disk_calls_find(&about, &file)) {
		return __real_unlinkat(at, path, flags);
	}
	const bool is_last = disk_calls_enter();
	const int result = __real_unlinkat(at, path, flags);
	if (result == 0) {
		disk_calls_note_remove(folder, name, file);
	}
	const int number = errno;
	disk_calls_leave(is_last);
	errno = number;
	return result;
}

int __wrap_renameat(int from, const char *path, int to, const char *new_path)
{
	uint32_t folder;
	uint32_t new_folder;
	uint32_t file;
	const char *name;
	const char *new_name;
	struct stat about;
	if (!disk_calls_find_folder(from, path, &folder, &name) ||
		!disk_calls_find_folder(to, new_path, &new_folder, &new_name) ||
		fstatat(from, path, &about, AT_SYMLINK_NOFOLLOW) != 0 ||
		!disk_calls_find(&about, &file)) {
		return __real_renameat(from, path, to, new_path);
	}
	const bool is_last = disk_calls_enter();
	const int result = __real_renameat(from, path, to, new_path);
	if (result == 0) {
		disk_calls_note_rename(folder, name, file, new_folder, new_name);
	}
	const int number = errno;
	disk_calls_leave(is_last);
	errno = number;
	return result;
}

/* ---- maps ---- */

void *__wrap_mmap64(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
	uint32_t file;
	const bool writes = (protection & PROT_WRITE) != 0 && (flags & MAP_SHARED) != 0 &&
			    fd >= 0 && offset == 0 && disk_calls_find_fd(fd, &file);
	void *map = __real_mmap64(at, len, protection, flags, fd, offset);
	if (writes && map != MAP_FAILED) {
		const bool is_last = disk_calls_enter();
		disk_calls_map(map, len, file);
		disk_calls_leave(is_last);
	}
	return map;
}

int __wrap_munmap(void *at, size_t len)
{
	if (disk_calls_is_mapped(at)) {
		const bool is_last = disk_calls_enter();
		disk_calls_unmap(at);
		disk_calls_leave(is_last);
	}
	return __real_munmap(at, len);
}

/* ---- what a seed repeats ---- */

/* Salts are the same in each run of a seed. */
ssize_t __wrap_getrandom(void *data, size_t len, unsigned flags)
{
	static _Atomic uint64_t drawn;
	uint64_t number = 0;
	(void)flags;
	for (size_t i = 0; i < len; i++) {
		number = i % 8 == 0 ? disk_mix(atomic_fetch_add(&drawn, 1), disk_calls_salt())
				    : number;
		((uint8_t *)data)[i] = (uint8_t)(number >> i % 8 * 8);
	}
	return (ssize_t)len;
}
