/* balls_plan_axes.c - finds the axes and the basis of an index by a sample of its rows. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/retrieval/balls/balls_norm.h"
#include "daemon/retrieval/building/balls_basis.h"
#include "daemon/retrieval/building/balls_few.h"
#include "daemon/retrieval/building/balls_plan.h"
#include "daemon/retrieval/building/balls_random.h"
#include "daemon/retrieval/building/balls_tree.h"

enum {
	GRANULARITY_MIN = 64,
	/* The sample has so many rows for each ball. */
	SAMPLE_ROWS = 64,
	SAMPLE_ROWS_MIN = 4096,
	/* Rows of up to so many dims are coded without a basis. */
	PLAIN_DIMS_MAX = 32,
	PREFIX_MIN = 16,
	PREFIX_MAX = 64,
	FIRST_MIN = 8,
	VARIATION_ROWS_MAX = 16384,
};

static const uint64_t sample_bytes = UINT64_C(256) << 20;
static const uint64_t variation_values = UINT64_C(1) << 24;
/* The prefix has so many dims that they leave no more than
 * this share of the squares off the axes. */
static const double rest_max = 0.1;
/* The same for the first dims of the prefix. If they are more than half of it, all of it counts as
 * first. */
static const double first_rest_max = 0.4;

/* Reads rows spread evenly over the source, leaves out those that have no direction, and scales the
 * others to length 1. */
static void read_sample(const struct balls_source *source, uint64_t wanted, uint64_t *random,
	struct balls_sample *sample)
{
	sample->count = 0;
	for (uint64_t i = 0; i < wanted; i++) {
		const uint64_t first = i * source->rows / wanted;
		const uint64_t end = (i + 1) * source->rows / wanted;
		const uint64_t at = first + balls_random(random) % (end - first);
		float *row = sample->rows + sample->count * source->dim;
		source->read(source->arg, (uint32_t)at, 1, row);
		const double norm = balls_norm(row, source->dim);
		if (!balls_norm_is_usable(norm)) {
			continue;
		}
		for (uint32_t d = 0; d < source->dim; d++) {
			row[d] = (float)((double)row[d] / norm);
		}
		sample->count++;
	}
	assert(sample->count <= wanted);
}

/* How many of the dims, at least `least`, leave no more than `rest`? */
static uint32_t dims_of(const double *captured, uint32_t dims, uint32_t least, double rest)
{
	double left = 1;
	for (uint32_t i = 0; i < dims; i++) {
		left -= captured[i];
		if (left <= rest && (i + 1) % 4 == 0 && i + 1 >= least) {
			return i + 1;
		}
	}
	return dims;
}

/* Removes from each row, in place, what is along its axis; finds the directions of the rest. */
static enum status find_basis(struct balls_plan *plan, struct balls_sample *sample, uint64_t seed)
{
	const uint32_t dim = sample->dim;
	size_t rows = variation_values / dim;
	rows = rows < VARIATION_ROWS_MAX ? rows : VARIATION_ROWS_MAX;
	rows = rows < sample->count ? rows : sample->count;
	for (size_t i = 0; i < rows; i++) {
		float *row = sample->rows + i * dim;
		const size_t from = i * sample->count / rows;
		const float *axis = plan->axes + (size_t)sample->axis[from] * dim;
		memmove(row, sample->rows + from * dim, dim * sizeof *row);
		const double along = balls_dot(row, axis, dim);
		for (uint32_t d = 0; d < dim; d++) {
			row[d] = (float)((double)row[d] - along * (double)axis[d]);
		}
	}
	const uint32_t wanted = dim / 4 * 4 < PREFIX_MAX ? dim / 4 * 4 : PREFIX_MAX;
	double captured[PREFIX_MAX];
	plan->basis = malloc(((size_t)wanted * dim + 1) * sizeof *plan->basis);
	if (plan->basis == NULL) {
		return STATUS_NO_MEMORY;
	}
	const struct balls_variation variation = {
		.rows = sample->rows,
		.count = rows,
		.dim = dim,
		.wanted = wanted,
		.seed = seed,
		.stop = plan->options->stop,
		.basis = plan->basis,
		.captured = captured,
	};
	const enum status status = balls_basis(&variation);
	if (status != STATUS_OK) {
		return status;
	}
	plan->shape.prefix = dims_of(captured, wanted, PREFIX_MIN, rest_max);
	plan->shape.first = dims_of(captured, plan->shape.prefix, FIRST_MIN, first_rest_max);
	if (plan->shape.first * 2 > plan->shape.prefix) {
		plan->shape.first = plan->shape.prefix;
	}
	assert(plan->shape.prefix <= wanted && plan->shape.first <= plan->shape.prefix);
	plan->shape.has_basis = true;
	if (plan->shape.prefix + 3 >= dim) { /* no dim is saved */
		free(plan->basis);
		plan->basis = NULL;
		plan->shape.prefix = (dim + 3) / 4 * 4;
		plan->shape.first = plan->shape.prefix;
		plan->shape.has_basis = false;
	}
	return STATUS_OK;
}

