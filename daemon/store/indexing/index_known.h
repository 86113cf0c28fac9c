/* index_known.h - which rows stay in their balls when files of an index are written anew.
 *
 * Threads: any; both tables are held, and all of their segments in the range of the file are checked.
 */
#ifndef DAEMON_STORE_INDEXING_INDEX_KNOWN_H
#define DAEMON_STORE_INDEXING_INDEX_KNOWN_H

#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

struct index;
struct indexes;
struct table;

/* A level of a table as it was, and those above it, which a file has taken the place of in its range. */
struct index_before {
	const struct table *table;
	const struct indexes *indexes; /* of its base */
};

struct index_known {
	uint32_t *balls;  /* malloc'ed: free() it */
	uint64_t unknown; /* rows without a ball: new ones, and those that have changed */
	/* Of a file of the base: rows that were not in the base before, or are not there, or have changed, whichever are more; with
	 * those that had changed before. */
	uint64_t changed;
};

/* Finds for each row of a file of a level of `table` its ball on the axes of `lead`, in the index of the base, or in an image of
 * a delta, with these axes; UINT32_MAX if the row is new or has changed. Errors: NO_MEMORY. */
enum status index_known(const struct table *table, size_t level, size_t file,
	const struct index_before *before, const struct index *lead, struct index_known *out);

#endif
