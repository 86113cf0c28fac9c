/* table_index.h - which index a table has: whether it shall have one, and of what base files.
 *
 * Threads: any, while the table is held.
 */
#ifndef DAEMON_STORE_SNAPSHOT_TABLE_INDEX_H
#define DAEMON_STORE_SNAPSHOT_TABLE_INDEX_H

#include "daemon/store/index/index.h"

#include <stdbool.h>
#include <stdint.h>

struct table;

/* Whether a table as it is now shall have one; with fewer rows than rows_min it needs none. */
bool table_wants_index(const struct table *table, uint64_t rows_min);

/* Its base files as they are now; borrowed from it. */
struct index_owner table_index_owner(const struct table *table, uint64_t release);

/* The name of the index file; false: a table without files has none. */
bool table_index_file_name(char *out, size_t size, const struct table *table);

#endif
