/* merge.h - asks for a merge and waits for it.
 *
 * Threads: any.
 */
#ifndef DAEMON_STORE_MERGE_MERGE_H
#define DAEMON_STORE_MERGE_MERGE_H

#include "schema/name.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stop;
struct store;

struct merge_result {
	uint64_t tables;
	uint64_t rows; /* in the files that were written */
	uint64_t bytes;
};
/* Merges all that was written before the call into files, at merge_rate, and has a base take in ranges of deltas that
 * are too many, without a pause. Errors: CORRUPT  a
 * table has a damaged segment and stays as it is, the others are merged; DISK_FULL; BUSY  the daemon
 * is stopping; READ_ONLY; IO; NO_MEMORY; those of `stop` (NULL: nothing), which end the wait: the
 * merge goes on. */
enum status store_merge(struct store *store, const struct stop *stop, struct merge_result *out,
	struct error *err);

/* The same, and tables with deltas become one base again. */
enum status store_merge_full(struct store *store, const struct stop *stop, struct merge_result *out,
	struct error *err);

/* Which tables of which release. */
struct merge_tables {
	const char *release; /* NULL: the live one */
	const struct table_name *names;
	size_t count; /* 0: all of the release */
	bool full;
};
/* The same of these tables alone, deltas and bases; the others, and what waits for them in the log, stay as they are.
 * Errors: NOT_FOUND, naming release or table, and what there is; NOT_SEALED; CORRUPT, DISK_FULL and so on, of one of
 * these. */
enum status store_merge_tables(struct store *store, const struct merge_tables *which,
	const struct stop *stop, struct merge_result *out, struct error *err);

#endif
