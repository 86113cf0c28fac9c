/* search_index.h - a search by a table's index of balls, and through what its memtable holds.
 *
 * Threads: as search.h.
 */
#ifndef DAEMON_METHOD_SEARCH_INDEX_H
#define DAEMON_METHOD_SEARCH_INDEX_H

#include "schema/status.h"

#include <stdbool.h>

struct search;

/* Whether the table has an index, and it serves such queries. */
bool search_index_can(const struct search *search);

/* Whether it is too much for a loop, as far as searches before it tell. */
bool search_index_is_long(const struct search *search);

/* The hits are in search->tops, compared and is_exact are set; or *is_done is false: the filter
 * lets so few rows pass that going through all of them is faster. Errors: as search_run. */
enum status search_index(struct search *search, bool *is_done, struct error *err);

#endif
