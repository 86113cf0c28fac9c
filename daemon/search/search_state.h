/* search_state.h - the options of a search, its memory, and the keys of its hits.
 *
 * Only the files of a search include this; others include search.h.
 *
 * Threads: as search.h.
 */
#ifndef DAEMON_SEARCH_SEARCH_STATE_H
#define DAEMON_SEARCH_SEARCH_STATE_H

#include "daemon/retrieval/score/scorer.h"
#include "daemon/retrieval/score/topk.h"
#include "daemon/search/filter.h"
#include "daemon/search/query.h"
#include "daemon/store/read/rows.h"
#include "daemon/store/system/stop.h"

#include <assert.h>

struct search_options {
	const struct search_place *place; /* borrowed, as the next two */
	const struct query *query;
	const struct filter *filter;
	uint32_t k;
	float min_score;
	double recall;           /* the part of the k best that suffices: above 0; 1: all of them */
	bool may_block;          /* false on a loop: a search that takes long ends with AGAIN */
	uint64_t here_ns;        /* on a loop: after so long */
	const struct stop *stop; /* borrowed; NULL: nothing stops it */
};

struct search {
	struct search_options options;
	uint64_t
		leaves_ns; /* monotonic clock; from then on the search ends with AGAIN; UINT64_MAX if the search may block */
	struct scorer scorer;
	struct topk *tops; /* owned: [queries] */
	struct rows rows;
	/* Owned, in one allocation: columns of one block of rows. */
	float *scores;      /* [queries, rows_max] */
	uint8_t *converted; /* rows as the scorer takes them */
	uint32_t *chosen;   /* numbers of the rows that pass the filter */
	uint32_t *views;    /* of items with a history: how many of each chosen row are taken */
	uint8_t *verdicts;  /* one for each chosen row */
	/* out */
	uint64_t compared; /* rows looked at; by an index, the sum over all queries */
	bool is_exact;     /* no other row can be among the best */
	bool is_by_users;  /* the index was calibrated by rows of users */
};

/* The best rows of query i. */
static inline const struct topk *search_hits(const struct search *search, uint32_t i)
{
	assert(search->tops != NULL && i < search->options.query->count);
	return &search->tops[i];
}

/* The spec of the items. */
static inline const struct table_spec *search_spec(const struct search *search)
{
	return &search->options.place->items->spec;
}

/* May only the keys of a list be found? Then the id of a hit
 * is the number of a key of that list. */
static inline bool search_is_listed(const struct search *search)
{
	return search->options.filter->has_allow;
}

/* Asks for the memory of the key of a hit, so that search_key
 * does not wait for it a little later. */
void search_prefetch_key(const struct search *search, uint64_t id);

/* The key of a hit; for u64 its 8 bytes. Errors: CORRUPT. */
enum status search_key(const struct search *search, uint64_t id, const uint8_t **key, size_t *len);

/* Memory for one block. Errors: NO_MEMORY. */
enum status search_make_room(struct search *search);
void search_drop_room(struct search *search);

/* Forgets what was found and counted, and ends the walk through the rows: a search begins with
 * this, and so does a second attempt. Errors: NO_MEMORY. */
enum status search_restart(struct search *search);
void search_drop_tops(struct search *search);

#endif
