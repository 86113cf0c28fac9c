/* balls.h - the index of granular balls: which rows may be among the best for a query.
 *
 *   balls_build.h makes an image -> balls_open -> balls_search ...
 *
 * Rows of similar direction are gathered in a ball. A ball has an axis, a unit vector u. A row x of
 * the ball is p u + r: p is its projection on the axis, and r is the rest, at right angles to it.
 * The image keeps p and |r| of every row, and r in 8-bit codes: only its part in the dims that hold
 * most of all rows' r. The rows of a ball stand in the order of p. For each ball and for each block
 * of 16 of its rows the image keeps the ranges of p, |r| and p / |x|. For a query q = a u + s they
 * bound the product of any row,
 *
 *   <q,x> = a p + <s,r> <= a p + |s| |r|,
 *
 * and so its cosine and its distance. A search visits first the balls that promise most. It bounds
 * rows that may reach the k-th best score so far again, by their codes, and the caller scores in
 * full those that are left. With a factor below 1 on |s| |r| a search looks at fewer rows and may
 * miss some.
 *
 * Some rows have no such bound: those that are not finite, and those of a norm above 2^40 or below
 * 2^-40 but not 0. They are listed apart (loose rows), and every search scores them. If the query
 * is such a vector, or zero, the search scores all rows.
 *
 * Threads: any; an open image is immutable; one search at a time uses a space.
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
	/* Rows have numbers of 32 bits, and UINT32_MAX means none. */
	BALLS_ROWS_MAX = 0x7fffffff,
	/* Images that one search takes beside the first. */
	BALLS_BESIDE_MAX = 320,
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
	uint32_t first;  /* the first of these dims, which mostly suffice; a multiple of 4 */
	uint32_t balls;
	uint32_t blocks;
	uint32_t loose; /* rows without bounds */
	/* The calibration has asked for so many rows that were given as queries; 0: for rows of its
	 * own, of which queries to come may be no like. This, and the recalls, change when an index
	 * is calibrated again. */
	const uint32_t *queries;
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
	const uint32_t *loose_rows; /* [loose] */
};

/* Checks `len` bytes at `data`, aligned to 64, and fills `out`. A search checks the rest where it
 * uses it: a damaged image gives wrong hits, but a search reads nothing outside the image and asks
 * for no row beyond `rows`. Errors: CORRUPT; UNSUPPORTED  another version. */
enum status balls_open(const uint8_t *data, size_t len, uint32_t rows, uint32_t dim,
	struct balls *out, struct error *err);

/* The ball that each row is in: ball_of[rows]; UINT32_MAX for a row that is in none. A rebuild
 * needs it. */
void balls_members(const struct balls *balls, uint32_t *ball_of);

/* The least factor by which a search for the best `hits` rows found the share `recall` of them when
 * the image was built. 1 if no factor did, if none was tried for so many rows, or if `recall` is 1.
 * If some rows may not be found, `hits` is how many rows reach the k-th best that may. */
float balls_factor_for(const struct balls *balls, enum balls_metric metric, double recall,
	uint64_t hits);

/* The recall to ask balls_factor_for for, so that users have `recall`: a greater one if the
 * calibration took rows for queries, since users may lie elsewhere. */
double balls_recall_to_ask(const struct balls *balls, double recall);

/* Memory that one search leaves to the next, and how its query lies by the axes. Zeroed, it is empty. */
struct balls_space {
	void *memory; /* owned */
	size_t bytes;
};
void balls_space_fini(struct balls_space *space);

struct balls_query {
	const float *query; /* [dim] */
	enum balls_metric metric;
	/* 0..1. With 1 every row that the search leaves out is proved to be worse than the k-th
	 * best. */
	float factor;
	/* Scores rows in full, in f32; NaN for a row that may not be found. The rounding error of a
	 * product may be up to (dim / 16 + 32) 2^-24 |q| |x|, as that of 16 partial sums is, and
	 * likewise for the other metrics. */
	void (*score)(void *arg, const uint32_t *rows, uint32_t count, float *scores);
	/* As what a row is pushed; NULL: as its number. */
	uint64_t (*id)(void *arg, uint32_t row);
	void *arg;                  /* of both */
	struct topk *top;           /* may hold hits already */
	const _Atomic bool *cancel; /* NULL: none */
	/* Balls on the same axes, with the same basis, that are searched in the same pass: a ball is visited with those of the same axis.
	 * Their rows are numbered behind those of the first balls, and there are less than 2^32 of all. */
	const struct balls *const *beside;
	size_t beside_count; /* up to BALLS_BESIDE_MAX */
	/* Of these the first so many are of the index itself, which is cut into several images: its calibration has searched
	 * all of them in one pass. */
	size_t cut_count;
	float bar;         /* while rows are scored: a lower score is of no use */
	uint64_t compared; /* out: rows whose codes or full rows were looked at */
	bool exact;        /* out: no other row can be in the top k */
};

/* Whether two have as many axes and codes of as many dims: else neither is searched beside the other. That the axes, and the
 * basis of the codes, are the same ones has to be known besides. */
bool balls_are_alike(const struct balls *a, const struct balls *b);

/* Pushes the rows that are among the best into query->top.
 * Errors: NO_MEMORY; BUSY  cancelled. */
enum status balls_search(const struct balls *balls, struct balls_query *query,
	struct balls_space *space);

#endif
