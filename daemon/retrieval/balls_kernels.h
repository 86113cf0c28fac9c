/* balls_kernels.h - the loops of a granular-ball index, one set for each instruction set.
 *
 * Every set gives the same bits: sums over codes are of integers, and each of the floats is
 * computed by the same operations in the same order, whatever number of them is at work at once.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_RETRIEVAL_BALLS_KERNELS_H
#define DAEMON_RETRIEVAL_BALLS_KERNELS_H

#include "daemon/retrieval/balls.h"

/* Bounds of the scores in `count` balls, or in `count` blocks of one ball. */
struct balls_bounds {
	enum balls_metric metric;
	const struct balls_ranges *ranges;
	size_t first; /* of the ranges */
	size_t count;
	/* The query's projection on the axis and distance from it: of each ball, or, if `one_axis`,
	 * at [0]. */
	const float *along;
	const float *off;
	bool one_axis;
	float norm;   /* of the query */
	float slack;  /* for rounding, see balls_search.c */
	float factor; /* on the second term */
	float *out;   /* [count] */
};

/* The query beside one ball, for its blocks. */
struct balls_scan {
	enum balls_metric metric;
	uint32_t prefix;
	uint32_t rows;
	const uint8_t *block_data;
	size_t block_bytes;
	const int8_t *codes; /* [prefix]: of the query off the axis */
	int32_t code_sum;    /* 128 times their sum */
	float scale;         /* of a code */
	float along;
	float off;
	float norm;
	float slack;
	float code_weight;     /* times a block's error of codes */
	float rest_weight;     /* times a block's largest length beyond the prefix */
	float rounding_weight; /* times a block's largest distance from the axis */
	float threshold;
};

/* Some found rows. */
struct balls_found {
	float *uppers; /* no score is above these */
	uint32_t *rows;
	uint32_t count;
};

/* Rows to assign, and axes in panels of 32: [panels][dim][32], NaN where there is none. */
enum { BALLS_PANEL = 32 };
struct balls_nearest {
	const float *x; /* [rows, dim] */
	size_t rows;
	size_t dim;
	const float *panels;
	size_t panel_count;
	float *best;    /* in, out: [rows] the largest product so far */
	uint32_t *axis; /* out: [rows] and whose it is, counted from `first_axis` */
	uint32_t first_axis;
};

struct balls_kernels {
	const char *name;
	void (*bounds)(const struct balls_bounds *bounds);
	/* Appends the rows of these blocks whose bound is not below the threshold. `found` has room
	 * for all of them. */
	void (*scan)(const struct balls_scan *scan, const uint32_t *blocks, uint32_t count,
		struct balls_found *found);
	/* How many of the values are at least `limit`. */
	size_t (*count)(const float *values, size_t count, float limit);
	void (*nearest)(const struct balls_nearest *nearest);
};

/* Set `i`, the fastest first, or NULL beyond the last; only those that this machine runs. */
const struct balls_kernels *balls_kernels_at(size_t i);

#endif
