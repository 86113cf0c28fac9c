/* search_index.h - a search by the index of a table, by the images of its deltas and its memtable, and through the
 * rows that no image has.
 *
 * Threads: as search.h.
 */
#ifndef DAEMON_SEARCH_SEARCH_INDEX_H
#define DAEMON_SEARCH_SEARCH_INDEX_H

#include "schema/status.h"

#include <stdbool.h>
#include <stdint.h>

struct search;

/* Does the table have an index that can answer these queries? */
bool search_index_can(const struct search *search);

/* How long the search by the index will take, as the times of the searches before it tell. UINT64_MAX:
 * there was none of its kind. */
uint64_t search_index_expect_ns(const struct search *search);

/* About how many rows of the memtable no image has: a search goes through all of these. */
uint64_t search_index_written(const struct search *search);

/* How many rows of files have no index or image: a search goes through all of these, too. */
uint64_t search_index_scanned(const struct search *search);

/* After search_restart. If *is_done, the best are in search->tops, and `compared` and `is_exact`
 * are set. If not, the filter lets so few rows pass that going through all rows is faster, and the
 * search must be restarted. Errors: as search_run. */
enum status search_index(struct search *search, bool *is_done, struct error *err);

#endif
