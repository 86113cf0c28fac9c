/* index_known.h - which rows stay in their balls when the base files of an index are written anew.
 *
 * Threads: any; both tables are held, and all of their segments checked.
 */
#ifndef DAEMON_STORE_INDEXING_INDEX_KNOWN_H
#define DAEMON_STORE_INDEXING_INDEX_KNOWN_H

#include "schema/status.h"

#include <stdint.h>

struct table;

/* Finds for each row of `table` its ball in the index of `before`, which has one; UINT32_MAX if the
 * row is new or has changed. *out is malloc'ed: free() it. Errors: NO_MEMORY. */
enum status index_known(const struct table *table, const struct table *before, uint32_t **out);

#endif
