/* repair.h - writes ranges of a table anew of which a page is damaged, without what cannot be read.
 *
 * Such a range is merged by nobody, and its table takes no writes. What is left out, and why, is said in salvage.h. Each range is
 * a change of the catalog of its own; until it is durable the old files stay. Neither the log nor the rows in memory
 * are touched: they are newer than any file.
 *
 * Threads: store_repair: any.
 */
#ifndef DAEMON_STORE_MERGE_REPAIR_H
#define DAEMON_STORE_MERGE_REPAIR_H

#include "schema/name.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct merge_job;
struct merge_scope;
struct stop;
struct store;

/* Counts are of rows, or of keys where it says so:
 *   partial     of those kept, whose time, tags or low parts could not be read, and are 0 now
 *   lost        keys that can be read, whose row cannot
 *   given_up    keys with a row that a newer one, which cannot be read, may have replaced
 *   unreadable  rows, of the base and of deltas, whose keys cannot be read */
struct repair_range {
	uint64_t first; /* hashes */
	uint64_t last;
	uint64_t kept;
	uint64_t partial;
	uint64_t lost;
	uint64_t given_up;
	uint64_t unreadable;
	size_t file_count;
	uint64_t *files; /* owned: numbers of those that are damaged */
};

struct repair_report {
	struct name release;
	struct table_name name; /* of the table, as the release has it */
	uint64_t number;        /* of the release */
	uint64_t table;         /* number */
	/* The log has samples that the last start could not add to states on damaged pages: the next start does. Until
	 * then the table is not merged. */
	bool needs_start;
	size_t count;
	struct repair_range *ranges; /* owned */
};
void repair_report_fini(struct repair_report *report);

struct repair_wish {
	const char *release; /* NULL: the live one */
	struct table_name table;
	bool dry_run; /* only says what would be left out */
};

/* Reads all of the table and repairs the ranges that are damaged; none is, and the report is empty. The caller ends
 * the report. Errors: NOT_FOUND; NOT_SEALED; CORRUPT  a page was damaged meanwhile; DISK_FULL; BUSY  the daemon is
 * stopping; READ_ONLY; IO; NO_MEMORY; those of `stop`, which end the wait: the repair goes on. After an error ranges
 * may have been repaired. */
enum status store_repair(struct store *store, const struct repair_wish *wish,
	const struct stop *stop, struct repair_report *out, struct error *err);

/* The merger's: does it. */
enum status repair_table(const struct merge_job *model, const struct merge_scope *scope,
	bool dry_run, struct repair_report *report, struct error *err);

#endif
