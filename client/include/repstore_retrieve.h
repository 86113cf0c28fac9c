/* repstore_retrieve.h - the part of repstore.h that is about finding items: from a user's key to
 * the best of them, and the scores of named ones.
 *
 * It comes with repstore.h, whose words on threads, memory and errors are its own too.
 */
#ifndef CLIENT_INCLUDE_REPSTORE_RETRIEVE_H
#define CLIENT_INCLUDE_REPSTORE_RETRIEVE_H

#include "repstore.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How alike two vectors are; a larger score is nearer. REP_L2 is minus the squared distance. Of
 * bits: Tanimoto (Jaccard), Dice, and REP_HAMMING, minus the number of bits that differ. With
 * several vectors a query or several views a row, the score is the sum over the query's vectors of
 * weight * the best score with a view of the row. */
enum rep_metric {
	REP_INNER_PRODUCT = 1,
	REP_COSINE = 2,
	REP_L2 = 3,
	REP_TANIMOTO = 4,
	REP_DICE = 5,
	REP_HAMMING = 6
};

/* What is looked for: rows of a table, or vectors; borrowed. */
struct rep_query {
	const char *table; /* of the rows under `keys`; NULL: `rows` are given below */
	struct rep_keys keys;
	uint64_t max_age_ms; /* older rows are not found; counts with has_max_age, else it is 0 */
	/* [keys.count, views, dim]. Of `keys` only the count is used then, and the call must name
	 * the release: vectors of two checkpoints must not be compared. */
	const void *rows;
	size_t rows_bytes;
	enum rep_dtype dtype; /* REP_DTYPE_TABLE: f32 */
	uint32_t dim;
	uint32_t views;      /* 0: 1 */
	const float *scales; /* i8 */
	/* of either */
	const char *const *through; /* stored layers that each row goes through, as in rep_part */
	size_t through_count;
	const float *weights; /* of each vector of a query; NULL: 1 */
	uint32_t weights_count;
	bool has_max_age;
	/* REP_MISSING_DEFAULT: a key without a row, or with one that is too old, asks with the default row of
	 * its table, which is BAD_REQUEST where it has none. Else it is NOT_FOUND. */
	enum rep_missing missing;
	/* Of a table with a history: its vectors weigh half as much after each of these, counted from the
	 * newest of the row. 0: all weigh 1. */
	uint64_t history_half_life_ms;
	uint64_t reserved[6];
};

struct rep_retrieval {
	struct rep_query query;
	const char *in;         /* the table of items */
	uint32_t k;             /* items of each query, up to 10,000; 0: 100 */
	enum rep_metric metric; /* 0: inner product */
	double approximate; /* the recall that suffices if the table has an index; 0: 1, exact */
	bool has_min_score;
	bool has_tags_any;
	float min_score;              /* nothing below it */
	const struct rep_keys *allow; /* only these items; NULL: all */
	const struct rep_keys *deny;  /* not these items; NULL: none */
	/* An item's tags must have one of tags_any, which counts with has_tags_any (else it is 0), all
	 * of tags_all, and none of tags_none. */
	uint64_t tags_any;
	uint64_t tags_all;
	uint64_t tags_none;
	const char *const *with; /* tables whose rows under the items' keys come along */
	size_t with_count;
	uint64_t reserved[8];
};

/* Rows that came along with items. */
struct rep_with {
	char table[136];
	uint32_t dim;
	uint32_t views;
	enum rep_dtype dtype;
	size_t stride;        /* bytes of a row */
	const void *rows;     /* [n] of them */
	const uint8_t *found; /* as in rep_part */
	const float *scales;  /* i8; else NULL */
	uint64_t reserved[8];
};

/* The items of one query, best first, ties by key. */
struct rep_hits {
	uint32_t n;
	struct rep_keys keys;
	const float *scores; /* [n] */
	size_t with_count;
	struct rep_with *with;
	bool is_defaulted; /* the query was the default row of its table */
	uint64_t reserved[7];
};

struct rep_retrieved {
	char release[72];
	uint64_t sequence;
	char from[136]; /* the table of the queries' rows; "" if vectors were given */
	char in[136];
	bool exact;        /* these are the best items for certain */
	bool by_rows;      /* not exact, and the index was calibrated by items, for want of users */
	uint64_t compared; /* rows that were looked at */
	uint32_t count;    /* of queries */
	struct rep_hits *parts;
	void *memory; /* owned: what the pointers above point to */
	uint64_t reserved[8];
};

/* Finds the best items for each query, in one snapshot of one release (NULL: the live one). out:
 * free it by rep_retrieved_free. Errors: NOT_FOUND  also a key of the query without a row; TIMEOUT
 * the client's time-out, which the daemon keeps too; BUSY, BAD_REQUEST, TOO_LARGE, CORRUPT. */
REP_API enum rep_status rep_retrieve(rep_client *client, const char *release,
	const struct rep_retrieval *asked, struct rep_retrieved *out, struct rep_error *err);
REP_API void rep_retrieved_free(struct rep_retrieved *retrieved); /* zeroed is fine */

/* Named items, and where their scores go; borrowed. */
struct rep_scoring {
	struct rep_query query;
	const char *in;
	enum rep_metric metric; /* 0: inner product */
	struct rep_keys keys;
	float *scores;  /* [queries, keys.count]; 0 for items that were not found */
	uint8_t *found; /* as in rep_part; NULL: not wanted */
	/* (query.keys.count + 7) / 8 bytes: which queries were the default row, as `found` has its bits; NULL:
	 * not wanted. */
	uint8_t *defaulted;
	uint64_t reserved[7];
};

/* Scores named items for each query, in one snapshot; `out` may be NULL. */
REP_API enum rep_status rep_score(rep_client *client, const char *release,
	const struct rep_scoring *scoring, struct rep_fetched *out, struct rep_error *err);

#ifdef __cplusplus
}
#endif

#endif
