/* index_build.h - makes the index of a table's base files, and the images of its deltas.
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
	const struct table *table; /* held by the caller, as `before` */
	/* Whose files it is of. The image of a delta is on the axes of `axes`, and has its recalls. */
	size_t level;
	/* Queries of the calibration, [query_count, dim]; none: rows of the table are taken. */
	const float *queries;
	uint32_t query_count;
	/* The table as it was before a merge, and its index, which is held too. The new one keeps its
	 * axes and its recalls, and keeps rows that did not change in their balls. This takes about as
	 * long as the merge; where it would take longer, it ends with AGAIN, and the indexer finds
	 * everything anew. NULL: that is to be done now. */
	const struct table *before;
	struct index
		*axes; /* the index of the base of `before`, or of a delta's table; else NULL */
	uint64_t memory_bytes; /* at most so many for what is no image (struct store_sizes) */
	const _Atomic bool *stop;
};

/* Builds the index, or the image of a delta, writes and syncs its file (over the one that is there), and opens it. Errors: BUSY
 * stopped; AGAIN  as above; TOO_LARGE  memory_bytes; CORRUPT  a damaged segment; DISK_FULL, IO (also when any file could
 * not be read meanwhile), NO_MEMORY; NOT_FOUND  the table has no files. */
enum status index_build(const struct index_job *job, struct index **out, struct error *err);

/* Calibrates the index that the table has by the queries of the job, in its file and at once for all
 * searches. Errors: as index_build. */
enum status index_calibrate(const struct index_job *job, struct index *index, struct error *err);

#endif
