/* index_known.h - which rows stay in their balls when the base files of an index are written anew.
 *
 * Threads: any; both tables are held, and all of their segments checked.
 */
#ifndef DAEMON_STORE_INDEXING_INDEX_KNOWN_H
#define DAEMON_STORE_INDEXING_INDEX_KNOWN_H

#include "schema/status.h"

#include <stdint.h>

struct index;
struct table;

struct index_known {
	uint32_t *balls;  /* malloc'ed: free() it */
	uint64_t unknown; /* rows without a ball: new ones, and those that have changed */
	uint64_t gone;    /* rows of before that are not there, or have changed */
};

/* Finds for each row of `table` its ball in `index`, which is that of `before`; UINT32_MAX if the row is
 * new or has changed. Errors: NO_MEMORY. */
enum status index_known(const struct table *table, const struct table *before,
	const struct index *index, struct index_known *out);

#endif
