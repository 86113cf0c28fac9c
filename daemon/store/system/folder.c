/* folder.c - checks the data folder and holds it; knows which data folders are open. */
#include "daemon/store/system/folder.h"

#include "daemon/store/system/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* How often, and after which pauses, the lock of the folder is tried: for half a second. */
enum { LOCK_TRIES = 50, LOCK_PAUSE_NS = 10 * 1000 * 1000 };

struct folder {
	struct folder *next;
	int fd;
	int lock_fd;
	struct folder_rights rights;
	size_t path_len;
	char path[];
};

/* A process has one data folder; tests have several. Opening a file is no hot path, so a lock
 * guards the list. */
static struct folder *open_folders;
static pthread_mutex_t open_folders_lock = PTHREAD_MUTEX_INITIALIZER;

/* A child that reads the catalog (catalog_check.c) opens files too: nobody else holds the lock at the moment
 * of its fork. */
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void before_fork(void)
{
	(void)pthread_mutex_lock(&open_folders_lock);
}

static void after_fork(void)
{
	(void)pthread_mutex_unlock(&open_folders_lock);
}

static void prepare_for_forks(void)
{
	(void)pthread_atfork(before_fork, after_fork, after_fork);
}

int folder_find(const char *path, const char **rest, struct folder_rights *rights)
{
	int fd = AT_FDCWD;
	size_t longest = 0;
	struct folder_rights found = {.reads_only = false};
	*rest = path;
	(void)pthread_mutex_lock(&open_folders_lock);
	for (const struct folder *at = open_folders; at != NULL; at = at->next) {
		const char end =
			strncmp(path, at->path, at->path_len) == 0 ? path[at->path_len] : 'x';
		if ((end == '\0' || end == '/') && at->path_len > longest) {
			longest = at->path_len;
			fd = at->fd;
			found = at->rights;
			*rest = end == '\0' ? "." : path + at->path_len + 1;
		}
	}
	(void)pthread_mutex_unlock(&open_folders_lock);
	if (rights != NULL) {
		*rights = found;
	}
	return fd;
}

static void list_folder(struct folder *folder)
{
	(void)pthread_once(&fork_once, prepare_for_forks);
	(void)pthread_mutex_lock(&open_folders_lock);
	folder->next = open_folders;
	open_folders = folder;
	(void)pthread_mutex_unlock(&open_folders_lock);
}

static void unlist_folder(const struct folder *folder)
{
	(void)pthread_mutex_lock(&open_folders_lock);
	struct folder **at = &open_folders;
	while (*at != NULL && *at != folder) {
		at = &(*at)->next;
	}
	if (*at != NULL) {
		*at = folder->next;
	}
	(void)pthread_mutex_unlock(&open_folders_lock);
}

/* ---- check ---- */

enum status folder_check(int fd, const char *path, struct error *err)
{
	struct stat about;
	const unsigned user = (unsigned)geteuid();
	if (fstat(fd, &about) != 0) {
		return error_set(err, STATUS_IO, "look at folder '%s': %s", path, strerror(errno));
	}
	if (about.st_uid != user) {
		return error_set(err, STATUS_IO,
			"folder '%s': it belongs to user %u and the daemon runs as user %u: run it as "
			"that user, or choose another folder, or: chown -R %u '%s'",
			path, (unsigned)about.st_uid, user, user, path);
	}
	if ((about.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		return error_set(err, STATUS_IO,
			"folder '%s': others than its owner may write into it (mode %04o): chmod go-w '%s'",
			path, (unsigned)(about.st_mode & 07777), path);
	}
	return STATUS_OK;
}

static enum status open_checked(struct folder *folder, struct error *err)
{
	/* Base files and the catalog are opened by LMDB, which takes a path (file_proc_path). */
	if (access("/proc/self/fd", X_OK) != 0) {
		return error_set(err, STATUS_IO, "'/proc/self/fd': %s: mount /proc",
			strerror(errno));
	}
	folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder->fd < 0) {
		return error_set(err, status_of_errno(errno), "open folder '%s': %s", folder->path,
			strerror(errno));
	}
	return folder_check(folder->fd, folder->path, err);
}

bool folder_can_be_taken(const struct folder *folder)
{
	struct stat about;
	return fstatat(folder->fd, "..", &about, 0) == 0 && (about.st_mode & S_IWOTH) != 0 &&
	       (about.st_mode & S_ISVTX) == 0;
}

bool folder_is_in_place(const struct folder *folder)
{
	struct stat ours;
	struct stat found;
	return fstat(folder->fd, &ours) == 0 && lstat(folder->path, &found) == 0 &&
	       ours.st_dev == found.st_dev && ours.st_ino == found.st_ino;
}

/* ---- lock ---- */

/* Opens `lock` for nobody but the owner: whoever may open it could hold it, and so keep the daemon
 * from starting. */
