/* balls_candidates.h - rows that may be among the best, and the k-th best score so far.
 *
 * Rows whose bounds are high enough wait in a flat buffer. They are scored in full, a batch at a
 * time, those of the highest bounds first: so the threshold rises early, and others need no score.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_RETRIEVAL_BALLS_BALLS_CANDIDATES_H
#define DAEMON_RETRIEVAL_BALLS_BALLS_CANDIDATES_H

#include "daemon/retrieval/balls/balls_kernels.h"
#include "daemon/retrieval/balls/balls_kth.h"

struct balls_candidates {
	const struct balls_kernels *kernels; /* borrowed */
	struct balls_query *query;           /* borrowed */
	struct balls_found found;            /* borrowed */
	size_t capacity;                     /* of found */
	struct balls_kth kth;
};

/* The hits that query->top already holds count among the best. */
void balls_candidates_begin(struct balls_candidates *candidates);

/* Empties the buffer: scores each row that waits, or drops it because its bound is too low. */
void balls_candidates_settle(struct balls_candidates *candidates);

/* Rows of some balls: all, or those listed. */
struct balls_listed {
	const uint32_t *rows; /* NULL: all */
	uint32_t count;
	uint32_t most;  /* the balls have so many rows */
	uint32_t first; /* the number of their first in this search */
};

/* Scores rows without a look at bounds. Errors: BUSY  cancelled. */
enum status balls_candidates_score(struct balls_candidates *candidates,
	const struct balls_listed *listed);

static inline bool balls_is_cancelled(const struct balls_query *query)
{
	return query->cancel != NULL && *query->cancel;
}

#endif
