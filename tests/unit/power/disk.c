/* disk.c - the shared memory of a disk below a store, and the numbers of its files. */
#include "tests/unit/power/disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct disk *disk_shared(void)
{
	static struct disk *disk;
	if (disk == NULL) {
		void *memory = mmap(NULL, sizeof *disk, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		assert_ptr_not_equal(memory, MAP_FAILED);
		disk = memory;
		atomic_flag_clear(&disk->lock);
	}
	return disk;
}

void disk_clear(struct disk *disk)
{
	disk->is_cut = false;
	disk->is_on = false;
	disk->calls = 0;
	disk->cut_at = 0;
	disk->cut_at_sync = 0;
	disk->fault = DISK_SOUND;
	disk->faults = 0;
	disk->file_count = 0;
	disk->bytes = 0;
}

enum disk_kind disk_kind_of(const char *name)
{
	static const struct {
		const char *begin;
		enum disk_kind kind;
	} kinds[] = {
		{"base-", DISK_BASE},
		{"index-", DISK_INDEX},
		{"tensor-", DISK_TENSOR},
		{"spill-", DISK_SPILL},
		{"catalog.mdb", DISK_CATALOG},
		{"current", DISK_CURRENT},
	};
	const size_t len = strlen(name);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (strncmp(name, kinds[i].begin, strlen(kinds[i].begin)) == 0) {
			return kinds[i].kind;
		}
	}
	return len > 4 && strcmp(name + len - 4, ".log") == 0 ? DISK_LOG : DISK_OTHER;
}

uint32_t disk_add_file(struct disk *disk, uint64_t inode, enum disk_kind kind)
{
	assert_true(disk->file_count < DISK_FILES_MAX);
	disk->files[disk->file_count] = (struct disk_file){inode, kind};
	return disk->file_count++;
}

void disk_place_file(struct disk *disk, uint32_t file, const char *path)
{
	struct stat about;
	assert_int_equal(stat(path, &about), 0);
	assert_true(file < disk->file_count);
	disk->device = about.st_dev;
	disk->files[file].inode = about.st_ino;
}

void disk_end_if_cut(const struct disk *disk)
{
	if (atomic_load(&disk->is_cut)) {
		_exit(DISK_CUT);
	}
}
