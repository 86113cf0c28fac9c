/* index.h - the index of a table's base files: granular balls, in a file of its own.
 *
 * It is derived from the base files that a table has now, and belongs to these alone; it is in no
 * catalog. One that is missing, damaged or of other base files is built again, and until then
 * searches go through all rows. Its file, index-<table>-<newest base file>.idx, is a head and the
 * image, which is mapped; it is no LMDB environment, so that its size can be checked before any of
 * it is touched:
 *
 *   offset  size
 *        0     8  magic "repstidx"
 *        8     4  version, 1
 *       12     4  kind: 1 balls (daemon/retrieval/balls_image.h)
 *       16     8  XXH3-64 of release, table, and the XXH3-64 of each segment, u64 each
 *       24     8  rows
 *       32     8  bytes of the image
 *       40     8  XXH3-64 of the image
 *       48     8  XXH3-64 of the 48 bytes before
 *     4096        the image, to the end of the file
 *
 * Threads: any reads an open index; its state and its pace are atomic, everything else constant.
 */
#ifndef DAEMON_STORE_INDEX_H
#define DAEMON_STORE_INDEX_H

#include "daemon/retrieval/balls.h"
#include "daemon/store/index_pace.h"
#include "daemon/store/snapshot.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mapfault;

enum { INDEX_VERSION = 2 };

/* Fewer are gone through in less than a tenth of a millisecond anyway. */
#ifndef INDEX_ROWS_MIN
#define INDEX_ROWS_MIN 5000u
#endif

enum index_state {
	INDEX_READY = 1,
	INDEX_DAMAGED = 2, /* for good: searches go through all rows */
};

struct index {
	struct balls balls;
	uint64_t bytes;    /* of the file */
	uint64_t build_ms; /* how long it took */
	void *map;         /* owned, as the next */
	struct mapfault *watch;
	_Atomic unsigned char state;
	struct index_pace pace;
};

/* Whether a table as it is now shall have one. */
bool index_is_wanted(const struct table *table);

void index_file_name_of(char *out, size_t size, uint64_t table, uint64_t newest);
/* The same, of a table as it is; false: a table without files has none. */
bool index_file_name(char *out, size_t size, const struct table *table);

/* Opens and checks the file in `folder`. Errors: NOT_FOUND  there is none; CORRUPT, UNSUPPORTED  it
 * is of no use; IO, NO_MEMORY. */
enum status index_open(const char *folder, uint64_t release, const struct table *table,
	struct index **out, struct error *err);
void index_close(struct index *index); /* NULL is fine */

struct index_job {
	const char *folder;
	uint64_t release;
	const struct table *table; /* held by the caller */
	const struct table
		*queries; /* whose rows are asked for, in the calibration; NULL: its own */
	/* What the table was before a merge, with an index: its axes stay, and rows that are what
	 * they were stay in their balls. NULL, or a table that has grown by a third since they were
	 * found: all anew. */
	const struct table *before;
	const _Atomic bool *stop;
};

/* Builds the index, writes and syncs its file, in the place of a leftover, and opens it. Memory:
 * some 80 bytes a row. Errors: BUSY  stopped; CORRUPT  a damaged segment; DISK_FULL, IO, NO_MEMORY.
 */
enum status index_build(const struct index_job *job, struct index **out, struct error *err);

static inline bool index_is_sound(const struct index *index)
{
	return atomic_load_explicit(&index->state, memory_order_acquire) == INDEX_READY;
}

#endif
