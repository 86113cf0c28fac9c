/* search_visit.h - one query on its way through the index and through images of what was written: which
 * of the rows that these name may be found, and their scores.
 *
 *   search_visit_open -> search_visit_balls -> search_visit_reason -> search_visit_close
 *
 * Threads: as search.h.
 */
#ifndef DAEMON_SEARCH_SEARCH_VISIT_H
#define DAEMON_SEARCH_SEARCH_VISIT_H

#include "daemon/retrieval/balls/balls.h"
#include "daemon/search/search_rank.h"
#include "daemon/search/search_state.h"
#include "daemon/store/row/stored.h"

struct written_row;

/* Whose rows are named by some of the numbers of a search through balls: a file, or an image of what was
 * written. */
struct search_part {
	const struct balls *balls;
	const struct written_row *rows; /* of an image; NULL: of a file */
	uint64_t first_of_files;        /* the number of the first row of the file (rows.h) */
	uint32_t first; /* its number in the search; those that follow have the next numbers */
};

struct search_visit {
	struct search *search;
	struct topk *top;
	const struct balls_query *asked; /* of the balls that are searched */
	const struct search_part *parts; /* in the order of their numbers */
	size_t part_count;
	struct scorer scorer; /* of this query alone */
	struct stored_reader reader;
	uint8_t *rows; /* owned: as the scorer takes them */
	float *scores; /* owned */
	uint64_t tried;
	uint64_t passed;
	/* Rows that may not be found are scored too, and `rank` keeps their scores. */
	bool is_ranked;
	struct search_rank rank;
	enum status status; /* why it was cancelled; OK: it was not, or it is sparse */
	bool is_sparse;     /* too few rows pass the filter */
	_Atomic bool cancel;
	struct error *err;
};

/* Zeroed but for is_ranked and err. Errors: NO_MEMORY. */
enum status search_visit_open(struct search_visit *visit, struct search *search, uint32_t query);
void search_visit_close(struct search_visit *visit);

/* Searches through the balls of some parts on the same axes in one pass; the first part has number 0. `asked` has metric
 * and factor. Errors: as balls_search. */
enum status search_visit_balls(struct search_visit *visit, const struct search_part *parts,
	size_t count, struct balls_query *asked, struct balls_space *space);

/* Why a visit has failed, if it has. */
enum status search_visit_reason(const struct search_visit *visit, enum status status);

#endif
