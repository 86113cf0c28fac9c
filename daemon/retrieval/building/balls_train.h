/* balls_train.h - finds axes for a sample of rows.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_RETRIEVAL_BUILDING_BALLS_TRAIN_H
#define DAEMON_RETRIEVAL_BUILDING_BALLS_TRAIN_H

#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A sample of unit vectors; it has at least one row. */
struct balls_sample {
	float *rows; /* [count, dim] */
	size_t count;
	uint32_t dim;
	uint32_t *axis; /* out: [count] the axis of each row */
};

struct balls_training {
	uint32_t k; /* number of axes, at least 1 */
	uint64_t seed;
	const _Atomic bool *stop; /* NULL: none */
	float *axes;              /* out: [k, dim] */
};

/* Finds axes by spherical k-means, in time sample->count * k. Errors: NO_MEMORY; BUSY  stopped.
 * Source: Bahmani et al., "Scalable k-means++", 2012, for the seeds; then Lloyd. */
enum status balls_train(const struct balls_sample *sample, const struct balls_training *training);

/* Moves each axis to the mean direction of the rows that sample->axis gives it. An axis without
 * rows moves to a row that is far from its own axis; `near` is the product of each row and its
 * axis. Errors: NO_MEMORY. */
enum status balls_move_axes(const struct balls_sample *sample,
	const struct balls_training *training, const float *near, uint64_t *random);

static inline bool balls_training_is_stopped(const struct balls_training *training)
{
	return training->stop != NULL && *training->stop;
}

#endif
