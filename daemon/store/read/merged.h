/* merged.h - the rows of a segment and those of a memtable as one walk in the order of (hash, key).
 *
 * Of a key that both have, only the memtable's row comes. Tombstones come too, and the caller skips
 * them.
 *
 * Threads: one at a time a walk; segment and memtable rows are borrowed.
 */
#ifndef DAEMON_STORE_READ_MERGED_H
#define DAEMON_STORE_READ_MERGED_H

#include "daemon/store/base/segment.h"
#include "daemon/store/log/frame.h"
#include "daemon/store/memtable/memtable.h"

/* Numbers are hashed so many at once. */
enum { MERGED_AHEAD = 32 };

struct merged_walk {
	const struct segment *view;      /* NULL: no segment */
	uint32_t row;                    /* of the segment: the next one */
	const struct memtable_row *news; /* the memtable's rows */
	size_t at;                       /* of the news: the next one */
	size_t count;                    /* of the news */
	bool hashed;                     /* `hash` and `next` are set */
	uint64_t hash;                   /* of `row` */
	uint32_t ahead_first;            /* of the rows that were hashed together */
	uint32_t ahead_count;
	uint64_t ahead[MERGED_AHEAD];
	struct frame_row next; /* the key of `row` */
};

struct merged_row {
	uint64_t hash;
	const struct row_version *version; /* NULL: it is the segment's */
	const struct segment *view;
	uint32_t row;
	const uint8_t *key;
	size_t key_len;
};

/* The next row; *more is false behind the last. Errors: CORRUPT  the segment's key offsets. */
enum status merged_next(struct merged_walk *walk, struct merged_row *out, bool *more);

/* All columns of a row that is no tombstone. */
void merged_get(const struct merged_row *row, const struct table_spec *spec, struct frame_row *out);

static inline int64_t merged_time(const struct merged_row *row)
{
	return row->version != NULL ? row->version->time_ms : row->view->times[row->row];
}

#endif
