/* index_rows.h - the rows of a level's files by their number, as a build reads them.
 *
 * Threads: one at a time. The table is held, and the segments that are read are checked. A tombstone, or what cannot be read, is
 * zeros.
 */
#ifndef DAEMON_STORE_INDEXING_INDEX_ROWS_H
#define DAEMON_STORE_INDEXING_INDEX_ROWS_H

#include "daemon/retrieval/building/balls_build.h"
#include "daemon/store/read/rows.h"
#include "daemon/store/row/stored.h"

/* Zeroed, it is closed. */
struct index_rows {
	struct rows rows;
	struct stored_reader reader;
	uint64_t first_id;
};

/* Numbers count from the first row of a file, through those behind it. Errors: NO_MEMORY. */
enum status index_rows_open(struct index_rows *rows, const struct table *table, size_t level,
	size_t file);
void index_rows_close(struct index_rows *rows);

/* The first so many of them. */
struct balls_source index_rows_source(struct index_rows *rows, uint64_t count);

#endif
