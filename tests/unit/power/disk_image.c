/* disk_image.c - replays the journal of a disk up to the cut, and writes what is left as files. */
#include "tests/unit/power/disk_image.h"

#include "tests/unit/power/disk_piece.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct entry {
	uint32_t folder;
	uint32_t file;
	char name[DISK_NAME_BYTES];
};

struct entries {
	struct entry *all; /* owned */
	size_t count;
	size_t capacity;
};

struct disk_image {
	struct disk_bytes files[DISK_FILES_MAX];
	uint32_t file_count;
	struct entries names;               /* that are on the disk */
	const struct disk_record **pending; /* owned array; changes of names that are not yet */
	size_t pending_count;
	size_t pending_capacity;
	bool loses_all;
	bool keeps_order; /* the file system has a journal of names */
	uint64_t seed;
};

/* ---- names ---- */

static struct entry *find(const struct entries *names, uint32_t folder, const char *name)
{
	for (size_t i = 0; i < names->count; i++) {
		struct entry *entry = &names->all[i];
		if (entry->folder == folder && strcmp(entry->name, name) == 0) {
			return entry;
		}
	}
	return NULL;
}

static void set_name(struct entries *names, uint32_t folder, const char *name, uint32_t file)
{
	struct entry *entry = find(names, folder, name);
	if (entry == NULL) {
		if (names->count == names->capacity) {
			names->capacity = names->capacity * 2 + 16;
			names->all = realloc(names->all, names->capacity * sizeof *names->all);
			assert_non_null(names->all);
		}
		entry = &names->all[names->count++];
		entry->folder = folder;
		(void)snprintf(entry->name, sizeof entry->name, "%s", name);
	}
	entry->file = file;
}

static void remove_name(struct entries *names, uint32_t folder, const char *name, uint32_t file)
{
	struct entry *entry = find(names, folder, name);
	if (entry != NULL && entry->file == file) {
		*entry = names->all[--names->count];
	}
}

enum kept { KEPT, KEPT_HALF, LOST };

/* KEPT_HALF: of a rename, the new name is there, and the old one too. */
static void apply(struct disk_image *image, const struct disk_record *record, enum kept kept)
{
	struct entries *names = &image->names;
	if (kept == LOST) {
		return;
	}
	if (record->event == DISK_CREATE) {
		set_name(names, record->file, record->name, record->target);
	} else if (record->event == DISK_REMOVE) {
		remove_name(names, record->file, record->name, record->target);
	} else {
		set_name(names, record->folder, record->to, record->target);
		if (kept == KEPT) {
			remove_name(names, record->file, record->name, record->target);
		}
	}
}

static bool is_of(const struct disk_record *record, uint32_t folder)
{
	return record->file == folder || (record->event == DISK_RENAME && record->folder == folder);
}

/* A folder is synced: what was changed of its names stays, and with a journal what was changed before. */
static void sync_folder(struct disk_image *image, uint32_t folder)
{
	size_t last = 0;
	size_t left = 0;
	for (size_t i = 0; i < image->pending_count; i++) {
		last = is_of(image->pending[i], folder) ? i + 1 : last;
	}
	for (size_t i = 0; i < image->pending_count; i++) {
		const struct disk_record *record = image->pending[i];
		if (is_of(record, folder) || (image->keeps_order && i < last)) {
			apply(image, record, KEPT);
		} else {
			image->pending[left++] = record;
		}
	}
	image->pending_count = left;
}

static void cut_names(struct disk_image *image)
{
	const uint64_t draw = disk_mix(image->seed, image->pending_count);
	const uint64_t way = draw % 4;
	const size_t in_order = way == 0   ? 0
				: way == 1 ? image->pending_count
					   : draw / 4 % (image->pending_count + 1);
	for (size_t i = 0; i < image->pending_count; i++) {
		const struct disk_record *record = image->pending[i];
		const uint64_t fate = disk_mix(image->seed, record->call) % 5;
		enum kept kept = fate < 2 ? KEPT : fate == 2 ? KEPT_HALF : LOST;
		if (image->keeps_order) {
			kept = i < in_order ? KEPT : LOST;
		} else if (kept == KEPT_HALF && record->event != DISK_RENAME) {
			kept = LOST;
		}
		apply(image, record, image->loses_all ? LOST : kept);
	}
	image->pending_count = 0;
}

/* A file that has two names now becomes two files, since what is done to one of them is not done to the
 * other: they are never linked on purpose. */
