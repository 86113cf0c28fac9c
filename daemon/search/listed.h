/* listed.h - scores of the rows of a list of keys, block by block.
 *
 *   listed_begin -> listed_next: a block -> listed_end
 *
 * Threads: one at a time, in the snapshot that the table is of.
 */
#ifndef DAEMON_SEARCH_LISTED_H
#define DAEMON_SEARCH_LISTED_H

#include "daemon/retrieval/score/scorer.h"
#include "daemon/search/query.h"
#include "daemon/store/read/lookup.h"

struct listed {
	/* borrowed; only table, keys, visible, now_ms and may_block are read */
	const struct lookup *lookup;
	struct scorer *scorer; /* borrowed */
	uint32_t first;        /* number of the first key of the block */
	uint32_t count;        /* keys of the block; 0: there is no other block */
	float *scores;   /* [queries, scorer->rows_max]; without meaning where no row was found */
	uint64_t *tags;  /* NULL: the table has none */
	uint8_t *found;  /* a bit each, lowest first */
	uint32_t *views; /* of a table with a history: how many of each row are taken */
	uint8_t *rows;   /* owned */
};

/* The dtype in which rows are looked up. */
static inline enum dtype listed_dtype(const struct scorer *scorer)
{
	return metric_is_of_bits(scorer->shape.metric) ? DTYPE_BIT : DTYPE_F32;
}

/* Makes the scorer of a query. The query outlives it. Errors: NO_MEMORY. */
enum status listed_scorer_init(struct scorer *scorer, const struct scorer_shape *shape,
	const struct query *query);

/* Errors: NO_MEMORY. */
enum status listed_begin(struct listed *listed, const struct lookup *lookup, struct scorer *scorer);
void listed_end(struct listed *listed);

/* Goes on to the next block. Errors: as table_lookup. */
enum status listed_next(struct listed *listed, struct error *err);

/* Is there a row of key i of the block? */
static inline bool listed_has(const struct listed *listed, uint32_t i)
{
	return (listed->found[i / 8] >> i % 8 & 1) != 0;
}

#endif
