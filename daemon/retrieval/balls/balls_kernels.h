/* balls_kernels.h - the loops of a search through granular balls, one set for each instruction set.
 *
 * Every set gives the same bits: sums over codes are of integers, and each of the floats is
 * computed by the same operations in the same order, whatever number of them is at work at once.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_RETRIEVAL_BALLS_BALLS_KERNELS_H
#define DAEMON_RETRIEVAL_BALLS_BALLS_KERNELS_H

#include "daemon/retrieval/balls/balls.h"

/* What all bounds of a search have in common. */
struct balls_terms {
	enum balls_metric metric;
	float norm;   /* of the query */
	float slack;  /* for rounding, see balls_search.c */
	float factor; /* on the second term */
};

/* The query in codes: scale * code, and the length of what they miss. */
struct balls_coded {
	int8_t *codes; /* [dims], with room for a multiple of 16 */
	uint32_t dims; /* a multiple of 4 */
	int32_t sum;   /* of the codes times 128, which is the zero of stored codes */
	float scale;
	float miss;
};

/* The query beside the axes of all balls, by codes. Arrays have room for a multiple of 16. */
struct balls_around {
	struct balls_terms terms;
	const struct balls *balls;
	const struct balls_coded *coded;
	float begin_factor; /* of `promises` */
	float *promises;    /* out: what a ball is likely to hold */
	float *bounds;      /* out: no row of it has a better score */
};

/* The query beside one axis. */
struct balls_beside {
	const struct balls *balls;
	uint32_t ball;
	const float *query;        /* [dim] */
	const float *prefix_query; /* [prefix], zeros behind it to a multiple of 16 */
	float *prefix_beside;      /* out: [prefix], zeros behind it to a multiple of 16 */
	struct balls_coded *coded; /* out: of that */
	float along;               /* out */
	float off_squared;         /* out: of all dims off the axis, */
	float prefix_squared;      /* of those of the prefix, */
	float first_squared;       /* of the first of these */
};

/* Bounds of the scores in blocks first .. first + count, of one ball. */
struct balls_bounds {
	struct balls_terms terms;
	const struct balls_ranges *ranges;
	size_t first;
	size_t count;
	float along; /* the query's projection on the axis */
	float off;   /* and distance from it */
	float *out;  /* [count], with room for a multiple of 16 */
};

/* The query beside one ball, for its rows. */
struct balls_scan {
	struct balls_terms terms;
	const struct balls *balls;
	const struct balls_coded *coded;
	float along;
	float off;
	/* What is not in the codes, at most: each times the block's. */
	float code_weight;  /* error of codes */
	float rest_weight;  /* largest length beyond the prefix */
	float first_weight; /* largest length beyond the first dims */
	float miss_weight;  /* largest distance from the axis */
	float threshold;
};

/* Some found rows. */
struct balls_found {
	float *uppers; /* no score is above these */
	uint32_t *rows;
	uint32_t count;
};

struct balls_kernels {
	const char *name;
	/* Fills `coded` by `count` values, zeros behind them. */
	void (*encode)(const float *values, uint32_t count, struct balls_coded *coded);
	void (*around)(const struct balls_around *around);
	void (*beside)(struct balls_beside *beside);
	void (*bounds)(const struct balls_bounds *bounds);
	/* Appends the rows of these blocks whose bound is not below the threshold. `found` has room
	 * for all of them. */
	void (*scan)(const struct balls_scan *scan, const uint32_t *blocks, uint32_t count,
		struct balls_found *found);
	/* Of arrays with room for a multiple of 16: how many of the values are at least `limit`. */
	size_t (*count)(const float *values, size_t count, float limit);
	/* The least and the largest. */
	void (*extent)(const float *values, size_t count, float *low, float *high);
	/* Lists the places of values that are not below `limit`,
	 * nor -INFINITY. Returns how many. */
	uint32_t (*pick)(const float *values, uint32_t count, float limit, uint32_t *places);
};

/* Set `i`, the fastest first, or NULL beyond the last; only those that this machine runs. */
const struct balls_kernels *balls_kernels_at(size_t i);

#endif
