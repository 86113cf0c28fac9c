/* search_rank.h - among how many rows are the best k that may be found?
 *
 * An index is calibrated by searches that may find every row. If some may not be found (a filter, an
 * age, a list of keys, rows that were written again), then the k-th best that may is not the k-th
 * best of all, and a search for it is like one for more rows. How many is estimated before a search,
 * from the share of rows that pass, and counted by it: it keeps the scores of the rows that it looked
 * at and that may not be found.
 *
 * Threads: as search.h.
 */
#ifndef DAEMON_SEARCH_SEARCH_RANK_H
#define DAEMON_SEARCH_SEARCH_RANK_H

#include "daemon/retrieval/score/topk.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct search;

/* Can there be rows that may not be found? */
bool search_may_drop(const struct search *search);

/* k, divided by the share of the rows of the base files whose tags and age pass: counted if there
 * are few rows, else the lower end of what a sample of them says. UINT64_MAX: hardly any pass. After
 * rows_begin, with all segments checked. */
uint64_t search_hits_among(const struct search *search);

/* Scores of rows that may not be found. Zeroed, it is empty. */
struct search_rank {
	float *scores; /* owned */
	size_t count;
	size_t capacity;
};
void search_rank_fini(struct search_rank *rank);

/* Errors: NO_MEMORY. */
enum status search_rank_add(struct search_rank *rank, float score);

/* How many rows, of those that may be found and of those that may not, reach the k-th best score. */
uint64_t search_rank_of(const struct search_rank *rank, struct topk *top);

#endif
