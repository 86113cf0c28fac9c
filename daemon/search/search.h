/* search.h - finds the rows of a table that are best for each query, in one snapshot.
 *
 *   search_begin -> search_run -> search_hits, search_key -> search_end
 *
 * It never finds a deleted or an expired row, and it sees every row that was put before the
 * snapshot was taken. Hits are sorted: the best first, and of equal scores the smaller key first. A
 * search ends early when nobody waits for it any more, or when its time is over.
 *
 * Threads: one at a time, between snapshot_begin and snapshot_end.
 */
#ifndef DAEMON_SEARCH_SEARCH_H
#define DAEMON_SEARCH_SEARCH_H

#include "daemon/search/search_state.h"

/* Errors: NO_MEMORY. */
enum status search_begin(struct search *search, const struct search_options *options,
	struct error *err);
void search_end(struct search *search); /* zeroed is fine */

/* How long it will take until its rows are found, from what is known before it. UINT64_MAX: nobody
 * knows, or it would wait for the disk. */
uint64_t search_expect_ns(const struct search *search);

/* Errors: AGAIN  it may not block, and takes too long on a loop after all; CORRUPT  a damaged
 * segment; TIMEOUT; CLOSED  nobody waits for it; NO_MEMORY. */
enum status search_run(struct search *search, struct error *err);

#endif
