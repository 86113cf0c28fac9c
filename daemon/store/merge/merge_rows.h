/* merge_rows.h - writes a table's base files anew, with the rows of its frozen memtable.
 *
 * It goes segment by segment. The rows of a segment and those of the memtable with the same prefix
 * become a new segment; if that would be too large, it is split by one more bit of the hash.
 *
 * Threads: one at a time a table; `set` is held, and its segments are checked.
 */
#ifndef DAEMON_STORE_MERGE_MERGE_ROWS_H
#define DAEMON_STORE_MERGE_MERGE_ROWS_H

#include "daemon/store/base/base_files.h"
#include "daemon/store/memtable/memtable.h"

struct merge_input {
	const struct table_spec *spec;
	uint64_t release;
	uint64_t table;
	struct key_seed seed;
	struct base_set *set;            /* NULL: the table has no files yet */
	const struct memtable_row *news; /* in the order of (hash, key) */
	size_t count;
	int64_t expired_ms; /* rows of this time or before are left out; INT64_MIN: none */
	/* Is called after each segment with its bytes, and may wait. If it does not return OK, the
	 * work ends with what it returned. */
	enum status (*pace)(void *arg, uint64_t bytes, struct error *err);
	void *pace_arg;
};

/* Errors: CORRUPT  a segment is damaged; DISK_FULL; IO; NO_MEMORY; TOO_LARGE  see seal_table;
 *         pace's. */
enum status merge_rows(const struct merge_input *input, struct base_files *files,
	struct error *err);

#endif
