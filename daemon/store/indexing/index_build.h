/* index_build.h - makes the index of a table's base files.
 *
 * Threads: any; it takes long, and wants a thread that nobody waits for.
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
	const struct table *table; /* held by the caller */
	const struct table
		*queries; /* whose rows are asked for, in the calibration; NULL: its own */
	/* What the table was before a merge, with an index: its axes stay, and rows that are what
	 * they were stay in their balls. NULL, or a table that has grown by a third since they were
	 * found: all anew. */
	const struct table *before;
	const _Atomic bool *stop;
};

/* Builds the index, writes and syncs its file, in the place of a leftover, and opens it. Memory:
 * some 80 bytes a row. Errors: BUSY  stopped; CORRUPT  a damaged segment; DISK_FULL, IO, NO_MEMORY.
 */
enum status index_build(const struct index_job *job, struct index **out, struct error *err);

#endif
