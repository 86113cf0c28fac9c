/* upgrade_table.h - writes the base files of one table of version 0.1 anew.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_STORE_UPGRADE_UPGRADE_TABLE_H
#define DAEMON_STORE_UPGRADE_UPGRADE_TABLE_H

#include "schema/status.h"

#include <stdbool.h>
#include <stdint.h>

struct release;
struct table;

/* No more than so many bytes of new files come of a table. */
uint64_t upgrade_table_bytes(const struct table *table);

/* Whether its files are of today already. A table without files is neither. */
bool upgrade_table_is_done(const struct table *table);

/* Writes new files of a table that has files, beside the old ones in the release's folder, syncs them, reads them back, and
 * gives them to the table in place of the old ones. After an error there are no new files.
 * Errors: CORRUPT, UNSUPPORTED, naming file and segment; DISK_FULL; IO; NO_MEMORY. */
enum status upgrade_table(const char *folder, const struct release *release, struct table *table,
	struct error *err);

#endif
