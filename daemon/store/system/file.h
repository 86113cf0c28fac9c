/* file.h - files that survive: whole writes, synced folders, replacement in one step; and the one
 * door by which files of the data folder are opened and removed.
 *
 * A path that lies in an open data folder (folder.h) is taken from the folder's descriptor, name by
 * name, and no name on the way may be a link: ELOOP. A path that lies in none is taken as it is, and
 * only its last name may be no link.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_STORE_SYSTEM_FILE_H
#define DAEMON_STORE_SYSTEM_FILE_H

#include "schema/status.h"

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* open(2) with O_NOFOLLOW and O_CLOEXEC: a descriptor, or -1 and errno. */
int file_open(const char *path, int flags, mode_t mode);

/* opendir(3), unlink(2), rmdir(2) and access(2) of F_OK. */
DIR *file_list(const char *folder);
int file_remove(const char *path);
int file_remove_empty(const char *folder);
bool file_exists(const char *path);

/* link(2) and rename(2). Both names may lie in different open folders. */
int file_link(const char *from, const char *to);
int file_rename(const char *from, const char *to);

/* strerror(3), but that a link, which the daemon opens nowhere, is called so, and that a want of
 * descriptors has its remedy with it. */
const char *file_reason(int error_number);

/* A path by which a library that takes paths opens the very file that `fd` is, whatever its name
 * leads to by then. */
enum { FILE_PROC_BYTES = 32 };
void file_proc_path(char out[FILE_PROC_BYTES], int fd);

/* Writes all of `data` at `offset`. Errors: DISK_FULL, IO. */
enum status file_write_at(int fd, const void *data, size_t len, uint64_t offset);

/* Finds out why a write of `len` bytes behind the end of a file was cut short, where a library does
 * not tell: DISK_FULL if there is no room for them, else IO. */
enum status file_why_short(int fd, uint64_t len);

/* How many bytes of the file system that has this folder are free for this process. Errors: IO. */
enum status file_free_bytes(const char *folder, uint64_t *out);

/* Has an open file still a name? Without one it is gone when it is closed, synced or not. */
bool file_is_named(int fd);

/* Reads exactly `len` bytes. Errors: IO; CORRUPT  the file ends before. */
enum status file_read_at(int fd, void *data, size_t len, uint64_t offset);

/* Syncs the entries of a folder, so that a new or removed file is there, or gone, for good. */
enum status file_sync_folder(const char *folder, struct error *err);

/* Makes folder/name hold `data`, all of it or nothing of it: the data is written to a file beside
 * it and synced, that file is renamed, and the folder is synced. */
enum status file_replace(const char *folder, const char *name, const void *data, size_t len,
	struct error *err);

/* Reads the whole of a file into memory that the caller frees. Errors: TOO_LARGE  it is larger than
 * `limit`; NOT_FOUND, IO, NO_MEMORY. */
enum status file_read_all(const char *path, size_t limit, uint8_t **data, size_t *len,
	struct error *err);

/* Makes a folder unless it is there, and syncs its parent in any case. One that is there must be ours
 * (folder_check). */
enum status file_make_folder(const char *path, struct error *err);

/* Removes the files of a folder whose names begin with `prefix`. */
enum status file_remove_prefixed(const char *folder, const char *prefix, struct error *err);

/* Removes a folder and the files in it. One that is not there is no error. */
enum status file_remove_folder(const char *path, struct error *err);

/* Writes folder/name into `out`, which has PATH_MAX bytes. Errors: TOO_LARGE. */
enum status file_path(char *out, const char *folder, const char *name, struct error *err);

#endif
