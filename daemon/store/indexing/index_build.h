/* index_build.h - makes the index of a table's base files.
 *
 * Threads: any. It takes long, so it runs on a thread that nobody waits for.
 */
#ifndef DAEMON_STORE_INDEXING_INDEX_BUILD_H
#define DAEMON_STORE_INDEXING_INDEX_BUILD_H

#include "schema/status.h"

#include <stdint.h>

struct index;
struct table;

struct index_job {
	const char *folder;
	uint64_t release;
	const struct table *table; /* held by the caller, as the next two */
	/* The table whose rows are the queries of the calibration; NULL: `table` itself. */
	const struct table *queries;
	/* The table as it was before a merge. If it has an index, the new one keeps its axes, and
	 * keeps rows that did not change in their balls; not if its balls would be too large. NULL:
	 * everything is found anew. */
	const struct table *before;
	const _Atomic bool *stop;
};

/* Builds the index, writes and syncs its file (over a leftover, if there is one), and opens it.
 * Memory: some 80 bytes a row. Errors: BUSY  stopped; CORRUPT  a damaged segment; DISK_FULL, IO,
 * NO_MEMORY; NOT_FOUND  the table has no files. */
enum status index_build(const struct index_job *job, struct index **out, struct error *err);

#endif
