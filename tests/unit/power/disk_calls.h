/* disk_calls.h - what the wrapped calls of disk_wraps.c do with the disk: number a call, let it fail, note it.
 *
 * Threads: disk_calls_enter takes the disk's lock and disk_calls_leave gives it back; what notes and what
 * fails is for in between. The finders may be called at any time.
 */
#ifndef TESTS_UNIT_POWER_DISK_CALLS_H
#define TESTS_UNIT_POWER_DISK_CALLS_H

#include "tests/unit/power/disk.h"

struct iovec;
struct stat;

/* From now on the calls of this process are noted on the disk. */
void disk_calls_begin(struct disk *wanted);

/* Whether it is a file of the disk, and which. */
bool disk_calls_find(const struct stat *about, uint32_t *file);
bool disk_calls_find_fd(int fd, uint32_t *file);
/* Whether the folder that a path's last name stands in is one of the disk. `name`: borrowed from the path. */
bool disk_calls_find_folder(int at, const char *path, uint32_t *folder, const char **name);

/* Begins a call; true: the power goes while it is under way. */
bool disk_calls_enter(void);
bool disk_calls_enter_sync(uint32_t file); /* of a sync of that file */
void disk_calls_leave(bool is_last);

enum disk_kind disk_calls_kind(uint32_t file);
/* Whether the call, which is of such a file, fails so; then errno says why. */
bool disk_calls_fail(enum disk_fault fault, enum disk_kind kind);
/* How many of so many bytes are written. */
size_t disk_calls_shorten(size_t len, enum disk_kind kind);

void disk_calls_note_write(uint32_t file, const struct iovec *parts, size_t count, uint64_t at,
	size_t len, bool is_synced);
void disk_calls_note_size(uint32_t file, uint64_t size);
void disk_calls_note_sync(uint32_t file, bool failed);
void disk_calls_note_create(uint32_t folder, const char *name, const struct stat *about);
void disk_calls_note_remove(uint32_t folder, const char *name, uint32_t file);
void disk_calls_note_rename(uint32_t from, const char *name, uint32_t file, uint32_t to,
	const char *new_name);

/* A map through which the file may be written. */
void disk_calls_map(const void *data, size_t len, uint32_t file);
bool disk_calls_is_mapped(const void *data);
void disk_calls_unmap(const void *data);

/* What random numbers follow from. */
uint64_t disk_calls_salt(void);

#endif
