/* beneath.c - the door by which files of the data folder are opened, made and removed.
 *
 * Names are opened one after the other rather than by openat2(2) with RESOLVE_BENEATH and
 * RESOLVE_NO_SYMLINKS: a path below the data folder has three names at most, and so it is the same
 * on kernels, and under filters of system calls, that lack openat2.
 */
#include "daemon/store/system/file.h"
#include "daemon/store/system/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where a path's last name is looked up. */
struct place {
	int fd;           /* a descriptor, or AT_FDCWD; -1: errno says why there is none */
	bool owned;       /* `fd` is to be closed */
	const char *name; /* borrowed from the path */
	struct folder_rights rights;
};

static void leave(const struct place *place)
{
	const int number = errno;
	if (place->owned) {
		close(place->fd);
	}
	errno = number;
}

/* Opens the folder `name` of `at`, whose length is given. */
static int enter(int at, const char *name, size_t len)
{
	char part[NAME_MAX + 1];
	struct stat about;
	if (len == 0 || len > NAME_MAX) {
		errno = len == 0 ? EINVAL : ENAMETOOLONG;
		return -1;
	}
	memcpy(part, name, len);
	part[len] = '\0';
	if (strcmp(part, "..") == 0) {
		errno = EINVAL;
		return -1;
	}
	const int fd = openat(at, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOTDIR) {
		const bool is_link = fstatat(at, part, &about, AT_SYMLINK_NOFOLLOW) == 0 &&
				     S_ISLNK(about.st_mode);
		errno = is_link ? ELOOP : ENOTDIR;
	}
	return fd;
}

static struct place find_place(const char *path)
{
	struct place place;
	const char *slash;
	place.fd = folder_find(path, &place.name, &place.rights);
	place.owned = false;
	if (place.fd == AT_FDCWD) {
		return place;
	}
	while (place.fd >= 0 && (slash = strchr(place.name, '/')) != NULL) {
		const int next = enter(place.fd, place.name, (size_t)(slash - place.name));
		leave(&place);
		place.fd = next;
		place.owned = next >= 0;
		place.name = slash + 1;
	}
	if (place.fd >= 0 && strcmp(place.name, "..") == 0) {
		errno = EINVAL;
		leave(&place);
		place = (struct place){.fd = -1};
	}
	return place;
}

/* The same where something is to be made, changed or removed. */
static struct place find_place_to_change(const char *path)
{
	struct place place = find_place(path);
	if (place.fd != -1 && place.rights.reads_only) {
		leave(&place);
		errno = EROFS;
		place = (struct place){.fd = -1};
	}
	return place;
}

/* Closes what is of another owner than the folder that is read. */
static int check_owner(const struct place *place, int fd)
{
	struct stat about;
	if (fd < 0 || !place->rights.reads_only ||
		(fstat(fd, &about) == 0 && about.st_uid == place->rights.owner)) {
		return fd;
	}
	close(fd);
	errno = EPERM;
	return -1;
}

int file_open(const char *path, int flags, mode_t mode)
{
	const bool changes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
	const struct place place = changes ? find_place_to_change(path) : find_place(path);
	struct stat about;
	if (place.fd == -1) {
		return -1;
	}
	int fd = openat(place.fd, place.name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0 && errno == ENOTDIR &&
		fstatat(place.fd, place.name, &about, AT_SYMLINK_NOFOLLOW) == 0 &&
		S_ISLNK(about.st_mode)) {
		errno = ELOOP; /* of a folder the system says ENOTDIR */
	}
	fd = check_owner(&place, fd);
	leave(&place);
	return fd;
}

