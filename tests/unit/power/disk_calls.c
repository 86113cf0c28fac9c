/* disk_calls.c - the calls that change files, noted in the journal of a disk; some fail, one is the last. */
#include "tests/unit/power/disk_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MAPS_MAX = 16 };

/* Maps through which a file may be written. */
static struct {
	const uint8_t *_Atomic data; /* NULL: none */
	size_t len;
	uint32_t file;
} maps[MAPS_MAX];

static struct disk *disk; /* NULL: calls are not noted */

void disk_calls_begin(struct disk *wanted)
{
	disk = wanted;
	disk->is_on = true;
}

static void take_lock(void)
{
	while (atomic_flag_test_and_set(&disk->lock)) {
		(void)sched_yield();
	}
}

/* ---- files ---- */

bool disk_calls_find(const struct stat *about, uint32_t *file)
{
	if (disk == NULL || !disk->is_on || about->st_dev != disk->device) {
		return false;
	}
	take_lock();
	uint32_t i = disk->file_count;
	while (i > 0 && disk->files[i - 1].inode != about->st_ino) {
		i--;
	}
	atomic_flag_clear(&disk->lock);
	*file = i - 1;
	return i > 0;
}

bool disk_calls_find_fd(int fd, uint32_t *file)
{
	struct stat about;
	return disk != NULL && fstat(fd, &about) == 0 && disk_calls_find(&about, file);
}

bool disk_calls_find_folder(int at, const char *path, uint32_t *folder, const char **name)
{
	char parent[PATH_MAX] = ".";
	struct stat about;
	const char *slash = strrchr(path, '/');
	*name = slash == NULL ? path : slash + 1;
	if (disk == NULL || strlen(*name) >= DISK_NAME_BYTES) {
		return false;
	}
	if (slash != NULL) {
		(void)snprintf(parent, sizeof parent, "%.*s",
			slash == path ? 1 : (int)(slash - path), path);
	}
	const int number = errno;
	const bool found = fstatat(at, parent, &about, 0) == 0 && disk_calls_find(&about, folder);
	errno = number;
	return found;
}

/* ---- the journal ---- */

static struct disk_record *note(enum disk_event event, uint32_t file, size_t len)
{
	const size_t bytes = sizeof(struct disk_record) + (len + 7) / 8 * 8;
	if (disk->bytes + bytes > DISK_JOURNAL_BYTES) {
		(void)fprintf(stderr, "disk: the journal is full\n");
		abort();
	}
	struct disk_record *record = (void *)(disk->journal + disk->bytes);
	*record =
		(struct disk_record){.event = event, .file = file, .call = disk->calls, .len = len};
	disk->bytes += bytes;
	return record;
}

static void note_map(unsigned map)
{
	struct disk_record *record = note(DISK_WRITE, maps[map].file, maps[map].len);
	memcpy(record + 1, maps[map].data, maps[map].len);
}

void disk_calls_map(const void *data, size_t len, uint32_t file)
{
	for (unsigned i = 0; i < MAPS_MAX; i++) {
		if (maps[i].data == NULL) {
			maps[i].data = data;
			maps[i].len = len;
			maps[i].file = file;
			return;
		}
	}
	abort();
}

bool disk_calls_is_mapped(const void *data)
{
	bool is = false;
	for (unsigned i = 0; i < MAPS_MAX; i++) {
		is = is || (data != NULL && maps[i].data == data);
	}
	return is;
}

uint64_t disk_calls_salt(void)
{
	return disk == NULL ? 0 : disk->salt;
}

void disk_calls_unmap(const void *data)
{
	for (unsigned i = 0; i < MAPS_MAX; i++) {
		if (maps[i].data == data) {
			note_map(i);
			maps[i].data = NULL;
		}
	}
}

/* ---- a call ---- */

bool disk_calls_enter(void)
{
	take_lock();
	disk_end_if_cut(disk);
	disk->calls++;
	return disk->calls == disk->cut_at;
}

