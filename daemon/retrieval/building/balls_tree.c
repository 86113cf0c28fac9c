/* balls_tree.c - k-means on two levels. */
#include "daemon/retrieval/building/balls_tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/retrieval/building/balls_assign.h"
#include "daemon/retrieval/building/balls_random.h"

enum {
	/* Fewer axes than this are trained together. */
	DIVIDED_MIN = 256,
	MOVES = 3,
	NEAR_COUNT = 6,
};

static uint32_t parts_of(uint32_t k)
{
	uint32_t parts = 1;
	while (parts * parts < k) {
		parts++;
	}
	return parts;
}

/* The rows of one part, copied side by side. */
struct part {
	float *rows;
	uint32_t *axis;
	size_t count;
};

/* Trains the axes of each part: it gets a share of them in proportion to its rows. */
static enum status train_parts(const struct balls_sample *sample,
	const struct balls_training *training, uint32_t parts, struct part *part)
{
	uint64_t random = training->seed;
	const uint32_t dim = sample->dim;
	size_t seen = 0;
	enum status status = STATUS_OK;
	for (uint32_t p = 0; p < parts && status == STATUS_OK; p++) {
		part->count = 0;
		for (size_t i = 0; i < sample->count; i++) {
			if (sample->axis[i] == p) {
				memcpy(part->rows + part->count++ * dim, sample->rows + i * dim,
					dim * sizeof(float));
			}
		}
		const size_t first = training->k * seen / sample->count;
		seen += part->count;
		const size_t end = training->k * seen / sample->count;
		assert(part->count >= end - first); /* an axis has at least one row to begin at */
		if (end == first) {
			continue;
		}
		const struct balls_sample own = {.rows = part->rows,
			.count = part->count,
			.dim = dim,
			.axis = part->axis};
		const struct balls_training share = {
			.k = (uint32_t)(end - first),
			.seed = balls_random(&random),
			.stop = training->stop,
			.axes = training->axes + first * dim,
		};
		status = balls_train(&own, &share);
	}
	assert(status != STATUS_OK || seen == sample->count);
	return status;
}

static enum status divide(const struct balls_sample *sample, const struct balls_training *training)
{
	const uint32_t parts = parts_of(training->k);
	struct part part = {
		.rows = malloc(sample->count * sample->dim * sizeof(float)),
		.axis = malloc(sample->count * sizeof(uint32_t)),
	};
	const struct balls_training coarse = {
		.k = parts,
		.seed = training->seed,
		.stop = training->stop,
		.axes = malloc((size_t)parts * sample->dim * sizeof(float)),
	};
	enum status status = STATUS_NO_MEMORY;
	if (part.rows != NULL && part.axis != NULL && coarse.axes != NULL) {
		status = balls_train(sample, &coarse);
	}
	if (status == STATUS_OK) {
		status = train_parts(sample, training, parts, &part);
	}
	free(part.rows);
	free(part.axis);
	free(coarse.axes);
	return status;
}

static enum status assign(const struct balls_sample *sample, const struct balls_training *training,
	float *near)
{
	struct balls_assigner assigner;
	const struct balls_axes axes = {.values = training->axes,
		.k = training->k,
		.dim = sample->dim,
		.near_count = NEAR_COUNT};
	enum status status = balls_assigner_init(&assigner, &axes, training->stop);
	for (size_t i = 0; i < sample->count && status == STATUS_OK; i += BALLS_ASSIGN_ROWS) {
		const size_t left = sample->count - i;
		balls_assign(&assigner, sample->rows + i * sample->dim,
			left < BALLS_ASSIGN_ROWS ? (uint32_t)left : BALLS_ASSIGN_ROWS, near + i,
			sample->axis + i);
		if (balls_training_is_stopped(training)) {
			status = STATUS_BUSY;
		}
	}
	balls_assigner_fini(&assigner);
	return status;
}

enum status balls_train_tree(const struct balls_sample *sample,
	const struct balls_training *training)
{
	if (training->k < DIVIDED_MIN) {
		return balls_train(sample, training);
	}
	uint64_t random = training->seed + 1;
	float *near = malloc(sample->count * sizeof *near);
	enum status status = near == NULL ? STATUS_NO_MEMORY : divide(sample, training);
	for (int move = 0; move < MOVES && status == STATUS_OK; move++) {
		status = assign(sample, training, near);
		if (status == STATUS_OK && move + 1 < MOVES) {
			status = balls_move_axes(sample, training, near, &random);
		}
	}
	free(near);
	return status;
}