DIR *file_list(const char *folder)
{
	const int fd = file_open(folder, O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (dir == NULL && fd >= 0) {
		const int number = errno;
		close(fd);
		errno = number;
	}
	return dir;
}

static int remove_at(const char *path, int flags)
{
	const struct place place = find_place_to_change(path);
	if (place.fd == -1) {
		return -1;
	}
	const int result = unlinkat(place.fd, place.name, flags);
	leave(&place);
	return result;
}

int file_remove(const char *path)
{
	return remove_at(path, 0);
}

int file_remove_empty(const char *folder)
{
	return remove_at(folder, AT_REMOVEDIR);
}

bool file_exists(const char *path)
{
	const struct place place = find_place(path);
	if (place.fd == -1) {
		return false;
	}
	const bool exists = faccessat(place.fd, place.name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	leave(&place);
	return exists;
}

int file_link(const char *from, const char *to)
{
	const struct place source = find_place_to_change(from);
	const struct place target = source.fd == -1 ? source : find_place_to_change(to);
	int result = -1;
	if (target.fd != -1) {
		result = linkat(source.fd, source.name, target.fd, target.name, 0);
		leave(&target);
	}
	if (source.fd != -1) {
		leave(&source);
	}
	return result;
}

int file_rename(const char *from, const char *to)
{
	const struct place source = find_place_to_change(from);
	const struct place target = source.fd == -1 ? source : find_place_to_change(to);
	int result = -1;
	if (target.fd != -1) {
		result = renameat(source.fd, source.name, target.fd, target.name);
		leave(&target);
	}
	if (source.fd != -1) {
		leave(&source);
	}
	return result;
}

const char *file_reason(int error_number)
{
	switch (error_number) {
	case ELOOP:
		return "a symbolic link stands there; put what it leads to in its place";
	case EPERM:
		return "Operation not permitted, or of another owner than the folder";
	case EMFILE:
		return "Too many open files; raise LimitNOFILE in the unit, or ulimit -n";
	default:
		return strerror(error_number);
	}
}

void file_proc_path(char out[FILE_PROC_BYTES], int fd)
{
	(void)snprintf(out, FILE_PROC_BYTES, "/proc/self/fd/%d", fd);
}

/* Whether nobody can have made a folder in the one that was not synced for this reason: it may not be
 * read, or its file system is read-only, or does not know of syncs. */
static bool is_of_others(int error_number)
{
	return error_number == EACCES || error_number == EROFS || error_number == EINVAL;
}

/* Syncs the folder that `path`, which was made now or before, stands in. Those above the data folder may
 * be links. */
static enum status sync_parent(const struct place *place, const char *path, bool made,
	struct error *err)
{
	char parent[PATH_MAX] = ".";
	const char *slash = strrchr(path, '/');
	if (place->fd == AT_FDCWD && slash != NULL) {
		const size_t len = slash == path ? 1 : (size_t)(slash - path);
		if (len >= sizeof parent) {
			return error_set(err, STATUS_TOO_LARGE, "path '%.100s': too long", path);
		}
		memcpy(parent, path, len);
		parent[len] = '\0';
	}
	const int fd = openat(place->fd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const bool synced = fd >= 0 && fsync(fd) == 0;
	const int number = errno;
	if (fd >= 0) {
		close(fd);
	}
	return synced || (!made && is_of_others(number))
		       ? STATUS_OK
		       : error_set(err, status_of_errno(number), "sync the folder of '%s': %s",
				 path, strerror(number));
}

static enum status check_made(const char *path, struct error *err)
{
	const int fd = file_open(path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0) {
		return error_set(err, status_of_errno(errno), "open folder '%s': %s", path,
			file_reason(errno));
	}
	const enum status status = folder_check(fd, path, err);
	close(fd);
	return status;
}

enum status file_make_folder(const char *path, struct error *err)
{
	const struct place place = find_place_to_change(path);
	const bool made = place.fd != -1 && mkdirat(place.fd, place.name, 0750) == 0;
	enum status status = STATUS_OK;
	if (!made) {
		status = errno == EEXIST
				 ? check_made(path, err)
				 : error_set(err, status_of_errno(errno), "make folder '%s': %s",
					   path, file_reason(errno));
	}
	if (status == STATUS_OK) {
		/* Also of one that was there: who made it may have ended before it was synced. */
		status = sync_parent(&place, path, made, err);
	}
	leave(&place);
	return status;
}
