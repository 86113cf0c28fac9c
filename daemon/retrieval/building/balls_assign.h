/* balls_assign.h - which of many axes is the nearest to each row.
 *
 * Axes may be gathered in groups, and a row held against those of the groups nearest to it only:
 * then it gets the second best now and then.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_RETRIEVAL_BUILDING_BALLS_ASSIGN_H
#define DAEMON_RETRIEVAL_BUILDING_BALLS_ASSIGN_H

#include "daemon/retrieval/building/balls_panels.h"

#include <stdbool.h>

enum { BALLS_ASSIGN_ROWS = 2048, BALLS_NEARBY_MAX = 32 };

struct balls_assigner {
	uint32_t dim;
	uint32_t near_count;         /* groups that a row is held against */
	uint32_t groups;             /* 1: all axes in one */
	struct balls_panels *panels; /* owned, [groups] */
	uint32_t *firsts;            /* owned, [groups + 1]: places of a group in `order` */
	uint32_t *order;             /* owned, [k]: axes by group */
	float *group_axes;           /* owned, [groups, dim] */
	/* owned: of BALLS_ASSIGN_ROWS rows, those that a group is held against */
	float *products; /* [rows, groups] */
	uint32_t *nearby;
	uint32_t *members;
	float *rows;
	float *best;
	uint32_t *place;
	uint32_t *places;
};

/* Unit vectors. */
struct balls_axes {
	const float *values; /* [k, dim] */
	uint32_t k;          /* at least one */
	uint32_t dim;
	/* Groups that a row is held against, up to BALLS_NEARBY_MAX; 0: all axes. */
	uint32_t near_count;
};

/* Errors: NO_MEMORY; BUSY  stopped. */
enum status balls_assigner_init(struct balls_assigner *assigner, const struct balls_axes *axes,
	const _Atomic bool *stop);
void balls_assigner_fini(struct balls_assigner *assigner); /* zeroed is fine */

/* Of each of up to BALLS_ASSIGN_ROWS rows the axis with which its product is largest, and that;
 * axis 0 of a row whose products are no numbers. */
void balls_assign(struct balls_assigner *assigner, const float *rows, uint32_t count, float *best,
	uint32_t *axis);

#endif
