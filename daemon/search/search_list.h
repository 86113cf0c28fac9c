/* search_list.h - a search among the keys of a list.
 *
 * Threads: as search.h.
 */
#ifndef DAEMON_SEARCH_SEARCH_LIST_H
#define DAEMON_SEARCH_SEARCH_LIST_H

#include "schema/status.h"

struct search;

/* Scores the rows of filter->allow; the best are then in search->tops. Errors: as search_run. */
enum status search_list(struct search *search, struct error *err);

#endif
