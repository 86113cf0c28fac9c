/* balls_plan.h - an index before its image is written: its balls and their rows.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_RETRIEVAL_BUILDING_BALLS_PLAN_H
#define DAEMON_RETRIEVAL_BUILDING_BALLS_PLAN_H

#include "daemon/retrieval/balls/balls_image.h"
#include "daemon/retrieval/building/balls_build.h"

struct balls_member {
	float along;
	uint32_t row;
};

struct balls_plan {
	const struct balls_source *source;   /* borrowed */
	const struct balls_options *options; /* borrowed */
	struct balls_shape shape;
	float *axes;                  /* owned, [balls, dim] */
	float *basis;                 /* owned, [prefix, dim]; NULL: the dims themselves */
	struct balls_member *members; /* owned: ball by ball, in each the largest `along` first */
	uint32_t *first_members;      /* owned, [balls + 1] */
	uint32_t *loose;              /* owned, [shape.loose] */
};

/* Finds the axes and the basis of a plan whose source and options are set: by a sample, or in the
 * previous image. Errors: NO_MEMORY; BUSY  stopped. */
enum status balls_plan_axes(struct balls_plan *plan);

static inline bool balls_plan_is_stopped(const struct balls_plan *plan)
{
	return plan->options->stop != NULL && *plan->options->stop;
}

#endif
