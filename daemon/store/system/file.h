/* file.h - files that survive: whole writes, synced folders, replacement in one step.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_STORE_SYSTEM_FILE_H
#define DAEMON_STORE_SYSTEM_FILE_H

#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

/* Writes all of `data` at `offset`. Errors: DISK_FULL, IO. */
enum status file_write_at(int fd, const void *data, size_t len, uint64_t offset);

/* Why a write of `len` bytes behind the end of a file was cut short, for a library that does not
 * tell: DISK_FULL if there is no room for them, else IO. */
enum status file_why_short(int fd, uint64_t len);

/* Reads exactly `len` bytes. Errors: IO; CORRUPT  the file ends before. */
enum status file_read_at(int fd, void *data, size_t len, uint64_t offset);

/* Syncs the entries of a folder, so that a new or removed file is there, or gone, for good. */
enum status file_sync_folder(const char *folder, struct error *err);

/* Makes folder/name hold `data`, wholly or not at all: written beside it, synced, renamed,
 * folder synced. */
enum status file_replace(const char *folder, const char *name, const void *data, size_t len,
	struct error *err);

/* The whole of a file, malloc'ed; larger than `limit` is TOO_LARGE. Errors: NOT_FOUND, IO,
 * NO_MEMORY. */
enum status file_read_all(const char *path, size_t limit, uint8_t **data, size_t *len,
	struct error *err);

/* Makes a folder unless it is there, and syncs its parent. */
enum status file_make_folder(const char *path, struct error *err);

/* Removes the files of a folder whose names begin with `prefix`. */
enum status file_remove_prefixed(const char *folder, const char *prefix, struct error *err);

/* Removes a folder and the files in it; not found is fine. */
enum status file_remove_folder(const char *path, struct error *err);

/* folder/name in `out`, of PATH_MAX bytes. Errors: TOO_LARGE. */
enum status file_path(char *out, const char *folder, const char *name, struct error *err);

#endif
