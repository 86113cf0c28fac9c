/* balls_search.h - a search by kernels that the caller chooses, for tests.
 *
 * Threads: as balls.h.
 */
#ifndef DAEMON_RETRIEVAL_BALLS_BALLS_SEARCH_H
#define DAEMON_RETRIEVAL_BALLS_BALLS_SEARCH_H

#include "daemon/retrieval/balls/balls_kernels.h"

enum status balls_search_with(const struct balls *balls, struct balls_query *query,
	struct balls_space *space, const struct balls_kernels *kernels);

#endif
