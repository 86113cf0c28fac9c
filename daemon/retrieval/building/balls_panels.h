/* balls_panels.h - axes in panels, as balls_nearest.h needs them.
 *
 * Threads: any; immutable once made.
 */
#ifndef DAEMON_RETRIEVAL_BUILDING_BALLS_PANELS_H
#define DAEMON_RETRIEVAL_BUILDING_BALLS_PANELS_H

#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

struct balls_panels {
	uint32_t dim;
	size_t count;
	float *values; /* owned, [count][dim][32] */
};

/* Makes panels of `k` axes [k, dim]. Errors: NO_MEMORY. */
enum status balls_panels_init(struct balls_panels *panels, const float *axes, uint32_t k,
	uint32_t dim);
void balls_panels_fini(struct balls_panels *panels);

/* If a row has a larger product with one of the axes than `best` says, sets `best` and `axis` of
 * the row to the largest. The axes have numbers from `first` on. */
void balls_panels_improve(const struct balls_panels *panels, uint32_t first, const float *rows,
	size_t count, float *best, uint32_t *axis);

#endif
