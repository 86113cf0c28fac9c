/* merged.h - the levels of a table and rows of a memtable as one walk in the order of (hash, key).
 *
 * Of a key that several have, only the newest row comes: the memtable's, else that of the newest level.
 * Tombstones come too, and the caller skips them.
 *
 *   merged_begin -> set news and `behind` -> merged_next ... -> set the next news and `behind` ...
 *
 * A range of hashes is walked after the other. A segment is entered when the walk comes to its range, and
 * is checked then, which may block.
 *
 * Threads: one at a time a walk; the table is held, and the memtable's rows are borrowed.
 */
#ifndef DAEMON_STORE_READ_MERGED_H
#define DAEMON_STORE_READ_MERGED_H

#include "daemon/store/base/base.h"
#include "daemon/store/log/frame.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/snapshot/snapshot.h"

/* Numbers are hashed so many at once. */
enum { MERGED_AHEAD = 32 };

/* A level on the walk. */
struct merged_level {
	struct base_set *set;       /* borrowed */
	uint64_t from;              /* where the next segment is entered */
	const struct segment *view; /* NULL: the segment of `from` is not entered yet */
	uint32_t number;            /* of that segment */
	bool ended;
	uint32_t row;         /* of the segment: the next one */
	bool hashed;          /* `hash` and `next` are set */
	uint64_t hash;        /* of `row` */
	uint32_t ahead_first; /* of the rows that were hashed together */
	uint32_t ahead_count;
	uint64_t ahead[MERGED_AHEAD];
	struct frame_row next; /* the key of `row` */
};

struct merged_walk {
	size_t level_count;
	struct merged_level levels[TABLE_LEVELS_MAX]; /* the newest first */
	/* The caller's: */
	const struct memtable_row *news; /* the memtable's rows of the range */
	size_t at;                       /* of the news: the next one */
	size_t count;                    /* of the news */
	uint64_t behind;                 /* the end of the range; 0: 2^64 */
};

/* Columns beside a row, of one that is salvaged (salvage.h). */
enum merged_without { WITHOUT_TIME = 1, WITHOUT_TAGS = 2, WITHOUT_LOW = 4 };

struct merged_row {
	uint64_t hash;
	const struct row_version *version; /* NULL: it is a segment's */
	const struct segment *view;
	uint32_t row;
	bool deleted;     /* a tombstone */
	unsigned without; /* enum merged_without, or'ed: what cannot be read of it, and is 0 */
	const uint8_t *key;
	size_t key_len;
};

/* Begins a walk at a hash, through the levels of a table from number `first` on. */
void merged_begin(struct merged_walk *walk, const struct table *table, size_t first, uint64_t from);

/* The next row of the range; *more is false behind the last. Errors: CORRUPT  a segment is damaged. */
enum status merged_next(struct merged_walk *walk, struct merged_row *out, bool *more);

/* All columns of a row that is no tombstone. */
void merged_get(const struct merged_row *row, const struct table_spec *spec, struct frame_row *out);

static inline int64_t merged_time(const struct merged_row *row)
{
	return row->version != NULL                 ? row->version->time_ms
	       : (row->without & WITHOUT_TIME) != 0 ? 0
						    : row->view->times[row->row];
}

#endif
