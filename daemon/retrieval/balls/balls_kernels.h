/* balls_kernels.h - the loops of a search through granular balls, one set for each instruction set.
 *
 * Every set gives the same bits: sums over codes are integers, and each float is computed by the
 * same operations in the same order, however many of them the processor computes at once.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_RETRIEVAL_BALLS_BALLS_KERNELS_H
#define DAEMON_RETRIEVAL_BALLS_BALLS_KERNELS_H

#include "daemon/retrieval/balls/balls.h"

/* The part of a search that all its bounds share. */
struct balls_terms {
	enum balls_metric metric;
	float norm;   /* of the query */
	float slack;  /* more than all rounding errors, see balls_search.c */
	float factor; /* of the term |s| |r|, see balls.h */
};

/* A vector in codes: each value is about scale * code. */
struct balls_coded {
	int8_t *codes; /* [dims], with room for a multiple of 16 */
	uint32_t dims; /* a multiple of 4 */
	int32_t sum;   /* 128 times the sum of the codes: a stored code of 128 means zero */
	float scale;
	float miss; /* the length of the vector less what the codes say */
};

/* Where a query lies by the axes of all balls. Arrays have room for a multiple of 16. */
struct balls_lie {
	float *along;  /* [balls]: its projections on the axes */
	float *errors; /* of these, for 16 axes each */
};

/* Compares the query with the axes of all balls, by codes. */
struct balls_along {
	struct balls_terms terms;
	const struct balls *balls;
	const struct balls_coded *coded;
	struct balls_lie lie; /* out */
};

/* Bounds the scores in all balls. Arrays have room for a multiple of 16. */
struct balls_around {
	struct balls_terms terms;
	const struct balls *balls;
	struct balls_lie lie;
	float factor;
	bool is_more; /* `bounds` are those of other balls on the same axes: the greater ones stay */
	float *bounds; /* out, for each ball: no row of it has a better score, by this factor; -INFINITY: it has no row */
};

/* Compares the query with the axis of one ball. */
struct balls_beside {
	const struct balls *balls;
	uint32_t ball;
	const float *query;        /* [dim] */
	const float *prefix_query; /* [prefix], with zeros behind it up to a multiple of 16 */
	float *prefix_beside;      /* out: what is off the axis, in the dims of the prefix; zeros as
				      above */
	struct balls_coded *coded; /* out: codes of prefix_beside */
	float along;               /* out: the projection on the axis */
	float off_squared;         /* out: squared length of what is off the axis */
	float prefix_squared;      /* out: of that, in the dims of the prefix */
	float first_squared;       /* out: of that, in the first dims of the prefix */
};

/* Bounds of the scores in blocks first .. first + count, of one ball. */
struct balls_bounds {
	struct balls_terms terms;
	const struct balls_ranges *ranges;
	size_t first;
	size_t count;
	float along; /* the projection of the query on the axis */
	float off;   /* its distance from the axis */
	float *out;  /* [count], with room for a multiple of 16 */
};

/* Compares the query with rows of one ball, by their codes. */
struct balls_scan {
	struct balls_terms terms;
	const struct balls *balls;
	const struct balls_coded *coded;
	float along;
	float off;
	/* What the codes leave out of a product is at most a sum of these, each times a number of
	 * the block. first_weight counts while only the first dims are compared, rest_weight
	 * afterwards. */
	float code_weight;  /* the error of the codes */
	float rest_weight;  /* the largest length beyond the prefix */
	float first_weight; /* the largest length beyond the first dims */
	float miss_weight;  /* the largest distance from the axis */
	float threshold;
	uint32_t first; /* is added to the rows' numbers */
};

/* Rows that may be among the best. */
struct balls_found {
	float *uppers; /* bounds: no score is above its bound */
	uint32_t *rows;
	uint32_t count;
};

struct balls_kernels {
	const char *name;
	/* Encodes `count` values into `coded`, with zeros behind them. */
	void (*encode)(const float *values, uint32_t count, struct balls_coded *coded);
	void (*along)(const struct balls_along *along);
	void (*around)(const struct balls_around *around);
	void (*beside)(struct balls_beside *beside);
	void (*bounds)(const struct balls_bounds *bounds);
	/* Appends those rows of the blocks whose bound is not below the threshold. `found` has room
	 * for all rows of the blocks. */
	void (*scan)(const struct balls_scan *scan, const uint32_t *blocks, uint32_t count,
		struct balls_found *found);
	/* How many of the values are at least `limit`? The array has room for a multiple of 16. */
	size_t (*count)(const float *values, size_t count, float limit);
	/* The least and the largest of the values. */
	void (*extent)(const float *values, size_t count, float *low, float *high);
	/* Lists the places of the values that are neither below `limit` nor -INFINITY. Returns
	 * their number. */
	uint32_t (*pick)(const float *values, uint32_t count, float limit, uint32_t *places);
};

/* Set `i` of those that this machine can run, the fastest first; NULL behind the last. */
const struct balls_kernels *balls_kernels_at(size_t i);

#endif
