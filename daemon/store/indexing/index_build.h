/* index_build.h - makes the indexes of a table's base files, and the images of files of its deltas.
 *
 * Axes, basis and recalls are found from all rows of the base, and all files have the same. Later a file gets its index by itself, on
 * the axes that there are.
 *
 * Threads: any. It takes long, so it runs on a thread that nobody waits for.
 */
#ifndef DAEMON_STORE_INDEXING_INDEX_BUILD_H
#define DAEMON_STORE_INDEXING_INDEX_BUILD_H

#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct index;
struct index_before;
struct indexes;
struct table;

struct index_job {
	const char *folder;
	uint64_t release;
	const struct table *table; /* held by the caller */
	size_t level;              /* whose files they are of */
	/* Queries of the calibration, [query_count, dim]; none: rows of the table are taken. */
	const float *queries;
	uint32_t query_count;
	uint64_t memory_bytes; /* at most so many for what is no image (struct store_sizes) */
	const _Atomic bool *stop;
};

/* On which axes a file gets its index. */
struct index_axes {
	const struct index *lead; /* held by the caller; the recalls are taken, too */
	/* The table as it was before a merge: rows that did not change keep their balls. This takes about as long as the merge; where
	 * it would take longer, since `work` would not suffice, it ends with AGAIN. NULL: all balls are found. */
	const struct index_before *before;
	uint64_t *
		work; /* with `before`: multiply-adds that finding balls of changed rows may take; what it takes is taken from it */
};
/* About two seconds of it. */
static const uint64_t index_work_max = UINT64_C(1) << 35;

/* Builds the index, or the image, of a file on axes that there are, writes and syncs its file (over the one that is there), and
 * opens it. Errors: BUSY  stopped; AGAIN  as above, and if balls would be too large; TOO_LARGE  memory_bytes; CORRUPT  a
 * damaged segment; DISK_FULL, IO (also when any file could not be read meanwhile), NO_MEMORY. */
enum status index_build(const struct index_job *job, size_t file, const struct index_axes *axes,
	struct index **out, struct error *err);

/* Finds axes, balls and recalls for all files of the base. What was built stands under its name when all is done. Errors:
 * as index_build, but AGAIN. */
enum status index_build_all(const struct index_job *job, struct indexes **out, struct error *err);

/* Calibrates the index of a base, which lacks none, anew by the queries of the job. Errors: the same. */
enum status index_calibrate(const struct index_job *job, const struct indexes *indexes,
	struct error *err);

/* Whether balls have so many rows that axes are to be found anew, for so many rows in all. */
bool index_is_outgrown(const struct index *lead, uint64_t rows);

#endif