static const struct balls_source *sampled_of(const struct balls_plan *plan)
{
	return plan->options->sampled != NULL ? plan->options->sampled : plan->source;
}

static enum status train(struct balls_plan *plan, struct balls_sample *sample, uint64_t wanted)
{
	const uint32_t dim = plan->source->dim;
	uint64_t random = plan->options->seed;
	read_sample(sampled_of(plan), wanted, &random, sample);
	if (sample->count < plan->shape.balls) {
		plan->shape.balls = sample->count > 0 ? (uint32_t)sample->count : 1;
	}
	plan->axes = calloc((size_t)plan->shape.balls * dim + 1, sizeof *plan->axes);
	if (plan->axes == NULL) {
		return STATUS_NO_MEMORY;
	}
	plan->axes[0] = 1; /* a unit vector, in case no row has a direction */
	enum status status = STATUS_OK;
	/* Training would put all these rows into as many balls, one by one, and find nothing. */
	const uint32_t few = balls_few(sample, plan->shape.balls, plan->axes);
	if (few > 0) {
		plan->shape.balls = few;
	} else if (sample->count > 0) {
		const struct balls_training training = {
			.k = plan->shape.balls,
			.seed = balls_random(&random),
			.stop = plan->options->stop,
			.axes = plan->axes,
		};
		status = balls_train_tree(sample, &training);
	}
	plan->shape.prefix = (dim + 3) / 4 * 4;
	plan->shape.first = plan->shape.prefix;
	if (status == STATUS_OK && dim > PLAIN_DIMS_MAX) {
		status = find_basis(plan, sample, balls_random(&random));
	}
	return status;
}

/* A search looks at all balls, and then at all rows of some. With a granularity that grows as the
 * root of the rows both grow alike. */
static uint32_t granularity_of(uint32_t rows)
{
	const uint32_t even = (uint32_t)(sqrt(rows) / 2);
	return even > GRANULARITY_MIN ? even : GRANULARITY_MIN;
}

static enum status copy_axes(struct balls_plan *plan)
{
	const struct balls *previous = plan->options->previous;
	const size_t axes_bytes = (size_t)previous->balls * previous->dim * sizeof(float);
	const size_t basis_bytes = (size_t)previous->prefix * previous->dim * sizeof(float);
	plan->shape.balls = previous->balls;
	plan->shape.prefix = previous->prefix;
	plan->shape.first = previous->first;
	plan->shape.has_basis = previous->basis != NULL;
	plan->axes = malloc(axes_bytes);
	if (plan->axes == NULL) {
		return STATUS_NO_MEMORY;
	}
	memcpy(plan->axes, previous->axes, axes_bytes);
	if (previous->basis != NULL) {
		plan->basis = malloc(basis_bytes);
		if (plan->basis == NULL) {
			return STATUS_NO_MEMORY;
		}
		memcpy(plan->basis, previous->basis, basis_bytes);
	}
	return STATUS_OK;
}

enum status balls_plan_axes(struct balls_plan *plan)
{
	if (plan->options->previous != NULL) {
		return copy_axes(plan);
	}
	const struct balls_source *source = sampled_of(plan);
	const uint32_t granularity = plan->options->granularity > 0 ? plan->options->granularity
								    : granularity_of(source->rows);
	const uint64_t bytes =
		plan->options->memory_bytes > 0 ? plan->options->memory_bytes : sample_bytes;
	plan->shape.balls = (source->rows + granularity - 1) / granularity;
	plan->shape.balls = plan->shape.balls > 0 ? plan->shape.balls : 1;
	uint64_t wanted = (uint64_t)plan->shape.balls * SAMPLE_ROWS;
	/* balls_tree.c copies the sample once, part by part, so it takes its memory twice. */
	const uint64_t most = bytes / (2 * sizeof(float) * source->dim);
	wanted = wanted > SAMPLE_ROWS_MIN ? wanted : SAMPLE_ROWS_MIN;
	wanted = wanted < most ? wanted : most;
	wanted = wanted < source->rows ? wanted : source->rows;
	struct balls_sample sample = {
		.dim = source->dim,
		.rows = malloc((wanted + 1) * source->dim * sizeof(float)),
		.axis = malloc((wanted + 1) * sizeof(uint32_t)),
	};
	enum status status = STATUS_NO_MEMORY;
	if (sample.rows != NULL && sample.axis != NULL) {
		status = train(plan, &sample, wanted);
	}
	free(sample.rows);
	free(sample.axis);
	return status;
}
