/* balls_train.h - the axes of balls, and in which of them rows are.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_RETRIEVAL_BALLS_TRAIN_H
#define DAEMON_RETRIEVAL_BALLS_TRAIN_H

#include "daemon/retrieval/balls_build.h"

/* Unit vectors. */
struct balls_sample {
	float *rows; /* [count, dim] */
	size_t count;
	uint32_t dim;
	uint32_t *axis; /* out: [count] each one's */
};

/* Finds `k` axes by spherical k-means. Errors: NO_MEMORY; BUSY  stopped.
 * Source: seeds: Bahmani et al., "Scalable k-means++", 2012; then Lloyd. */
enum status balls_train(const struct balls_sample *sample, uint32_t k, uint64_t seed,
	const _Atomic bool *stop, float *axes /* [k, dim] */);

/* Axes that rows can be assigned to. */
struct balls_assigner {
	uint32_t k;
	uint32_t dim;
	float *panels; /* owned */
};
enum status balls_assigner_init(struct balls_assigner *assigner, const float *axes, uint32_t k,
	uint32_t dim);
void balls_assigner_fini(struct balls_assigner *assigner);

/* Of each row the axis with which its product is largest. */
void balls_assign(const struct balls_assigner *assigner, const float *rows, size_t count,
	float *best, uint32_t *axis);

#endif
