/* merge_range.h - the base of a table takes in what deltas have, range by range (level_range.h), the one that waited
 * longest first.
 *
 * Each range is a change of the catalog of its own: it swaps in the new files of the base, and takes from the deltas
 * what they had for it. Neither the sequence that the table holds nor any position moves with it, since it merges
 * nothing of the log. A damaged range stays as it is, with what deltas have for it; the others go on.
 *
 * Threads: the merge's thread.
 */
#ifndef DAEMON_STORE_MERGE_MERGE_RANGE_H
#define DAEMON_STORE_MERGE_MERGE_RANGE_H

#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct merge_job;

/* Which ranges are wanted. */
struct range_wish {
	/* Those for which deltas have something, as long as deltas have more than so many thousandths of the base;
	 * 0: all of them */
	uint64_t share;
	bool expired; /* those with rows that have expired for good */
	size_t most;  /* no more than so many */
};

/* Merges them. job->ranges says how many there were. Errors: CORRUPT  a range that is wanted whatever the share is
 * damaged; the others were merged; NOT_FOUND  the release was dropped; those of merge_table. */
enum status merge_ranges(struct merge_job *job, const struct range_wish *wish, struct error *err);

#endif
