/* search_whole.h - a search that scores every row of a table.
 *
 * Threads: as search.h.
 */
#ifndef DAEMON_SEARCH_SEARCH_WHOLE_H
#define DAEMON_SEARCH_SEARCH_WHOLE_H

#include "schema/status.h"

struct search;

/* After search_restart; the best are then in search->tops. Errors: as search_run. */
enum status search_whole(struct search *search, struct error *err);

/* Scores the block of rows in search->rows. Errors: CORRUPT. */
enum status search_block(struct search *search);

#endif
