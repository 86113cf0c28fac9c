/* memtable_stream.h - the rows of a memtable in the order in which they were written.
 *
 * A table with an index keeps this order, since a search reads every row: in this order they lie side
 * by side, and a walk through buckets jumps from each to the next. A version that was superseded or
 * taken back stays in the order, and is passed over. Rows that something else has, as an image for
 * searches, can be skipped.
 *
 * A stream takes both generations at its beginning. A row of the older one comes even if the newer one
 * has its key, too; memtable_stream_is_behind tells that of a row that is good enough to be asked
 * about.
 *
 * Threads: readers, within a snapshot; each stream is one reader's.
 */
#ifndef DAEMON_STORE_MEMTABLE_MEMTABLE_STREAM_H
#define DAEMON_STORE_MEMTABLE_MEMTABLE_STREAM_H

#include "daemon/store/memtable/memtable.h"

struct generation;

/* Zeroed, it has no rows. */
struct memtable_stream {
	uint64_t visible;
	const struct generation *generations[2]; /* the newer one first; NULL: there is none */
	uint64_t nexts[2];                       /* places in the order: of each the next row */
	uint64_t ends[2];
};

/* Of a table with an index. `visible` was taken before. */
void memtable_stream_begin(const struct memtable *memtable, uint64_t visible,
	struct memtable_stream *stream);

/* Gives the next rows, without tombstones; returns their number, 0 only at the end. */
size_t memtable_stream_next(struct memtable_stream *stream, struct memtable_row *out, size_t most);

/* Passes over places [from, end) of the generation with this number; false if they are not what comes
 * next. */
bool memtable_stream_skip(struct memtable_stream *stream, uint64_t generation, uint64_t from,
	uint64_t end);

/* Whether the newer generation has the key of an entry of the older one, so that the entry's row is not
 * to be found. */
bool memtable_stream_is_behind(const struct memtable_stream *stream,
	const struct memtable_entry *entry);

/* How many places are left: at least as many as rows will come. */
uint64_t memtable_stream_left(const struct memtable_stream *stream);

#endif
