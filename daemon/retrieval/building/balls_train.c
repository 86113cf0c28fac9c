/* balls_train.c - spherical k-means. */
#include "daemon/retrieval/building/balls_train.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/retrieval/balls/balls_norm.h"
#include "daemon/retrieval/building/balls_panels.h"
#include "daemon/retrieval/building/balls_random.h"

enum {
	/* Seeds are drawn in so many rounds; later ones are farther from those before. */
	SEED_ROUNDS = 16,
	LLOYD_ROUNDS = 8,
	/* `stop` is asked once for so many rows. */
	SOME = 4096,
};

/* ---- assignment ---- */

static enum status improve(const struct balls_sample *sample, const struct balls_training *training,
	uint32_t first, uint32_t k, float *near)
{
	struct balls_panels panels;
	enum status status = balls_panels_init(&panels,
		training->axes + (size_t)first * sample->dim, k, sample->dim);
	for (size_t i = 0; status == STATUS_OK && i < sample->count; i += SOME) {
		const size_t left = sample->count - i;
		balls_panels_improve(&panels, first, sample->rows + i * sample->dim,
			left < SOME ? left : SOME, near + i, sample->axis + i);
		if (balls_training_is_stopped(training)) {
			status = STATUS_BUSY;
		}
	}
	balls_panels_fini(&panels);
	return status;
}

static void forget(const struct balls_sample *sample, float *near)
{
	for (size_t i = 0; i < sample->count; i++) {
		near[i] = -INFINITY;
		sample->axis[i] = 0;
	}
}

static enum status assign(const struct balls_sample *sample, const struct balls_training *training,
	float *near)
{
	forget(sample, near);
	return improve(sample, training, 0, training->k, near);
}

/* ---- seeds ---- */

static double distance_of(float near)
{
	return fmax(1 - (double)near, 0) + 1e-9;
}

/* Picks `count` rows of the sample. The chance of a row grows with its distance from its axis. */
static void pick(const struct balls_sample *sample, const float *near, uint64_t *random,
	uint32_t count, uint32_t *picks)
{
	double total = 0;
	assert(count > 0 && sample->count > 0);
	for (size_t i = 0; i < sample->count; i++) {
		total += distance_of(near[i]);
	}
	const double step = total / count;
	double next = balls_random_unit(random) * step;
	double sum = 0;
	uint32_t picked = 0;
	for (size_t i = 0; i < sample->count; i++) {
		sum += distance_of(near[i]);
		while (sum > next && picked < count) {
			picks[picked++] = (uint32_t)i;
			next += step;
		}
	}
	for (; picked < count; picked++) {
		picks[picked] = (uint32_t)(sample->count - 1);
	}
}

static void copy_row(const struct balls_sample *sample, size_t row, float *axis)
{
	memcpy(axis, sample->rows + row * sample->dim, sample->dim * sizeof *axis);
}

static enum status draw_seeds(const struct balls_sample *sample,
	const struct balls_training *training, float *near, uint64_t *random)
{
	const uint32_t share = (training->k + SEED_ROUNDS - 1) / SEED_ROUNDS;
	uint32_t *picks = calloc((size_t)share + 1, sizeof *picks);
	if (picks == NULL) {
		return STATUS_NO_MEMORY;
	}
	enum status status = STATUS_OK;
	forget(sample, near);
	for (uint32_t first = 0; first < training->k && status == STATUS_OK; first += share) {
		const uint32_t left = training->k - first;
		const uint32_t count = left < share ? left : share;
		for (uint32_t i = 0; first == 0 && i < count; i++) {
			picks[i] = (uint32_t)(balls_random(random) % sample->count);
		}
		if (first > 0) {
			pick(sample, near, random, count, picks);
		}
		for (uint32_t i = 0; i < count; i++) {
			copy_row(sample, picks[i],
				training->axes + ((size_t)first + i) * sample->dim);
		}
		status = improve(sample, training, first, count, near);
	}
	free(picks);
	return status;
}

/* ---- moves ---- */

static void normalize(const float *sum, uint32_t dim, float *axis)
{
	const double norm = balls_norm(sum, dim);
	if (norm > 1e-12) {
		for (uint32_t d = 0; d < dim; d++) {
			axis[d] = (float)((double)sum[d] / norm);
		}
	}
}

/* Moves each axis to the mean direction of its rows. Returns the number of axes without a row. */
static uint32_t average(const struct balls_sample *sample, const struct balls_training *training,
	float *sums, uint32_t *sizes)
{
	const uint32_t dim = sample->dim;
	uint32_t empty = 0;
	for (size_t i = 0; i < sample->count; i++) {
		float *sum = sums + (size_t)sample->axis[i] * dim;
		const float *row = sample->rows + i * dim;
		for (uint32_t d = 0; d < dim; d++) {
			sum[d] += row[d];
		}
		sizes[sample->axis[i]]++;
	}
	for (uint32_t i = 0; i < training->k; i++) {
		empty += sizes[i] == 0;
		normalize(sums + (size_t)i * dim, dim, training->axes + (size_t)i * dim);
	}
	return empty;
}

enum status balls_move_axes(const struct balls_sample *sample,
	const struct balls_training *training, const float *near, uint64_t *random)
{
	const size_t k = training->k;
	assert(k > 0 && sample->count > 0);
	float *sums = calloc(k * sample->dim + 1, sizeof *sums);
	uint32_t *sizes = calloc(k, sizeof *sizes);
	uint32_t *picks = calloc(k + 1, sizeof *picks);
	const bool fits = sums != NULL && sizes != NULL && picks != NULL;
	if (fits) {
		uint32_t empty = average(sample, training, sums, sizes);
		if (empty > 0) {
			pick(sample, near, random, empty, picks);
		}
		for (size_t i = 0; i < k; i++) {
			if (sizes[i] == 0) {
				assert(empty > 0); /* as many picks as empty axes */
				copy_row(sample, picks[--empty], training->axes + i * sample->dim);
			}
		}
		assert(empty == 0);
	}
	free(sums);
	free(sizes);
	free(picks);
	return fits ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status balls_train(const struct balls_sample *sample, const struct balls_training *training)
{
	uint64_t random = training->seed;
	assert(training->k > 0 && sample->count > 0);
	float *near = malloc(sample->count * sizeof *near);
	if (near == NULL) {
		return STATUS_NO_MEMORY;
	}
	enum status status = draw_seeds(sample, training, near, &random);
	for (int round = 0; round < LLOYD_ROUNDS && status == STATUS_OK; round++) {
		status = balls_move_axes(sample, training, near, &random);
		if (status == STATUS_OK) {
			status = assign(sample, training, near);
		}
	}
	free(near);
	return status;
}
