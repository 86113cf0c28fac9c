/* rows.h - all rows of a table that a reader sees, in blocks and in no order. A search goes through
 * them.
 *
 *   rows_begin -> rows_next -> block ... -> rows_end
 *
 * First come the rows that the memtable holds, then those of the base and of the deltas, without
 * tombstones. If a key was written since, its older row comes too, also one of the memtable of a table
 * with an index, while that is merged. rows_is_superseded tells these apart; it costs a look-up, so it is asked only about rows that are good enough. Rows that have
 * expired come as well. The id of a row leads back to the row during the walk. The rows of the files
 * have rows_first_base_id and the ids that follow, counted through all segments, those of the base
 * first, tombstones too.
 *
 * Threads: any, one at a time a walk. The table is held: between snapshot_begin and snapshot_end, or
 * by a reference. A page of a map that cannot be read shows as zeros, so the caller compares
 * mapfault_count before and after.
 */
#ifndef DAEMON_STORE_READ_ROWS_H
#define DAEMON_STORE_READ_ROWS_H

#include "daemon/store/base/segment.h"
#include "daemon/store/log/frame.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/memtable/memtable_stream.h"
#include "daemon/store/snapshot/snapshot.h"

#include <stdbool.h>
#include <stdint.h>

static const uint64_t rows_first_base_id = UINT64_C(1) << 63;

/* Columns of `count` rows, as they are stored; borrowed until the next block. */
struct row_block {
	uint32_t count;
	const uint8_t *data;  /* [count] of spec_row_bytes */
	const float *scales;  /* NULL unless i8 */
	const int64_t *times; /* Unix ms */
	const uint64_t *tags; /* NULL: the table has none */
	uint64_t first_id;    /* of row 0, and the others follow; not if there are `ids` */
	const uint64_t *ids;  /* of each row; NULL: they follow from first_id */
};

/* A segment on the walk. */
struct rows_segment {
	uint64_t first;       /* the number of its first row */
	struct base_set *set; /* borrowed */
	uint32_t number;      /* in its set */
	uint32_t level;       /* of the table: the number of its level there */
	bool is_skipped;      /* its rows do not come */
};

struct rows {
	const struct table *table; /* borrowed */
	uint64_t visible;
	uint32_t rows_max; /* of a block */
	/* That of the table as it was at the beginning. A merge takes what it has written out of the table's own, and a row
	 * that came from there must not come again from the files. */
	struct memtable memtable;
	uint32_t part;                 /* of the memtable: the next one to gather */
	struct memtable_stream stream; /* of a table with an index: instead of parts */
	bool is_streaming;             /* it is begun */
	struct memtable_rows news;     /* the part that is gathered */
	size_t news_at;                /* its next row */
	size_t segment;                /* of the files: that of the next row */
	uint32_t row;                  /* in that segment: the next one */
	struct row_block block;
	size_t segment_count;
	struct rows_segment *segments; /* owned: of all levels; NULL: there is none */
	/* owned: the columns of a block of the memtable */
	uint8_t *data;
	float *scales;
	int64_t *times;
	uint64_t *tags;
	uint64_t *ids;
};

/*   visible   store_visible, of the snapshot that the table is of
 *   rows_max  of a block, at least 1
 * Errors: NO_MEMORY. */
enum status rows_begin(struct rows *rows, const struct table *table, uint64_t visible,
	uint32_t rows_max);
void rows_end(struct rows *rows); /* zeroed is fine */

/* The stream of the rows of the memtable that are still to come, of a table with an index; its caller may
 * skip some. The caller is inside, as for rows_next. */
struct memtable_stream *rows_stream(struct rows *rows);

/* The next block is in rows->block; its count is 0 behind the last. May wait for the disk.
 * Errors: CORRUPT  a damaged segment; NO_MEMORY. */
enum status rows_next(struct rows *rows);

/* The number of the first row of a file of a level: rows_place takes it, and ids count from it. */
uint64_t rows_first_of(const struct rows *rows, size_t level, size_t file);
/* The same, and lets the walk pass over the rows of this file. */
uint64_t rows_skip_file(struct rows *rows, size_t level, size_t file);

/* The id of a row of the memtable. */
static inline uint64_t rows_id_of_entry(const struct memtable_entry *entry)
{
	return (uint64_t)(uintptr_t)entry;
}

static inline uint64_t row_block_id(const struct row_block *block, uint32_t i)
{
	return block->ids != NULL ? block->ids[i] : block->first_id + i;
}

/* Where row `number` of the files is. The caller knows that its segment was checked. */
struct row_place {
	const struct segment *view;
	uint32_t row;
	uint32_t level;
};
struct row_place rows_place(const struct rows *rows, uint64_t number);

/* All columns of a row. Errors: CORRUPT  its key; NOT_FOUND  a tombstone, of which no block has told. */
enum status rows_get(const struct rows *rows, uint64_t id, struct frame_row *out);

/* The key alone, which reads less memory. Errors: as rows_get. */
enum status rows_get_key(const struct rows *rows, uint64_t id, const uint8_t **key, size_t *len);

/* Prefetches a row's key, for a rows_get or rows_get_key that follows soon. */
void rows_prefetch_key(const struct rows *rows, uint64_t id);

/* Whether rows of the files may have been written or deleted since. If not, rows_is_superseded is false
 * for all of them. */
static inline bool rows_are_followed(const struct rows *rows)
{
	return rows->table->level_count > 1 || !memtable_is_empty(&rows->memtable);
}

/* The same of this row, wherever it is. */
static inline bool rows_may_be_superseded(const struct rows *rows, uint64_t id)
{
	return id < rows_first_base_id
		       ? rows->stream.generations[0] != NULL && rows->stream.generations[1] != NULL
		       : rows_are_followed(rows);
}

/* Whether a row was written or deleted since: of the files, the memtable has its key, or a newer delta; of
 * the memtable, its newer generation has. Also
 * where a newer delta cannot tell; then the walk ends with CORRUPT. */
bool rows_is_superseded(const struct rows *rows, uint64_t id, const uint8_t *key, size_t len);

/* The same for many rows at once, so that their cache misses overlap: rows_ask of each, then rows_ask_entry of each,
 * rows_ask_version, and rows_answer. */
struct rows_asked {
	uint64_t id;
	const uint8_t *key; /* borrowed */
	size_t len;
	uint64_t hash;
	uint32_t level;
};
/* Of a row of the memtable; `place` counts for a row of the files alone. Errors: CORRUPT  its key. */
enum status rows_ask(const struct rows *rows, uint64_t id, const struct row_place *place,
	struct rows_asked *out);
void rows_ask_entry(const struct rows *rows, const struct rows_asked *asked);
void rows_ask_version(const struct rows *rows, const struct rows_asked *asked);
/* As rows_is_superseded. */
bool rows_answer(const struct rows *rows, const struct rows_asked *asked);

/* Whether a reader uses this version of a row of the memtable. */
bool rows_is_newest(const struct rows *rows, const struct memtable_entry *entry,
	const struct row_version *version);

/* Below 0: the key of `a` comes before that of `b`: numbers by value, byte strings as by memcmp. */
int rows_compare_keys(const struct rows *rows, uint64_t a, uint64_t b);

#endif
