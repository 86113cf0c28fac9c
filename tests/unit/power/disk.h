/* disk.h - a disk below a store, whose power a test cuts at any call.
 *
 * The calls by which the store, and LMDB in it, change files are sent by the linker to disk_wraps.c. They
 * work on real files, and each is noted in a journal in memory that is shared: what was written where,
 * what was synced, which name was given to which file. The store runs in a child; at the call of a chosen
 * number its power is cut, which ends the child. The test then makes of the journal what the disk may
 * hold by then (disk_image.h). A sync is noted, and done in no other way: the files are thrown away.
 * Files are named here by numbers, which follow the inode.
 *
 * What is written through a map that is shared and may be written is noted when it is unmapped, when
 * the file is synced, and at the cut. Other calls that change files (linkat, by which backups are made,
 * msync, copy_file_range, unlink without a folder) are not noted: what they do is missing from an image,
 * and so a store that comes to need them fails the test.
 *
 * Threads: those of one child at a time, and a process that it forks; the test while no child runs.
 */
#ifndef TESTS_UNIT_POWER_DISK_H
#define TESTS_UNIT_POWER_DISK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DISK_FILES_MAX = 16384,
	DISK_NAME_BYTES = 64,
	DISK_JOURNAL_BYTES = 256 << 20,
	DISK_CUT = 77, /* exit status of a child whose power was cut */
	DISK_ROOT = 0, /* number of the folder that all others are in */
};

/* Kinds of files, by their names. */
enum disk_kind {
	DISK_LOG,
	DISK_BASE,
	DISK_INDEX,
	DISK_TENSOR,
	DISK_SPILL,
	DISK_CATALOG,
	DISK_CURRENT,
	DISK_OTHER,
	DISK_FOLDER,
	DISK_KINDS
};
enum disk_kind disk_kind_of(const char *name);

enum disk_fault {
	DISK_SOUND,
	DISK_NO_SPACE,    /* whatever takes room is told ENOSPC */
	DISK_WRITE_FAILS, /* EIO */
	DISK_SYNC_FAILS,  /* EIO; some of what was not on the disk never comes there */
	DISK_WRITES_LESS, /* than it was given */
	DISK_FAULTS
};

enum disk_event {
	DISK_WRITE,        /* `len` bytes at `at` */
	DISK_WRITE_SYNCED, /* the same, and they are on the disk: the descriptor is O_DSYNC */
	DISK_SIZE,         /* the file has `at` bytes from now on */
	DISK_SYNC,
	DISK_SYNC_FAILED,
	DISK_CREATE, /* `name` of the folder `file` is `target`; also a folder */
	DISK_REMOVE, /* `name` of the folder `file`, which was `target`, is gone */
	DISK_RENAME, /* `name` of the folder `file`, which is `target`, is `to` of `folder` */
};

/* One call. Its data stands behind it; the next record follows at a multiple of 8. */
struct disk_record {
	enum disk_event event;
	uint32_t file; /* or folder */
	uint32_t target;
	uint32_t folder;
	uint64_t call; /* number of the call */
	uint64_t at;
	uint64_t len;
	char name[DISK_NAME_BYTES];
	char to[DISK_NAME_BYTES];
};

struct disk_file {
	uint64_t inode;
	enum disk_kind kind;
};

/* In shared memory. */
struct disk {
	atomic_flag lock;
	_Atomic bool is_cut;
	bool is_on; /* calls are noted */
	uint64_t calls;
	/* What the test wishes: */
	uint64_t salt;   /* what random numbers follow from */
	uint64_t cut_at; /* the number of the call that the power ends with; 0: of none */
	/* Or at the sync of that number, of files of that kind; 0: of none. */
	uint64_t cut_at_sync;
	enum disk_kind cut_kind;
	enum disk_fault fault; /* what goes wrong from call `fault_at` on, `fault_times` times */
	enum disk_kind fault_kind; /* of files of this kind; DISK_KINDS: of any */
	uint64_t fault_at;
	uint64_t fault_times;
	enum disk_kind deaf;     /* syncs of files of this kind do nothing; DISK_KINDS: of none */
	_Atomic uint64_t faults; /* that have happened */
	bool loses_all;          /* at the cut: all that was not synced */
	uint64_t device;         /* that all files are on */
	uint32_t file_count;
	struct disk_file files[DISK_FILES_MAX];
	size_t bytes; /* of the journal */
	_Alignas(8) uint8_t journal[DISK_JOURNAL_BYTES];
};

/* The one disk of the process, in memory that children share. */
struct disk *disk_shared(void);

/* Forgets all files and the journal. */
void disk_clear(struct disk *disk);
/* Gives a number to a file that is there; `inode` is that of stat. */
uint32_t disk_add_file(struct disk *disk, uint64_t inode, enum disk_kind kind);
/* Makes the path, which is there, the file of that number. */
void disk_place_file(struct disk *disk, uint32_t file, const char *path);

/* In a child, when something has failed: if the power was cut meanwhile, that is why, and the child ends
 * as one whose power was cut. */
void disk_end_if_cut(const struct disk *disk);

static inline uint64_t disk_mix(uint64_t a, uint64_t b)
{
	uint64_t z = a * UINT64_C(0x9e3779b97f4a7c15) + b + UINT64_C(0x632be59bd9b4e019);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

#endif
