/* index_known.h - what of an index stays when its base files are written anew.
 *
 * Threads: any; both tables are held, and all of their segments checked.
 */
#ifndef DAEMON_STORE_INDEXING_INDEX_KNOWN_H
#define DAEMON_STORE_INDEXING_INDEX_KNOWN_H

#include "schema/status.h"

#include <stdint.h>

struct table;

/* For each row of `table` the ball that it is in by the index of `before`, which has one;
 * UINT32_MAX where the row is new or another. *out is malloc'ed: free() it. Errors: NO_MEMORY. */
enum status index_known(const struct table *table, const struct table *before, uint32_t **out);

#endif
