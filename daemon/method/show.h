/* show.h - how replies describe releases and tables.
 *
 * Threads: between snapshot_begin and snapshot_end.
 */
#ifndef DAEMON_METHOD_SHOW_H
#define DAEMON_METHOD_SHOW_H

#include "daemon/store/snapshot/snapshot.h"
#include "schema/wire.h"

#include <stddef.h>
#include <stdint.h>

struct store;

/* How long the next four take, in nanoseconds (cost.h). */
uint64_t show_release_cost(const struct release *release);
uint64_t show_table_cost(const struct table *table);
uint64_t show_levels_cost(const struct table *table);
uint64_t show_tables_cost(const struct release *release);

/* Writes a map that describes a release. The caller writes `more` entries behind these. */
void show_release(struct wire_writer *out, const struct snapshot *snapshot,
	const struct release *release, size_t more);

/* Writes a map that describes a table. The caller writes `more` entries behind these. */
void show_table(struct wire_writer *out, struct store *store, const struct table *table,
	size_t more);

/* Writes the entry `levels`: an array that describes those of a table, the base first. */
void show_levels(struct wire_writer *out, const struct table *table);

/* Writes the entry `name`: an array that describes all tables of a release. */
void show_tables(struct wire_writer *out, struct store *store, const char *name,
	const struct release *release);

#endif
