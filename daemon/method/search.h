/* search.h - the rows of a table that are most alike to each of some queries, of one snapshot.
 *
 *   search_begin -> search_run -> search_hits, search_key -> search_end
 *
 * Deleted and expired rows never appear; a row that was put before the snapshot was taken does.
 * Best first, ties by key. A search ends early when nobody waits for it, or when it is late.
 *
 * Threads: one at a time, between snapshot_begin and snapshot_end.
 */
#ifndef DAEMON_METHOD_SEARCH_H
#define DAEMON_METHOD_SEARCH_H

#include "daemon/method/search_state.h"

/* Errors: NO_MEMORY. */
enum status search_begin(struct search *search, const struct search_options *options,
	struct error *err);
void search_end(struct search *search); /* zeroed is fine */

/* Whether it is too much for a loop, as far as can be told. */
bool search_is_long(const struct search *search);

/* Errors: AGAIN  it is too much for a loop after all; CORRUPT  a damaged segment; TIMEOUT; CLOSED
 * nobody waits; NO_MEMORY. */
enum status search_run(struct search *search, struct error *err);

#endif
