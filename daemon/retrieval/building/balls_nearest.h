/* balls_nearest.h - of many axes the nearest to each row, one set of loops for each instruction
 * set.
 *
 * Every set gives the same bits: a product is summed up in the order of the dims.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_RETRIEVAL_BUILDING_BALLS_NEAREST_H
#define DAEMON_RETRIEVAL_BUILDING_BALLS_NEAREST_H

#include <stddef.h>
#include <stdint.h>

/* Axes stand side by side in panels of 32: [panels][dim][32], NaN where there is none. */
enum { BALLS_PANEL = 32 };

struct balls_nearest {
	const float *x; /* [rows, dim] */
	size_t rows;
	size_t dim;
	const float *panels;
	size_t panel_count;
	float *best;         /* in, out: [rows] the largest product so far */
	uint32_t *axis;      /* out: [rows] and whose it is, if it is one of these, */
	uint32_t first_axis; /* which are counted from here */
};

void balls_nearest(const struct balls_nearest *nearest);

#endif
