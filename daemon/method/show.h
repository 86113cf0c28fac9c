/* show.h - releases and tables as replies describe them.
 *
 * Threads: between snapshot_begin and snapshot_end.
 */
#ifndef DAEMON_METHOD_SHOW_H
#define DAEMON_METHOD_SHOW_H

#include "daemon/store/snapshot.h"
#include "schema/wire.h"

#include <stddef.h>

/* A map of a release's entries, with room for `more` entries that the caller writes. */
void show_release(struct wire_writer *out, const struct snapshot *snapshot,
	const struct release *release, size_t more);

/* The same of a table. */
void show_table(struct wire_writer *out, const struct table *table, size_t more);

/* The entry `name`: an array of all tables of a release. */
void show_tables(struct wire_writer *out, const char *name, const struct release *release);

#endif
