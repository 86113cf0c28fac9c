/* balls_train.c - spherical k-means. */
#include "daemon/retrieval/balls_train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/retrieval/balls_nearest.h"
#include "daemon/retrieval/balls_norm.h"
#include "daemon/retrieval/balls_random.h"

enum {
	/* Seeds are drawn in so many rounds, each farther from those before. */
	SEED_ROUNDS = 16,
	LLOYD_ROUNDS = 10,
};

struct training {
	const struct balls_sample *sample;
	uint32_t k;
	uint64_t random;
	const _Atomic bool *stop;
	float *axes;
	float *near;     /* [count]: each row's product with its axis */
	float *sums;     /* [k, dim] */
	uint32_t *sizes; /* [k] */
	uint32_t *picks; /* [k] */
};

/* ---- assignment ---- */

static void pack(float *panels, const float *axes, uint32_t k, uint32_t dim)
{
	const size_t count = (k + BALLS_PANEL - 1) / BALLS_PANEL;
	for (size_t p = 0; p < count; p++) {
		float *panel = panels + p * dim * BALLS_PANEL;
		for (size_t i = 0; i < BALLS_PANEL; i++) {
			const size_t axis = p * BALLS_PANEL + i;
			for (size_t d = 0; d < dim; d++) {
				panel[d * BALLS_PANEL + i] = axis < k ? axes[axis * dim + d] : NAN;
			}
		}
	}
}

enum status balls_assigner_init(struct balls_assigner *assigner, const float *axes, uint32_t k,
	uint32_t dim)
{
	const size_t count = (k + BALLS_PANEL - 1) / BALLS_PANEL;
	*assigner = (struct balls_assigner){.k = k, .dim = dim};
	assigner->panels = malloc(count * dim * BALLS_PANEL * sizeof(float));
	if (assigner->panels == NULL) {
		return STATUS_NO_MEMORY;
	}
	pack(assigner->panels, axes, k, dim);
	return STATUS_OK;
}

void balls_assigner_fini(struct balls_assigner *assigner)
{
	free(assigner->panels);
	*assigner = (struct balls_assigner){0};
}

void balls_assign(const struct balls_assigner *assigner, const float *rows, size_t count,
	float *best, uint32_t *axis)
{
	const struct balls_nearest nearest = {
		.x = rows,
		.rows = count,
		.dim = assigner->dim,
		.panels = assigner->panels,
		.panel_count = (assigner->k + BALLS_PANEL - 1) / BALLS_PANEL,
		.best = best,
		.axis = axis,
	};
	for (size_t i = 0; i < count; i++) {
		best[i] = -INFINITY;
		axis[i] = 0;
	}
	balls_nearest(&nearest);
}

/* ---- training ---- */

static bool is_stopped(const struct training *training)
{
	return training->stop != NULL && *training->stop;
}

/* Picks `count` rows of the sample, each with a chance that grows with its distance from the axis
 * that is nearest to it. */
static void pick(struct training *training, uint32_t count, uint32_t *picks)
{
	const size_t rows = training->sample->count;
	double total = 0;
	for (size_t i = 0; i < rows; i++) {
		total += fmax(1 - (double)training->near[i], 0) + 1e-9;
	}
	const double step = total / count;
	double next = balls_random_unit(&training->random) * step;
	double sum = 0;
	uint32_t picked = 0;
	for (size_t i = 0; i < rows && picked < count; i++) {
		sum += fmax(1 - (double)training->near[i], 0) + 1e-9;
		for (; sum > next && picked < count; next += step) {
			picks[picked++] = (uint32_t)i;
		}
	}
	for (; picked < count; picked++) {
		picks[picked] = (uint32_t)(rows - 1);
	}
}

