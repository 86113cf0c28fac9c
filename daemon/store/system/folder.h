/* folder.h - the data folder is ours: it is checked, opened once, and locked.
 *
 * A folder that somebody else owns, or may write into, is refused: whoever may write there could put
 * a link in place of a file, and so have the daemon write elsewhere. Everything below the folder is
 * opened beneath its descriptor and through no link (file_open in file.h), so it does not matter
 * either who renames the folders above it while the daemon runs.
 *
 * Threads: one opens and closes; folder_find may be called by any meanwhile.
 */
#ifndef DAEMON_STORE_SYSTEM_FOLDER_H
#define DAEMON_STORE_SYSTEM_FOLDER_H

#include "schema/status.h"

#include <stdbool.h>
#include <sys/types.h>

struct folder;

/* Makes the folder if it is missing, checks it, and takes its lock, for half a second. Slashes at
 * the end of `path` are not allowed. Errors: IO  it is a link, of somebody else, or writable by
 * others; the text has the remedy; BUSY  another daemon has it; NOT_FOUND, DISK_FULL, NO_MEMORY. */
enum status folder_open(const char *path, struct folder **out, struct error *err);

/* Opens a folder that is there and need not be ours, so that paths below it are taken from its
 * descriptor too: where backups lie, or one that is only looked at. It is neither made nor checked nor
 * locked. Errors: NOT_FOUND; IO  it is a link, or no folder; NO_MEMORY. */
enum status folder_open_other(const char *path, struct folder **out, struct error *err);

/* Opens a data folder to read it alone, beside a daemon or without one: it need not be ours, and is not locked. Below
 * it nothing is made, changed or removed (EROFS), and a file of another owner than the folder's is not opened
 * (EPERM). Errors: IO  it is a link, no folder, or writable by others than its owner; NOT_FOUND, NO_MEMORY. */
enum status folder_open_reader(const char *path, struct folder **out, struct error *err);

/* Whether `fd`, a folder, is `folder` or lies anywhere below it, by what is above it on the disk and
 * not by its path. A folder whose parents cannot be looked at is taken for one that does. */
bool folder_has(const struct folder *folder, int fd);

/* Whether everybody may rename the folder, and so keep the next start from finding it. */
bool folder_can_be_taken(const struct folder *folder);

/* Is the folder where its path leads? If not, the next start would not find it. */
bool folder_is_in_place(const struct folder *folder);

/* NULL is fine. */
void folder_close(struct folder *folder);

/* Checks that an open folder below the data folder belongs to this process's user, and that nobody
 * else may write into it. Errors: IO  with the remedy. */
enum status folder_check(int fd, const char *path, struct error *err);

/* What may be done below an open folder. */
struct folder_rights {
	bool reads_only;
	uid_t owner; /* of all that is opened, if it is read only */
};

/* The descriptor of the open data folder that `path` lies in, and in *rest what follows the
 * folder's own path ("." for itself). AT_FDCWD when it lies in none; then *rest is `path`. *rights may be NULL. */
int folder_find(const char *path, const char **rest, struct folder_rights *rights);

#endif
