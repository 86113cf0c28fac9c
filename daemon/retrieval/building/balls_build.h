/* balls_build.h - builds the image of a granular-ball index.
 *
 *   balls_plan -> balls_plan_bytes -> memory of that size -> balls_write -> balls_plan_close
 *
 * Spherical k-means on a sample finds the axes of the balls. Then each row is assigned to the axis
 * that is nearest to its direction. The same rows, options and seed give the same bytes on every
 * machine.
 *
 * Memory: balls_build_bytes on the axes of another image; else at most `memory_bytes` for the sample, too.
 * Threads: one thread at a time uses a plan; `read` is called on that thread.
 */
#ifndef DAEMON_RETRIEVAL_BUILDING_BALLS_BUILD_H
#define DAEMON_RETRIEVAL_BUILDING_BALLS_BUILD_H

#include "daemon/retrieval/balls/balls.h"

/* The rows of an index. `read` copies rows [first, first + count); calls come in any order. */
struct balls_source {
	uint32_t rows; /* up to BALLS_ROWS_MAX */
	uint32_t dim;
	void (*read)(void *arg, uint32_t first, uint32_t count, float *out /* [count, dim] */);
	void *arg;
};

/* Queries of a calibration: with fewer its error is larger, with more a build takes longer. */
enum { BALLS_QUERIES_MAX = 256 };

struct balls_options {
	uint32_t granularity; /* rows of a ball; 0: the value that measured best */
	uint64_t seed;
	uint64_t memory_bytes; /* at most so many for the sample; 0: 256 MiB */
	/* Queries for the calibration, [query_count, dim]; none: rows of the source are used. */
	const float *queries;
	uint32_t query_count;
	/* The rows by which axes and basis are found, if they are more than the source: it is a part of them, and the image one of
	 * several on the same axes. NULL: the source. */
	const struct balls_source *sampled;
	const _Atomic bool *stop; /* when it becomes true, the work ends with BUSY; NULL: none */
	/* For a rebuild: the new image takes the axes and the basis of this one. NULL: none. */
	const struct balls *previous;
	/* Recalls to write, as they stand in an image (struct balls); query_count then is how many
	 * queries they were measured with. NULL: they are measured. */
	const float *recalls;
	/* [rows] the ball of each row in `previous`, which the row keeps; UINT32_MAX: its ball is
	 * searched. NULL: that of every row is. */
	const uint32_t *known;
};

struct balls_plan;

/* To build an image of so many rows on the axes of another one, with given recalls, takes no more bytes at a time beside
 * the image. */
uint64_t balls_build_bytes(const struct balls *previous, uint32_t rows);

/* Does all the work but writing the image. Borrows source and options until balls_plan_close.
 * Errors: NO_MEMORY; BUSY  stopped. */
enum status balls_plan(const struct balls_source *source, const struct balls_options *options,
	struct balls_plan **out);
size_t balls_plan_bytes(const struct balls_plan *plan);

/* Writes the image into `space`, aligned to 64, of balls_plan_bytes bytes. Errors: as above. */
enum status balls_write(struct balls_plan *plan, uint8_t *space);
void balls_plan_close(struct balls_plan *plan);

#endif
