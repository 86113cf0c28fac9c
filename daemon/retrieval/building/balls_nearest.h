/* balls_nearest.h - finds the nearest of many axes to each row, by one set of loops for each
 * instruction set.
 *
 * Every set gives the same bits: a product is summed in the order of the dims.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_RETRIEVAL_BUILDING_BALLS_NEAREST_H
#define DAEMON_RETRIEVAL_BUILDING_BALLS_NEAREST_H

#include <stddef.h>
#include <stdint.h>

/* A panel holds 32 axes side by side: [panels][dim][32]; NaN where there is no axis. */
enum { BALLS_PANEL = 32 };

struct balls_nearest {
	const float *x; /* [rows, dim] */
	size_t rows;
	size_t dim;
	const float *panels;
	size_t panel_count;
	float *best;         /* in, out: [rows] the largest product so far */
	uint32_t *axis;      /* in, out: [rows] the axis that has it */
	uint32_t first_axis; /* the number of the first axis of these panels */
};

void balls_nearest(const struct balls_nearest *nearest);

#endif