bool disk_calls_enter_sync(uint32_t file)
{
	const bool is_last = disk_calls_enter();
	if (disk->cut_at_sync == 0 || disk->files[file].kind != disk->cut_kind) {
		return is_last;
	}
	disk->cut_at_sync--;
	return is_last || disk->cut_at_sync == 0;
}

void disk_calls_leave(bool is_last)
{
	if (is_last) {
		for (unsigned i = 0; i < MAPS_MAX; i++) {
			if (maps[i].data != NULL) {
				note_map(i);
			}
		}
		atomic_store(&disk->is_cut, true);
		_exit(DISK_CUT); /* nobody else comes in before the process has ended */
	}
	atomic_flag_clear(&disk->lock);
}

enum disk_kind disk_calls_kind(uint32_t file)
{
	return disk->files[file].kind;
}

bool disk_calls_fail(enum disk_fault fault, enum disk_kind kind)
{
	const bool fails = disk->fault == fault && disk->calls >= disk->fault_at &&
			   (disk->fault_kind == DISK_KINDS || disk->fault_kind == kind) &&
			   atomic_load(&disk->faults) < disk->fault_times;
	if (fails) {
		atomic_fetch_add(&disk->faults, 1);
		errno = fault == DISK_NO_SPACE ? ENOSPC : EIO;
	}
	return fails;
}

size_t disk_calls_shorten(size_t len, enum disk_kind kind)
{
	return len > 1 && disk_calls_fail(DISK_WRITES_LESS, kind)
		       ? 1 + disk_mix(disk->calls, len) % (len - 1)
		       : len;
}

void disk_calls_note_write(uint32_t file, const struct iovec *parts, size_t count, uint64_t at,
	size_t len, bool is_synced)
{
	const bool counts = is_synced && disk->files[file].kind != disk->deaf;
	struct disk_record *record = note(counts ? DISK_WRITE_SYNCED : DISK_WRITE, file, len);
	uint8_t *to = (uint8_t *)(record + 1);
	record->at = at;
	for (size_t i = 0; i < count && len > 0; i++) {
		const size_t some = parts[i].iov_len < len ? parts[i].iov_len : len;
		memcpy(to, parts[i].iov_base, some);
		to += some;
		len -= some;
	}
}

void disk_calls_note_size(uint32_t file, uint64_t size)
{
	note(DISK_SIZE, file, 0)->at = size;
}

void disk_calls_note_sync(uint32_t file, bool failed)
{
	for (unsigned i = 0; i < MAPS_MAX; i++) {
		if (maps[i].data != NULL && maps[i].file == file) {
			note_map(i);
		}
	}
	if (failed || disk->files[file].kind != disk->deaf) {
		(void)note(failed ? DISK_SYNC_FAILED : DISK_SYNC, file, 0);
	}
}

void disk_calls_note_create(uint32_t folder, const char *name, const struct stat *about)
{
	const enum disk_kind kind = S_ISDIR(about->st_mode) ? DISK_FOLDER : disk_kind_of(name);
	const uint32_t file = disk_add_file(disk, about->st_ino, kind);
	struct disk_record *record = note(DISK_CREATE, folder, 0);
	record->target = file;
	(void)snprintf(record->name, sizeof record->name, "%s", name);
}

void disk_calls_note_remove(uint32_t folder, const char *name, uint32_t file)
{
	struct disk_record *record = note(DISK_REMOVE, folder, 0);
	record->target = file;
	(void)snprintf(record->name, sizeof record->name, "%s", name);
	disk->files[file].inode = 0; /* which may be another file's soon */
}

void disk_calls_note_rename(uint32_t from, const char *name, uint32_t file, uint32_t to,
	const char *new_name)
{
	struct disk_record *record = note(DISK_RENAME, from, 0);
	record->target = file;
	record->folder = to;
	(void)snprintf(record->name, sizeof record->name, "%s", name);
	(void)snprintf(record->to, sizeof record->to, "%s", new_name);
}
