/* merge_rows.h - writes the files of a new level: a base or a delta, of older levels and the rows of a
 * frozen memtable; or of a range of a level.
 *
 * It goes through a range of hashes piece by piece: as the segments of the levels are. The rows of a piece become
 * a new segment; if that would be too large, it is split by one more bit of the hash.
 *
 * A delta has files within those of the base, and none where it has no rows. It keeps tombstones, and rows that have expired become tombstones: where they were left out, an
 * older row below would come back. A base has neither.
 *
 * Threads: one at a time a table, which is held.
 */
#ifndef DAEMON_STORE_MERGE_MERGE_ROWS_H
#define DAEMON_STORE_MERGE_MERGE_ROWS_H

#include "daemon/store/base/base_files.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/snapshot/level_range.h"

struct salvage;

struct merge_input {
	const struct table *table;
	uint64_t release;
	size_t first; /* this level of the table, and all newer ones, go in; 0: to a base */
	struct hash_range range;         /* what is written */
	const struct memtable_row *news; /* of that range, in the order of (hash, key) */
	size_t count;
	/* What goes through a range that is damaged; NULL: all must be readable */
	struct salvage *salvage;
	int64_t expired_ms; /* rows of this time or before have expired for good; INT64_MIN: none */
	/* Is called after each segment with its bytes, and may wait. If it does not return OK, the
	 * work ends with what it returned. */
	enum status (*pace)(void *arg, uint64_t bytes, struct error *err);
	void *pace_arg;
};

/* `files` may be NULL with a salvage: then nothing is written. Errors: CORRUPT  a segment is damaged; DISK_FULL; IO; NO_MEMORY; TOO_LARGE  see seal_table;
 *         pace's. */
enum status merge_rows(const struct merge_input *input, struct base_files *files,
	struct error *err);

#endif
