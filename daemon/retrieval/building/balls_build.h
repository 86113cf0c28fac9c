/* balls_build.h - makes the image of a granular-ball index.
 *
 *   balls_plan -> balls_plan_bytes -> space of that many bytes -> balls_write -> balls_plan_close
 *
 * Balls are found by spherical k-means on a sample; then each row is assigned to the axis that its
 * direction is nearest to. The same rows, options and seed give the same bytes on one machine and
 * on every other.
 *
 * Memory: 16 bytes a row, the axes twice, and at most `memory_bytes` for the sample.
 * Threads: a plan is used by one at a time; `read` is called from that one.
 */
#ifndef DAEMON_RETRIEVAL_BUILDING_BALLS_BUILD_H
#define DAEMON_RETRIEVAL_BUILDING_BALLS_BUILD_H

#include "daemon/retrieval/balls/balls.h"

/* Rows by number, in any order; those of a run at once where runs are asked for. */
struct balls_source {
	uint32_t rows; /* up to BALLS_ROWS_MAX */
	uint32_t dim;
	void (*read)(void *arg, uint32_t first, uint32_t count, float *out /* [count, dim] */);
	void *arg;
};

/* Of the calibration: fewer make it miss by more, and more make a build longer. */
enum { BALLS_QUERIES_MAX = 256 };

struct balls_options {
	uint32_t granularity; /* rows a ball; 0: what measured best */
	uint64_t seed;
	uint64_t memory_bytes; /* of the sample; 0: 256 MiB */
	/* Held-out queries for the calibration, [query_count, dim]; none: rows are taken. */
	const float *queries;
	uint32_t query_count;
	const _Atomic bool *stop; /* when it becomes true, the work ends with BUSY; NULL: none */
	/* A rebuild: the axes and the basis of this image are kept ... */
	const struct balls *previous;
	/* ... and so is each row's ball in it; UINT32_MAX: found anew. [rows]; NULL: all anew. */
	const uint32_t *known;
};

struct balls_plan;

/* Everything but the image itself. Borrows source and options until balls_plan_close.
 * Errors: NO_MEMORY; BUSY  stopped. */
enum status balls_plan(const struct balls_source *source, const struct balls_options *options,
	struct balls_plan **out);
size_t balls_plan_bytes(const struct balls_plan *plan);

/* Writes the image into `space`, aligned to 64, of balls_plan_bytes bytes. Errors: as above. */
enum status balls_write(struct balls_plan *plan, uint8_t *space);
void balls_plan_close(struct balls_plan *plan);

#endif
