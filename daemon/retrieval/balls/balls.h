/* balls.h - the index of granular balls: which rows may be among the best for a query.
 *
 *   balls_build.h makes an image -> balls_open -> balls_search ...
 *
 * Rows are gathered in balls of like direction. A ball has an axis, a unit vector u; a row x of it
 * is p u + r, with p its projection on the axis and r what is off it. The image keeps of every row
 * p, |r|, and r in 8-bit codes, in the dims that hold most of all rows' r. Of each ball, and of
 * each block of 16 of its rows (which stand in the order of p), it keeps the ranges of p, |r| and
 * p / |x|. For a query q = a u + s these bound the product of any row,
 *
 *   <q,x> = a p + <s,r> <= a p + |s| |r|,
 *
 * and so its cosine and its distance. A search takes the balls that promise most first. What may
 * reach the k-th best score so far is bounded again by the codes, and what is left then is scored
 * in full by the caller. With a factor below 1 on |s| |r| it stops earlier, and may miss rows.
 *
 * Rows that have no such bound (not finite, or of a norm beyond 2^40 or below 2^-40) are listed
 * apart and scored in every search; so are all rows if the query is such a vector.
 *
 * Threads: any; an open image is immutable, a space is used by one search at a time.
 */
#ifndef DAEMON_RETRIEVAL_BALLS_BALLS_H
#define DAEMON_RETRIEVAL_BALLS_BALLS_H

#include "daemon/retrieval/score/topk.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BALLS_ALIGN = 64,
	BALLS_BLOCK_ROWS = 16,
	BALLS_PREFIX_MAX = 128,
	/* Rows are numbered by u32, and the largest number means none. */
	BALLS_ROWS_MAX = 0x7fffffff,
};

enum balls_metric {
	BALLS_INNER_PRODUCT,
	BALLS_COSINE,
	BALLS_L2, /* the score is minus the squared distance */
	BALLS_METRICS
};

/* One value a ball, or a block. */
struct balls_ranges {
	const float *along_min; /* projections on the axis */
	const float *along_max;
	const float *off_min; /* distances from the axis */
	const float *off_max;
	const float *cosine_min; /* with the axis; -1..1 if a row is zero */
	const float *cosine_max;
};

/* A view into an image; pointers are borrowed. */
struct balls {
	uint32_t rows;
	uint32_t dim;
	uint32_t prefix; /* dims of the codes, a multiple of 4 */
	uint32_t first;  /* of these, dims that decide in most cases, a multiple of 4 */
	uint32_t balls;
	uint32_t blocks;
	uint32_t loose;
	size_t block_bytes;
	const float *recalls;      /* [BALLS_METRICS][ks][factors], see balls_recall.h */
	const float *basis;        /* [prefix][dim], orthonormal; NULL: the dims themselves */
	const float *axes;         /* [balls][dim] */
	const uint8_t *axis_codes; /* axes in codes, see balls_image.h */
	const float *axis_heads;
	const float *prefix_axes;     /* [balls][prefix]: basis * axis, zeros to a multiple of 16 */
	const uint32_t *first_blocks; /* [balls + 1] */
	struct balls_ranges of_balls;
	struct balls_ranges of_blocks;
	const uint8_t *block_data;  /* [blocks] of block_bytes, see balls_image.h */
	const uint32_t *loose_rows; /* rows without bounds */
};

/* Checks `len` bytes at `data`, aligned to 64, and fills `out`. What is not checked here is
 * where it is used: a damaged image gives wrong hits, but nothing outside it is read, and no row
 * beyond `rows` is asked for.
 * Errors: CORRUPT; UNSUPPORTED  another version. */
enum status balls_open(const uint8_t *data, size_t len, uint32_t rows, uint32_t dim,
	struct balls *out, struct error *err);

/* Which ball each row is in: ball_of[rows]; UINT32_MAX for
 * rows that are in none. A rebuild asks. */
void balls_members(const struct balls *balls, uint32_t *ball_of);

/* The least factor with which a search for the best `k` found the share `recall` of them when the
 * image was built; 1 if none did or recall is 1. */
float balls_factor_for(const struct balls *balls, enum balls_metric metric, double recall,
	size_t k);

/* Memory of searches, kept from one to the next; zeroed at first. */
struct balls_space {
	void *memory; /* owned */
	size_t bytes;
};
void balls_space_fini(struct balls_space *space);

struct balls_query {
	const float *query; /* [dim] */
	enum balls_metric metric;
	/* 0..1. 1: whatever is left out is proved to be worse than the k-th best. */
	float factor;
	/* The scores of full rows, in f32; NaN for a row that is not to be found. Products may be
	 * rounded as a sum of 16 partial sums is: off by (dim / 16 + 32) 2^-24 |q| |x|, and
	 * likewise for the other metrics. */
	void (*score)(void *arg, const uint32_t *rows, uint32_t count, float *scores);
	void *arg;
	struct topk *top;           /* may hold hits already */
	uint64_t first_id;          /* row n is pushed as first_id + n */
	const _Atomic bool *cancel; /* NULL: none */
	uint64_t compared;          /* out: rows whose codes or full rows were looked at */
	bool exact;                 /* out: no other row can be in the top k */
};

/* Pushes the rows that are among the best into query->top.
 * Errors: NO_MEMORY; BUSY  cancelled. */
enum status balls_search(const struct balls *balls, struct balls_query *query,
	struct balls_space *space);

#endif