static void part_twins(struct disk_image *image, struct disk *disk)
{
	for (size_t i = 0; i < image->names.count; i++) {
		struct entry *entry = &image->names.all[i];
		for (size_t j = 0; j < i; j++) {
			if (image->names.all[j].file == entry->file) {
				const struct disk_bytes *from = &image->files[entry->file];
				const uint32_t file =
					disk_add_file(disk, 0, disk_kind_of(entry->name));
				assert_int_equal(file, image->file_count);
				assert_false(from->is_folder);
				image->file_count++;
				disk_bytes_set(&image->files[file], from->data, from->size);
				entry->file = file;
				break;
			}
		}
	}
}

/* ---- the journal ---- */

static void add_pending(struct disk_image *image, const struct disk_record *record)
{
	if (image->pending_count == image->pending_capacity) {
		image->pending_capacity = image->pending_capacity * 2 + 16;
		image->pending =
			realloc(image->pending, image->pending_capacity * sizeof *image->pending);
		assert_non_null(image->pending);
	}
	image->pending[image->pending_count++] = record;
}

static void take(struct disk_image *image, const struct disk *disk,
	const struct disk_record *record)
{
	assert_true(record->file < disk->file_count);
	struct disk_bytes *file = &image->files[record->file];
	switch (record->event) {
	case DISK_CREATE:
	case DISK_REMOVE:
	case DISK_RENAME:
		add_pending(image, record);
		return;
	case DISK_SYNC:
	case DISK_SYNC_FAILED:
		if (file->is_folder) {
			if (record->event == DISK_SYNC) {
				sync_folder(image, record->file);
			}
			return;
		}
		break;
	case DISK_WRITE:
	case DISK_WRITE_SYNCED:
	case DISK_SIZE:
		break;
	}
	disk_bytes_take(file, record, disk_mix(image->seed, record->file));
}

struct disk_image *disk_image_open(struct disk *disk)
{
	struct disk_image *image = calloc(1, sizeof *image);
	assert_non_null(image);
	disk_clear(disk);
	assert_int_equal(disk_add_file(disk, 0, DISK_FOLDER), DISK_ROOT);
	image->files[DISK_ROOT].is_folder = true;
	image->file_count = 1;
	return image;
}

void disk_image_close(struct disk_image *image)
{
	if (image != NULL) {
		for (uint32_t i = 0; i < image->file_count; i++) {
			disk_bytes_fini(&image->files[i]);
		}
		free(image->names.all);
		free(image->pending);
		free(image);
	}
}

void disk_image_cut(struct disk_image *image, struct disk *disk, uint64_t seed)
{
	image->seed = seed;
	image->loses_all = disk->loses_all;
	image->keeps_order = disk_mix(seed, 1) % 2 == 0;
	for (; image->file_count < disk->file_count; image->file_count++) {
		const bool is_folder = disk->files[image->file_count].kind == DISK_FOLDER;
		image->files[image->file_count].is_folder = is_folder;
	}
	for (size_t at = 0; at < disk->bytes;) {
		const struct disk_record *record = (const void *)(disk->journal + at);
		take(image, disk, record);
		at += sizeof *record + (record->len + 7) / 8 * 8;
	}
	for (uint32_t i = 0; i < image->file_count; i++) {
		if (image->loses_all) {
			disk_bytes_forget(&image->files[i]);
		}
		disk_bytes_cut(&image->files[i], disk_mix(seed, i));
	}
	cut_names(image);
	part_twins(image, disk);
	disk->bytes = 0;
	for (uint32_t i = 0; i < disk->file_count; i++) {
		disk->files[i].inode = 0;
	}
}

/* ---- files ---- */

static void write_file(const struct disk_bytes *file, const char *path)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	assert_true(fd >= 0);
	if (file->size > 0) {
		assert_int_equal(pwrite(fd, file->data, file->size, 0), file->size);
	}
	assert_int_equal(close(fd), 0);
}

static void write_folder(const struct disk_image *image, struct disk *disk, uint32_t folder,
	const char *path)
{
	if (disk != NULL) {
		disk_place_file(disk, folder, path);
	}
	for (size_t i = 0; i < image->names.count; i++) {
		const struct entry *entry = &image->names.all[i];
		char at[PATH_MAX];
		if (entry->folder != folder) {
			continue;
		}
		(void)snprintf(at, sizeof at, "%s/%s", path, entry->name);
		if (image->files[entry->file].is_folder) {
			assert_int_equal(mkdir(at, 0750), 0);
			write_folder(image, disk, entry->file, at);
			continue;
		}
		write_file(&image->files[entry->file], at);
		if (disk != NULL) {
			disk_place_file(disk, entry->file, at);
		}
	}
}

void disk_image_write(const struct disk_image *image, struct disk *disk, const char *folder)
{
	write_folder(image, disk, DISK_ROOT, folder);
}
