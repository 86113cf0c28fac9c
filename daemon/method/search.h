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

#include "daemon/method/filter.h"
#include "daemon/method/query_of.h"
#include "daemon/retrieval/scorer.h"
#include "daemon/retrieval/topk.h"
#include "daemon/store/rows.h"

#include <stdatomic.h>

struct call;

struct search_options {
	const struct query_place *place; /* borrowed, as the next two */
	const struct query_of *query;
	const struct filter *filter;
	uint32_t k;
	float min_score;
	double recall;        /* that suffices, of the k best: above 0; 1: all */
	uint64_t deadline_ms; /* since it was read */
};

struct search {
	struct search_options options;
	uint64_t ends_ns;   /* monotonic clock, as the next */
	uint64_t leaves_ns; /* a loop, for a thread that has time; never, if it is on one */
	struct scorer scorer;
	struct topk *tops; /* owned: [queries] */
	struct rows rows;
	/* owned, in one piece: of a block */
	float *scores;      /* [queries, rows_max] */
	uint8_t *converted; /* rows as the scorer takes them */
	uint32_t *chosen;   /* rows that pass the filter */
	uint8_t *verdicts;  /* of each of these */
	/* out */
	uint64_t compared; /* rows looked at; by an index anew for each query */
	bool is_exact;     /* no other row can be among the best */
};

/* Errors: NO_MEMORY. */
enum status search_begin(struct search *search, const struct search_options *options,
	struct error *err);
void search_end(struct search *search); /* zeroed is fine */

/* Whether it is too much for a loop, as far as can be told. */
bool search_is_long(const struct search *search);

/* Errors: AGAIN  it is too much for a loop after all; CORRUPT  a damaged segment; TIMEOUT; CLOSED
 * nobody waits; NO_MEMORY. */
enum status search_run(struct search *search, struct error *err);

/* ---- for its own files ---- */

/* Errors: AGAIN; TIMEOUT; CLOSED. */
enum status search_check_time(const struct search *search, struct error *err);
/* Scores the rows of search->rows.block. Errors: CORRUPT. */
enum status search_block(struct search *search);
/* Whether tags and age of a row let it be found. */
bool search_passes(const struct search *search, const int64_t *time_ms, const uint64_t *tags);
/* Whether a row that is good enough may not be found all the same, which costs a look-up. Errors:
 * CORRUPT. */
enum status search_is_dropped(const struct search *search, uint64_t id, bool is_base, bool *out);

/* The best of query i. */
static inline const struct topk *search_hits(const struct search *search, uint32_t i)
{
	return &search->tops[i];
}

/* Asks for the memory of the key of a hit, which the next is to return soon. */
void search_prefetch_key(const struct search *search, uint64_t id);

/* The key of a hit; for u64 its 8 bytes. Errors: CORRUPT. */
enum status search_key(const struct search *search, uint64_t id, const uint8_t **key, size_t *len);

#endif
