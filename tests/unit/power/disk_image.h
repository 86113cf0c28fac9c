/* disk_image.h - what a disk holds after its power was cut, as files.
 *
 * What was synced is there. Of the bytes that were not, disk_piece.h says what may be there. Of the names
 * that were given, taken and changed in a folder since it was synced, any may be there and any not: a
 * seed decides, as it does whether the file system keeps a journal. One that does keeps names in the
 * order in which they were given; others any of them. A rename may leave both names, and never none.
 *
 * Threads: one, while no child works on the disk.
 */
#ifndef TESTS_UNIT_POWER_DISK_IMAGE_H
#define TESTS_UNIT_POWER_DISK_IMAGE_H

#include "tests/unit/power/disk.h"

struct disk_image;

/* An empty one. The disk is cleared. */
struct disk_image *disk_image_open(struct disk *disk);
void disk_image_close(struct disk_image *image); /* NULL is fine */

/* Makes the image what the journal and the seed say, and clears the journal. */
void disk_image_cut(struct disk_image *image, struct disk *disk, uint64_t seed);

/* Writes its files into a folder that is there, and is empty. `disk`: whose files they are from now on;
 * NULL: of none. */
void disk_image_write(const struct disk_image *image, struct disk *disk, const char *folder);

#endif
