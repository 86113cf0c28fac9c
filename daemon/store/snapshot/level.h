/* level.h - the levels of a table: its base, and above it the deltas that merges have written.
 *
 * A level is a set of files. Those of the base, level 0, have segments for every hash once; a delta has none where
 * nothing changed, or where the base has taken in what it had (level_range.h). Each delta has
 * a number, and of two deltas the one of the greater number is newer. What a newer level says of a key
 * counts: a row, a tombstone, or that it cannot tell since a segment is damaged; only where it has
 * nothing, older levels are asked.
 *
 * Tables share levels: one that a merge makes has those of the table before, and a delta more. Where some files of a
 * level were written anew, the levels share the others. So a file stays open until the last table that has it is
 * gone.
 *
 * Which deltas may have a key is told by the table's filter (level_filter.h).
 *
 * Threads: a level is constant once it is open, but for the states of its segments and its image. The admin lock
 * guards all counts of references.
 */
#ifndef DAEMON_STORE_SNAPSHOT_LEVEL_H
#define DAEMON_STORE_SNAPSHOT_LEVEL_H

#include "daemon/store/base/base.h"
#include "daemon/store/base/find.h"
#include "daemon/store/snapshot/snapshot.h"

struct indexes;

struct level {
	uint64_t number;  /* of the delta; 0: the base */
	uint64_t rows;    /* without tombstones */
	uint64_t deleted; /* tombstones */
	uint64_t hides;   /* rows of older levels that it hides, as far as that was counted */
	bool is_counted;  /* it was counted, of all of its files */
	uint64_t bytes;   /* of the files */
	size_t file_count;
	struct base_file_info *files; /* owned, in the order of their hashes */
	struct base_set *set;         /* owned; NULL: not opened yet */
	/* Owned, of these files, if it is a delta of a table with an index; NULL: its rows are scanned. It is
	 * set once, when each file that shall have an image has one. */
	_Atomic(struct indexes *) images;
	unsigned refs; /* tables; guarded by the admin lock */
};

/* Gives up a reference; NULL is fine. */
void level_drop(struct level *level);

/* Adds a level with these files, the newest, to a table that no snapshot has yet. Takes the files over,
 * also after a failure. Errors: NO_MEMORY; CORRUPT  there would be more than TABLE_LEVELS_MAX. */
enum status table_add_level(struct table *table, uint64_t number, struct base_file_info *files,
	size_t count);

/* Adds a file's record to its level, which is the table's from now on, also after a failure. Files are
 * numbered in the order in which they were begun, and kept in the order of their hashes. `rows` is left
 * as it is. Errors: NO_MEMORY; CORRUPT  more than TABLE_LEVELS_MAX levels. */
enum status table_add_file(struct table *table, struct base_file_info *info);

/* Shares a level, which is newer than those that the table has. The admin lock is held. */
void table_share_level(struct table *table, struct level *level);

/* Shares the oldest `count` levels of another table with one that has none yet. The admin lock is
 * held. */
void table_share_levels(struct table *table, const struct table *from, size_t count);

/* Whether a table, which may be NULL, has this level. */
bool table_has_level(const struct table *table, const struct level *level);

/* Whether a level of a table has the file of this number. */
bool table_has_file(const struct table *table, uint64_t number);

/* The files of all levels, the base's first. */
size_t table_file_count(const struct table *table);
const struct base_file_info *table_file(const struct table *table, size_t i);

/* Rows of a level's files, with tombstones. */
static inline uint64_t level_file_rows(const struct level *level)
{
	return level->rows + level->deleted;
}

/* Keys that have a row in the levels. *exact false: at most so many, since of some delta it was not counted how
 * many rows it hides. */
uint64_t table_count_rows(const struct table *table, bool *exact);
/* The same of all tables. */
uint64_t release_count_rows(const struct release *release, bool *exact);

/* Segments of all levels. */
size_t table_segment_count(const struct table *table);

/* Whether all segments of all levels are in memory and checked, so that nothing of them waits for the disk now. */
bool table_is_at_hand(const struct table *table);

/* Finds keys [first, first + count) of a batch in the levels of a table, as find_rows does in one set;
 * `set`, `sets` and `asks` of `find` are set here. A row that was found may be a tombstone
 * (found_is_deleted). */
enum status table_find_rows(const struct table *table, const struct find *find, uint32_t first,
	uint32_t count, struct found_row *rows);

/* The same in the oldest `below` levels, above 0. */
enum status table_find_below(const struct table *table, size_t below, const struct find *find,
	uint32_t first, uint32_t count, struct found_row *rows);

/* Load what table_is_above will look at into the cache: first the filter, then slots. */
void table_prefetch_filter(const struct table *table, uint64_t hash);
void table_prefetch_above(const struct table *table, size_t i, uint64_t hash);

/* Whether a level above level i has something of a key, or cannot tell. May block. */
bool table_is_above(const struct table *table, size_t i, uint64_t hash, const uint8_t *key,
	size_t len);

#endif
