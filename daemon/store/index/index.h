/* index.h - the index of a base file, or of a file of a delta: granular balls, in a file of its own.
 *
 * It is derived from that file and goes with it; no catalog names it. An index that is missing, damaged or of another
 * file is built again, and until then searches go through all rows of the file. The files of a level have indexes on the same axes
 * (indexes.h).
 *
 * Its file, index-<table>-<base file>.idx, is a head and then the image, which is mapped. It
 * is no LMDB environment, so that its size can be checked before any byte of it is touched. It is
 * valid when the head has its checksum and names this base file and its number of rows, when
 * the file has the size that the head says, and when the image has its checksum. schema/DISK.md,
 * "Index files", has every byte.
 *
 * Threads: any reads an open index; its state is atomic, everything else constant.
 */
#ifndef DAEMON_STORE_INDEX_INDEX_H
#define DAEMON_STORE_INDEX_INDEX_H

#include "daemon/retrieval/balls/balls.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct base_file_info;
struct mapfault;

enum index_state {
	INDEX_READY = 1,
	INDEX_DAMAGED =
		2, /* for good: searches go through all rows until the indexer has another */
};

struct index {
	struct balls balls;
	uint64_t bytes;    /* of the file */
	uint64_t inode;    /* of it: another one may stand under its name later */
	uint64_t build_ms; /* how long it took; of the first file of a base with the calibration */
	uint64_t axes;     /* index_hash_axes */
	uint64_t changed;  /* rows that were written or removed since its balls were found */
	atomic_uint refs;  /* of those who hold it */
	void *map;         /* owned, as the next */
	struct mapfault *watch;
	_Atomic unsigned char state; /* enum index_state */
};

/* The table and the base file that an index is of. */
struct index_owner {
	uint64_t release;
	uint64_t table;
	uint32_t dim;
	const struct base_file_info *file; /* borrowed */
};

/* Rows of a file, with tombstones. */
uint64_t index_file_rows(const struct base_file_info *file);

/* Writes the name of the index file of a base file. */
void index_file_name(char *out, size_t size, uint64_t table, uint64_t file);

/* Opens and checks the index file in `folder`. Errors: NOT_FOUND  there is none; CORRUPT, UNSUPPORTED  it is of no use;
 * CONFLICT  it is of another base file; IO, NO_MEMORY. */
enum status index_open(const char *folder, const struct index_owner *owner, struct index **out,
	struct error *err);
/* The same of a file that has another name yet. */
enum status index_open_at(const char *path, const struct index_owner *owner, struct index **out,
	struct error *err);
/* The inode of the file that such an index has now; 0: there is none. */
uint64_t index_inode(const char *folder, const struct index_owner *owner);

/* Adds a reference; the caller is inside (grace.h), or has one. NULL is fine, as for the next. */
void index_hold(struct index *index);
/* Gives up a reference; the last one closes the index. */
void index_close(struct index *index);

/* A hash of the axes, and of the basis of the codes: what a query has come to by those of an index holds for other indexes, and
 * for images of what is written, that have the same. */
uint64_t index_hash_axes(const struct balls *balls);

/* Writes other recalls [BALLS_METRICS][BALLS_KS][BALLS_FACTORS], of so many queries, into the file of
 * an open index, with its build_ms, and so into its map: searches use them at once. Errors: IO, DISK_FULL; NOT_FOUND  the
 * file is gone. */
enum status index_rewrite(const struct index *index, const char *path, const float *recalls,
	uint32_t queries, struct error *err);

static inline bool index_is_sound(const struct index *index)
{
	return atomic_load_explicit(&index->state, memory_order_acquire) == INDEX_READY;
}

#endif
