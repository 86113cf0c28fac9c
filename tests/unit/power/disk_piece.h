/* disk_piece.h - one file of a disk: what is on the disk for sure, and what was written since.
 *
 * The disk writes pieces of 512 bytes whole. Of each piece that was written since the last sync it may
 * have the bytes as they were before, as they are now, or as they were in between; and the file may
 * have any size that it has had since. Where it had no bytes before there are zeros, or garbage.
 */
#ifndef TESTS_UNIT_POWER_DISK_PIECE_H
#define TESTS_UNIT_POWER_DISK_PIECE_H

#include "tests/unit/power/disk.h"

enum { DISK_PIECE_BYTES = 512, DISK_PAGE_BYTES = 4096 };

/* Bytes of which the disk has the newest as of an event. */
struct disk_floor {
	uint64_t from;
	uint64_t to;
	size_t event;
};

struct disk_bytes {
	bool is_folder;
	uint8_t *data; /* owned; on the disk */
	uint64_t size;
	uint64_t capacity; /* of data; bytes behind `size` are zero */
	const struct disk_record *
		*events; /* owned array of what was written since; borrowed from the journal */
	size_t event_count;
	size_t event_capacity;
	struct disk_floor *floors; /* owned */
	size_t floor_count;
};

/* Takes what a record of this file says. `seed` decides what a sync that fails has lost. */
void disk_bytes_take(struct disk_bytes *file, const struct disk_record *record, uint64_t seed);
/* The power goes: decides by the seed what of the rest is on the disk. */
void disk_bytes_cut(struct disk_bytes *file, uint64_t seed);
/* The same; none of the rest is. */
void disk_bytes_forget(struct disk_bytes *file);
/* Sets what is on the disk. */
void disk_bytes_set(struct disk_bytes *file, const uint8_t *data, uint64_t size);
void disk_bytes_fini(struct disk_bytes *file);

#endif