static enum status open_lock(struct folder *folder, struct error *err)
{
	struct stat about;
	folder->lock_fd = openat(folder->fd, "lock",
		O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (folder->lock_fd < 0 || fstat(folder->lock_fd, &about) != 0) {
		return error_set(err, status_of_errno(errno), "open '%s/lock': %s", folder->path,
			file_reason(errno));
	}
	if (!S_ISREG(about.st_mode) || about.st_nlink != 1 || about.st_uid != geteuid()) {
		return error_set(err, STATUS_IO,
			"'%s/lock': it is no file of the daemon's own, or has another name too: remove it",
			folder->path);
	}
	if ((about.st_mode & 07777) != 0600 && fchmod(folder->lock_fd, 0600) != 0) {
		return error_set(err, STATUS_IO, "chmod 0600 '%s/lock': %s", folder->path,
			strerror(errno));
	}
	return STATUS_OK;
}

static enum status take_lock(struct folder *folder, struct error *err)
{
	char pid[32] = {0};
	/* Shortly after a daemon was killed, the process that its catalog_check has forked may still
	 * hold the lock. */
	const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
	int locked = flock(folder->lock_fd, LOCK_EX | LOCK_NB);
	for (unsigned i = 0; locked != 0 && i < LOCK_TRIES; i++) {
		(void)nanosleep(&pause, NULL);
		locked = flock(folder->lock_fd, LOCK_EX | LOCK_NB);
	}
	if (locked != 0) {
		(void)pread(folder->lock_fd, pid, sizeof pid - 1, 0);
		pid[strcspn(pid, "\n")] = '\0';
		return error_set(err, STATUS_BUSY,
			"data folder '%s': in use by another daemon (pid %s)", folder->path,
			pid[0] != '\0' ? pid : "unknown");
	}
	const int len = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
	if (ftruncate(folder->lock_fd, 0) != 0 ||
		file_write_at(folder->lock_fd, pid, (size_t)len, 0) != STATUS_OK) {
		return error_set(err, STATUS_IO, "write '%s/lock': %s", folder->path,
			strerror(errno));
	}
	return STATUS_OK;
}

/* ---- open ---- */

static struct folder *folder_new(const char *path)
{
	const size_t len = strlen(path);
	struct folder *folder = calloc(1, sizeof *folder + len + 1);
	assert(len == 1 || path[len - 1] != '/');
	if (folder != NULL) {
		folder->fd = folder->lock_fd = -1;
		folder->path_len = len;
		memcpy(folder->path, path, len + 1);
	}
	return folder;
}

static enum status open_other(const char *path, struct folder **out, struct error *err)
{
	struct folder *folder = folder_new(path);
	if (folder == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "open folder '%s'", path);
	}
	folder->fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder->fd < 0) {
		const int number = errno;
		struct stat about;
		const bool is_link = lstat(path, &about) == 0 && S_ISLNK(about.st_mode);
		folder_close(folder);
		return error_set(err, status_of_errno(number), "open folder '%s': %s", path,
			file_reason(is_link ? ELOOP : number));
	}
	*out = folder;
	return STATUS_OK;
}

enum status folder_open_other(const char *path, struct folder **out, struct error *err)
{
	const enum status status = open_other(path, out, err);
	if (status == STATUS_OK) {
		list_folder(*out);
	}
	return status;
}

enum status folder_open_reader(const char *path, struct folder **out, struct error *err)
{
	struct stat about;
	struct folder *folder = NULL;
	enum status status = open_other(path, &folder, err);
	if (status != STATUS_OK) {
		return status;
	}
	assert(folder != NULL);
	if (fstat(folder->fd, &about) != 0) {
		status =
			error_set(err, STATUS_IO, "look at folder '%s': %s", path, strerror(errno));
	} else if ((about.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		status = error_set(err, STATUS_IO,
			"folder '%s': others than its owner may write into it (mode %04o), so what is in "
			"it is not read: chmod go-w '%s'",
			path, (unsigned)(about.st_mode & 07777), path);
	}
	if (status != STATUS_OK) {
		folder_close(folder);
		return status;
	}
	folder->rights = (struct folder_rights){.reads_only = true, .owner = about.st_uid};
	list_folder(folder);
	*out = folder;
	return STATUS_OK;
}

bool folder_has(const struct folder *folder, int fd)
{
	struct stat own;
	struct stat at;
	struct stat above;
	int here = openat(fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool has = here < 0 || fstat(folder->fd, &own) != 0 || fstat(here, &at) != 0;
	while (!has) {
		has = at.st_dev == own.st_dev && at.st_ino == own.st_ino;
		const int up = has ? -1 : openat(here, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (has || up < 0 || fstat(up, &above) != 0) {
			has = true;
			if (up >= 0) {
				close(up);
			}
			break;
		}
		close(here);
		here = up;
		if (above.st_dev == at.st_dev && above.st_ino == at.st_ino) {
			break; /* the root is its own parent */
		}
		at = above;
	}
	if (here >= 0) {
		close(here);
	}
	return has;
}

enum status folder_open(const char *path, struct folder **out, struct error *err)
{
	struct folder *folder = folder_new(path);
	if (folder == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "open folder '%s'", path);
	}
	struct stat about;
	enum status status =
		lstat(path, &about) == 0 && S_ISLNK(about.st_mode)
			? error_set(err, STATUS_IO,
				  "folder '%s': it is a symbolic link: name the folder "
				  "that it leads to",
				  path)
			: file_make_folder(path, err);
	if (status == STATUS_OK) {
		status = open_checked(folder, err);
	}
	if (status == STATUS_OK) {
		status = open_lock(folder, err);
	}
	if (status == STATUS_OK) {
		status = take_lock(folder, err);
	}
	if (status != STATUS_OK) {
		folder_close(folder);
		return status;
	}
	list_folder(folder);
	*out = folder;
	return STATUS_OK;
}

void folder_close(struct folder *folder)
{
	if (folder == NULL) {
		return;
	}
	unlist_folder(folder);
	if (folder->lock_fd >= 0) {
		close(folder->lock_fd);
	}
	if (folder->fd >= 0) {
		close(folder->fd);
	}
	free(folder);
}
