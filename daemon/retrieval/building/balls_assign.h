/* balls_assign.h - finds the nearest of many axes to each row.
 *
 * Axes may be gathered in groups. A row is then compared only with the axes of the groups nearest
 * to it, and sometimes gets the second best axis.
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
	uint32_t near_count;         /* groups whose axes a row is compared with */
	uint32_t groups;             /* 1: all axes are in one group */
	struct balls_panels *panels; /* owned, [groups] */
	uint32_t *firsts;            /* owned, [groups + 1]: places of a group in `order` */
	uint32_t *order;             /* owned, [k]: axes by group */
	float *group_axes;           /* owned, [groups, dim] */
	uint32_t *places;            /* owned, [rows]: of the best axis so far in `order` */
	/* Owned: columns of up to BALLS_ASSIGN_ROWS rows; without groups they have none. */
	float *products;  /* [rows, groups] */
	uint32_t *nearby; /* [rows, near_count]: the nearest groups */
	/* The same of the rows that one group is compared with. */
	uint32_t *members; /* their numbers */
	float *rows;
	float *best;
	uint32_t *place;
};

/* Unit vectors. */
struct balls_axes {
	const float *values; /* [k, dim] */
	uint32_t k;          /* at least one */
	uint32_t dim;
	/* A row is compared with the axes of so many groups, up to BALLS_NEARBY_MAX; 0: with all
	 * axes. */
	uint32_t near_count;
};

/* Errors: NO_MEMORY; BUSY  stopped. */
enum status balls_assigner_init(struct balls_assigner *assigner, const struct balls_axes *axes,
	const _Atomic bool *stop);
void balls_assigner_fini(struct balls_assigner *assigner); /* zeroed is fine */
/* It takes no more bytes at a time, with what making it takes. */
uint64_t balls_assigner_bytes(const struct balls_axes *axes);

/* For each of up to BALLS_ASSIGN_ROWS rows: the axis with which its product is largest, and that
 * product. A row whose products are not numbers gets the first axis that is listed. */
void balls_assign(struct balls_assigner *assigner, const float *rows, uint32_t count, float *best,
	uint32_t *axis);

#endif
