/* index_known.h - which rows stay in their balls when files of an index are written anew.
 *
 * Threads: any; both tables are held, and all of their segments checked.
 */
#ifndef DAEMON_STORE_INDEXING_INDEX_KNOWN_H
#define DAEMON_STORE_INDEXING_INDEX_KNOWN_H

#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

struct index;
struct table;

struct index_known {
	uint32_t *balls;  /* malloc'ed: free() it */
	uint64_t unknown; /* rows without a ball: new ones, and those that have changed */
	/* Rows that were not in the base before, or are not there, or have changed, whichever are more. */
	uint64_t changed;
};

/* Finds for each row of a level of `table` its ball in `index`, which is of the base of `before`, or in the image of
 * a delta with the same axes; UINT32_MAX if the row is new or has changed. The level took the place of this one
 * of `before` and those above it. Errors: NO_MEMORY. */
enum status index_known(const struct table *table, size_t level, const struct table *before,
	const struct index *index, struct index_known *out);

#endif
