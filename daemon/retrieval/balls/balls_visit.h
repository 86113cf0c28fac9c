/* balls_visit.h - visits of balls: which of their rows may be among the best.
 *
 * Parts. An index is searched in one pass with the images beside it, which have its axes. Balls of one axis are as one:
 * the best of their bounds counts, and they are visited together. A ball of an image has few rows, so that its own bound
 * is near to these; by a factor below 1 more of them would be missed than of the index, whose calibration chose the
 * factor. For the same reason blocks of an image are left out only if no row of theirs can be among the best.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_RETRIEVAL_BALLS_BALLS_VISIT_H
#define DAEMON_RETRIEVAL_BALLS_BALLS_VISIT_H

#include "daemon/retrieval/balls/balls_candidates.h"
#include "daemon/retrieval/balls/balls_image.h"

enum {
	BALLS_CHUNK_BLOCKS = 64,
	BALLS_CHUNK_ROWS = BALLS_CHUNK_BLOCKS * BALLS_BLOCK_ROWS,
	/* So many visits are begun before the first of them is ended: meanwhile its blocks come
	 * from memory. */
	BALLS_VISITS = 4,
};

/* The balls of an index, or of an image beside it; an index may be cut into several parts. */
struct balls_part {
	const struct balls *balls;
	uint32_t first; /* the number of its first row */
};

/* What the query is beside the axis of a ball. */
struct balls_side {
	struct balls_scan scan; /* but for what it is of a part */
	struct balls_coded coded;
};

/* A visit of a ball of one part. */
struct balls_visit {
	struct balls_scan scan;
	float factor;  /* of the bounds of blocks */
	uint32_t next; /* blocks [next, end) are not bounded yet */
	uint32_t end;
	uint32_t count;                      /* of the next */
	uint32_t blocks[BALLS_CHUNK_BLOCKS]; /* to scan */
};

struct balls_visits {
	const struct balls_kernels *kernels; /* borrowed */
	struct balls_terms terms;
	size_t part_count;
	size_t cut_count; /* of these the first so many are the index */
	struct balls_part parts
		[1 + BALLS_BESIDE_MAX]; /* first the index, whose calibration has chosen the factor */
	float *prefix_query;            /* borrowed, as the next: [prefix] */
	float *prefix_beside; /* [prefix]: what of the query is off the axis of the ball that is visited */
	struct balls_candidates candidates;
	uint64_t blocks_scanned;
	uint32_t begun; /* visits */
	uint32_t ended; /* of these */
	uint32_t sides_begun;
	struct balls_visit visits[BALLS_VISITS]; /* those under way */
	struct balls_side sides[BALLS_VISITS];   /* of these */
};

/* Those whose axes are read: all parts have the same. */
static inline const struct balls *balls_of_axes(const struct balls_visits *visits)
{
	return visits->parts[0].balls;
}

/* Blocks of a ball in one part. */
static inline uint32_t balls_count_blocks(const struct balls *balls, uint32_t ball)
{
	return balls->first_blocks[ball + 1] - balls->first_blocks[ball];
}

/* Asks for the memory that a visit reads first. */
void balls_prefetch(const struct balls_visits *visits, uint32_t ball);

/* Begins the visits of a ball, of each part that has rows in it, and ends those that were begun before so many. */
void balls_visit_ball(struct balls_visits *visits, uint32_t ball);

/* Ends all visits, and scores all candidates or drops them. */
void balls_end_visits(struct balls_visits *visits);

#endif
