/* merge_range.h - a level of a table takes in what newer ones have, range by range (level_range.h): the base what all
 * deltas have, the range that waited longest first; or a delta what newer ones have, so that one more finds room.
 *
 * Each range is a change of the catalog of its own: it swaps in the new files of the level, and takes from newer ones
 * what they had for it. Neither the sequence that the table holds nor any position moves with it, since it merges
 * nothing of the log. A damaged range stays as it is, with what newer levels have for it; the others go on.
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

/* Which ranges are wanted, and of which level. */
struct range_wish {
	size_t level; /* 0: the base */
	/* Those for which newer levels have something, as long as deltas have more than so many thousandths of the
	 * base; 0: all of them */
	uint64_t share;
	bool expired;        /* those with rows that have expired for good */
	uint64_t older_than; /* those whose files have lower numbers; 0: of any age */
	size_t most;         /* no more than so many */
};

/* Merges them. job->ranges grows by how many there were. Errors: CORRUPT  a range that is wanted whatever the share is
 * damaged; the others were merged; NOT_FOUND  the release was dropped; those of merge_table. */
enum status merge_ranges(struct merge_job *job, const struct range_wish *wish, struct error *err);

/* About how many bytes the base writes for a share, once the frozen rows are a delta. */
uint64_t merge_ranges_bytes(const struct merge_job *job, uint64_t share);

/* Makes room for the delta that frozen rows become, if they do: newer deltas go into an older one. Errors: CORRUPT
 * no delta has become free, since a range is damaged; the others as above. */
enum status merge_make_room(struct merge_job *job, struct error *err);

#endif
