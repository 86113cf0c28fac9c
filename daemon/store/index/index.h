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
 *        8     4  version, 2
 *       12     4  kind: 1 balls (daemon/retrieval/balls/balls_image.h)
 *       16     8  XXH3-64 of release, table, and the XXH3-64 of each segment, u64 each
 *       24     8  rows
 *       32     8  bytes of the image
 *       40     8  XXH3-64 of the image
 *       48     8  how long it took to build, in milliseconds
 *       56     8  XXH3-64 of the 56 bytes before
 *     4096        the image, to the end of the file
 *
 * Threads: any reads an open index; its state and its pace are atomic, everything else constant.
 */
#ifndef DAEMON_STORE_INDEX_INDEX_H
#define DAEMON_STORE_INDEX_INDEX_H

#include "daemon/retrieval/balls/balls.h"
#include "daemon/store/index/index_pace.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct base_file_info;
struct mapfault;

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

/* The base files that an index is of. */
struct index_owner {
	uint64_t release;
	uint64_t table;
	uint64_t rows;
	uint32_t dim;
	const struct base_file_info *files; /* borrowed */
	size_t file_count;
};

/* `newest`: the number of the newest base file. */
void index_file_name_of(char *out, size_t size, uint64_t table, uint64_t newest);
/* The same, of an owner; false: one without files has none. */
bool index_file_name(char *out, size_t size, const struct index_owner *owner);

/* Opens and checks the file in `folder`. Errors: NOT_FOUND  there is none; CORRUPT, UNSUPPORTED  it
 * is of no use; IO, NO_MEMORY. */
enum status index_open(const char *folder, const struct index_owner *owner, struct index **out,
	struct error *err);
void index_close(struct index *index); /* NULL is fine */

static inline bool index_is_sound(const struct index *index)
{
	return atomic_load_explicit(&index->state, memory_order_acquire) == INDEX_READY;
}

#endif