static enum status draw_seeds(struct training *training)
{
	const struct balls_sample *sample = training->sample;
	const size_t row_bytes = sample->dim * sizeof(float);
	const uint32_t share = (training->k + SEED_ROUNDS - 1) / SEED_ROUNDS;
	for (size_t i = 0; i < sample->count; i++) {
		training->near[i] = -INFINITY;
	}
	for (uint32_t first = 0; first < training->k; first += share) {
		const uint32_t count = training->k - first < share ? training->k - first : share;
		if (first == 0) {
			for (uint32_t i = 0; i < count; i++) {
				training->picks[i] =
					(uint32_t)(balls_random(&training->random) % sample->count);
			}
		} else {
			pick(training, count, training->picks);
		}
		float *axes = training->axes + (size_t)first * sample->dim;
		for (uint32_t i = 0; i < count; i++) {
			memcpy(axes + (size_t)i * sample->dim,
				sample->rows + (size_t)training->picks[i] * sample->dim, row_bytes);
		}
		struct balls_assigner assigner;
		const enum status status = balls_assigner_init(&assigner, axes, count, sample->dim);
		if (status != STATUS_OK) {
			return status;
		}
		const struct balls_nearest nearest = {
			.x = sample->rows,
			.rows = sample->count,
			.dim = sample->dim,
			.panels = assigner.panels,
			.panel_count = (count + BALLS_PANEL - 1) / BALLS_PANEL,
			.best = training->near,
			.axis = sample->axis,
			.first_axis = first,
		};
		balls_nearest(&nearest);
		balls_assigner_fini(&assigner);
		if (is_stopped(training)) {
			return STATUS_BUSY;
		}
	}
	return STATUS_OK;
}

static enum status assign_sample(struct training *training)
{
	const struct balls_sample *sample = training->sample;
	struct balls_assigner assigner;
	const enum status status =
		balls_assigner_init(&assigner, training->axes, training->k, sample->dim);
	enum { SOME = 4096 };
	for (size_t first = 0; status == STATUS_OK && first < sample->count; first += SOME) {
		if (is_stopped(training)) {
			break;
		}
		const size_t count = sample->count - first < SOME ? sample->count - first : SOME;
		balls_assign(&assigner, sample->rows + first * sample->dim, count,
			training->near + first, sample->axis + first);
	}
	balls_assigner_fini(&assigner);
	return status != STATUS_OK ? status : is_stopped(training) ? STATUS_BUSY : STATUS_OK;
}

static void normalize(const float *sum, uint32_t dim, float *axis)
{
	const double norm = balls_norm(sum, dim);
	if (norm > 1e-12) {
		for (uint32_t d = 0; d < dim; d++) {
			axis[d] = (float)((double)sum[d] / norm);
		}
	}
}

/* Each axis becomes the direction of its rows; one that has none goes to where rows are far from
 * theirs. */
static void move_axes(struct training *training)
{
	const struct balls_sample *sample = training->sample;
	const uint32_t dim = sample->dim;
	memset(training->sums, 0, (size_t)training->k * dim * sizeof(float));
	memset(training->sizes, 0, training->k * sizeof *training->sizes);
	for (size_t i = 0; i < sample->count; i++) {
		float *sum = training->sums + (size_t)sample->axis[i] * dim;
		const float *row = sample->rows + i * dim;
		for (uint32_t d = 0; d < dim; d++) {
			sum[d] += row[d];
		}
		training->sizes[sample->axis[i]]++;
	}
	uint32_t empty = 0;
	for (uint32_t i = 0; i < training->k; i++) {
		empty += training->sizes[i] == 0;
		normalize(training->sums + (size_t)i * dim, dim, training->axes + (size_t)i * dim);
	}
	if (empty == 0) {
		return;
	}
	pick(training, empty, training->picks);
	for (uint32_t i = 0; i < training->k; i++) {
		if (training->sizes[i] == 0) {
			memcpy(training->axes + (size_t)i * dim,
				sample->rows + (size_t)training->picks[--empty] * dim,
				dim * sizeof(float));
		}
	}
}

static enum status train(struct training *training)
{
	enum status status = draw_seeds(training);
	for (int round = 0; round < LLOYD_ROUNDS && status == STATUS_OK; round++) {
		status = assign_sample(training);
		if (status == STATUS_OK) {
			move_axes(training);
		}
	}
	return status == STATUS_OK ? assign_sample(training) : status;
}

enum status balls_train(const struct balls_sample *sample, uint32_t k, uint64_t seed,
	const _Atomic bool *stop, float *axes)
{
	struct training training = {
		.sample = sample,
		.k = k,
		.random = seed,
		.stop = stop,
		.axes = axes,
		.near = malloc(sample->count * sizeof(float)),
		.sums = malloc((size_t)k * sample->dim * sizeof(float)),
		.sizes = malloc(k * sizeof(uint32_t)),
		.picks = malloc(k * sizeof(uint32_t)),
	};
	enum status status = STATUS_NO_MEMORY;
	if (training.near != NULL && training.sums != NULL && training.sizes != NULL &&
		training.picks != NULL) {
		status = train(&training);
	}
	free(training.near);
	free(training.sums);
	free(training.sizes);
	free(training.picks);
	return status;
}
