/* npz_map.h - an npz file whose arrays are known before their elements: it is laid out at once, and
 * filled in through memory, in any order.
 *
 * So an array of any size is written in place, once, and the system writes its pages back as it needs
 * the memory. The disk's room is taken at the beginning: a disk that is too full is told then. The
 * file appears whole or not at all; it is what np.savez writes.
 *
 * Threads: one at a time, but for the elements: they are the caller's.
 */
#ifndef TOOLS_FORMAT_NPZ_MAP_H
#define TOOLS_FORMAT_NPZ_MAP_H

#include "schema/status.h"
#include "tools/format/output.h"

#include <stddef.h>
#include <stdint.h>

enum { NPZ_MAP_NAME_BYTES = 160, NPZ_MAP_DIMS = 3, NPZ_MAP_ARRAYS_MAX = 2048 };

struct npz_array {
	char name[NPZ_MAP_NAME_BYTES]; /* NUL-terminated; with .npy behind it */
	char descr[24];
	uint32_t dims;
	uint64_t shape[NPZ_MAP_DIMS];
	/* filled by npz_map_create */
	size_t at;     /* of the npy header in the file */
	size_t len;    /* with the header */
	uint8_t *data; /* the elements, all zero at first; any alignment */
};

/* A zeroed one has no arrays. */
struct npz_map {
	struct output output;
	struct npz_array *arrays; /* owned */
	size_t count;
	size_t cap;
	uint8_t *map; /* owned */
	size_t len;
};

/* Adds an array of elements that `descr` describes, as NumPy does ("<f4", "|S16"); `shape` has `dims`
 * numbers. The array's place among all is npz->count - 1 then.
 * Errors: NO_MEMORY; TOO_LARGE  the file would be larger than there can be, or has too many arrays. */
enum status npz_map_add(struct npz_map *npz, const char *name, const char *descr,
	const uint64_t *shape, uint32_t dims, struct error *err);

/* Takes the room for all arrays. path: borrowed.
 * Errors: those of output_open; DISK_FULL; BAD_REQUEST  standard output. */
enum status npz_map_create(struct npz_map *npz, const char *path, struct error *err);

/* Completes the file and puts it into its place. Errors: those of the system. */
enum status npz_map_commit(struct npz_map *npz, struct error *err);

/* Removes what was written, unless it was committed; fine for one that is zeroed. */
void npz_map_close(struct npz_map *npz);

#endif
