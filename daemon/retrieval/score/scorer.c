/* scorer.c - compares each view with each part, then makes one score of each row and query. */
#include "daemon/retrieval/score/scorer.h"

#include "daemon/retrieval/score/score_kernels.h"
#include "daemon/retrieval/score/score_range.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* A block of rows, with its products, stays in the second-level cache. */
	SCORER_ALIKE_MAX = 16384,
	SCORER_BLOCK_BYTES = 128 << 10,
	SCORER_ROWS_MAX = 1024,
};

static uint32_t vectors_of(const struct scorer_shape *shape)
{
	return shape->queries * shape->parts;
}

static uint32_t rows_max_of(const struct scorer_shape *shape, size_t row_bytes)
{
	size_t rows = SCORER_ALIKE_MAX / ((size_t)shape->views * vectors_of(shape));
	rows = rows < SCORER_BLOCK_BYTES / row_bytes ? rows : SCORER_BLOCK_BYTES / row_bytes;
	rows = rows < SCORER_ROWS_MAX ? rows : SCORER_ROWS_MAX;
	return rows < 1 ? 1 : (uint32_t)rows;
}

static uint8_t last_mask(uint32_t dim)
{
	return (uint8_t)(0xff00u >> (dim % 8 == 0 ? 8 : dim % 8));
}

/* Counts the bits of a vector, without those that only fill its last byte. */
static uint32_t bits_of(const struct scorer *scorer, const uint8_t *vector)
{
	const size_t last = scorer->vector_bytes - 1;
	const uint8_t rest = vector[last] & last_mask(scorer->shape.dim);
	return score_kernels_at(0)->common_bits(vector, vector, last) +
	       (uint32_t)__builtin_popcount(rest);
}

/* Measures the lengths of `count` f32 vectors. */
static void measure_lengths(const float *vectors, size_t count, uint32_t dim, float *out)
{
	const struct adapter_kernels *kernels = adapter_kernels_at(0);
	for (size_t i = 0; i < count; i++) {
		const float *vector = vectors + i * dim;
		const struct adapter_product product = {
			.x = vector,
			.w = vector,
			.y = out + i,
			.rows = 1,
			.outs = 1,
			.in = dim,
			.y_stride = 1,
		};
		kernels->product(&product);
		out[i] = score_is_usual(out[i]) ? sqrtf(out[i])
						: score_unusual_length(vector, dim, out[i]);
	}
}

static void measure_bits(const struct scorer *scorer, const uint8_t *vectors, size_t count,
	float *out)
{
	for (size_t i = 0; i < count; i++) {
		out[i] = (float)bits_of(scorer, vectors + i * scorer->vector_bytes);
	}
}

/* Measures the lengths of vectors, or counts their bits, if the metric needs that. */
static void measure(const struct scorer *scorer, const void *vectors, size_t count, float *out)
{
	if (metric_is_of_bits(scorer->shape.metric)) {
		measure_bits(scorer, vectors, count, out);
	} else if (scorer->shape.metric == METRIC_COSINE) {
		measure_lengths(vectors, count, scorer->shape.dim, out);
	}
}

static void look_at_weights(struct scorer *scorer)
{
	const uint32_t count = vectors_of(&scorer->shape);
	scorer->is_single = count == 1 && scorer->shape.views == 1 && scorer->weights[0] == 1;
	scorer->has_plain_weights = score_weights_are_plain(scorer->weights, count);
}

enum status scorer_init(struct scorer *scorer, const struct scorer_shape *shape,
	const void *vectors, const float *weights)
{
	const uint32_t count = vectors_of(shape);
	assert(shape->metric != METRIC_NONE && shape->dim > 0 && shape->views > 0 && count > 0);
	*scorer = (struct scorer){.shape = *shape};
	scorer->vector_bytes = metric_is_of_bits(shape->metric) ? (shape->dim + 7) / 8
								: shape->dim * sizeof(float);
	scorer->rows_max = rows_max_of(shape, scorer_row_bytes(scorer));
	const size_t row_views = (size_t)scorer->rows_max * shape->views;
	const size_t floats = row_views * count + row_views + count + count;
	float *room = malloc(floats * sizeof *room + count * scorer->vector_bytes);
	if (room == NULL) {
		return STATUS_NO_MEMORY;
	}
	scorer->alike = room;
	scorer->row_sizes = scorer->alike + row_views * count;
	scorer->sizes = scorer->row_sizes + row_views;
	scorer->weights = scorer->sizes + count;
	scorer->vectors = (uint8_t *)(scorer->weights + count);
	memcpy(scorer->vectors, vectors, count * scorer->vector_bytes);
	for (uint32_t i = 0; metric_is_of_bits(shape->metric) && i < count; i++) {
		scorer->vectors[(i + 1) * scorer->vector_bytes - 1] &= last_mask(shape->dim);
	}
	for (uint32_t i = 0; i < count; i++) {
		scorer->weights[i] = weights == NULL ? 1.0f : weights[i % shape->parts];
	}
	look_at_weights(scorer);
	measure(scorer, scorer->vectors, count, scorer->sizes);
	return STATUS_OK;
}

void scorer_weigh(struct scorer *scorer, const float *weights)
{
	memcpy(scorer->weights, weights, vectors_of(&scorer->shape) * sizeof *weights);
	look_at_weights(scorer);
}

void scorer_fini(struct scorer *scorer)
{
	free(scorer->alike);
	*scorer = (struct scorer){0};
}

/* ---- how alike ---- */

static float of_bits(enum metric metric, float common, float query, float row)
{
	switch (metric) {
	case METRIC_TANIMOTO:
		return common == 0 ? 0 : common / (query + row - common);
	case METRIC_DICE:
		return common == 0 ? 0 : 2 * common / (query + row);
	case METRIC_HAMMING:
		return -(query + row - 2 * common);
	case METRIC_NONE:
	case METRIC_INNER_PRODUCT:
	case METRIC_COSINE:
	case METRIC_L2:
		break;
	}
	return NAN;
}

static void compare_bits(struct scorer *scorer, const uint8_t *rows, size_t row_views)
{
	const uint32_t count = vectors_of(&scorer->shape);
	const size_t bytes = scorer->vector_bytes;
	for (size_t i = 0; i < row_views; i++) {
		for (uint32_t j = 0; j < count; j++) {
			const uint32_t common =
				score_kernels_at(0)->common_bits(scorer->vectors + j * bytes,
					rows + i * bytes, bytes);
			scorer->alike[i * count + j] = of_bits(scorer->shape.metric, (float)common,
				scorer->sizes[j], scorer->row_sizes[i]);
		}
	}
}

static void negate(float *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		values[i] = -values[i];
	}
}

static inline float cosine_of(float product, float query, float row)
{
	const float cosine = product / query / row;
	const float below = cosine > 1 ? 1 : cosine;
	const float within = below < -1 ? -1 : below;
	return query == 0 || row == 0 ? 0 : within;
}

/* For one query the loop runs over rows, and else over queries: so it uses vector instructions. */
static void divide_by_lengths(struct scorer *scorer, size_t row_views)
{
	const uint32_t count = vectors_of(&scorer->shape);
	const float *restrict sizes = scorer->sizes;
	const float *restrict row_sizes = scorer->row_sizes;
	float *restrict alike = scorer->alike;
	for (size_t i = 0; i < row_views && count == 1; i++) {
		alike[i] = cosine_of(alike[i], sizes[0], row_sizes[i]);
	}
	for (size_t i = 0; i < row_views && count > 1; i++) {
		for (uint32_t j = 0; j < count; j++) {
			alike[i * count + j] =
				cosine_of(alike[i * count + j], sizes[j], row_sizes[i]);
		}
	}
}

static void compare_vectors(struct scorer *scorer, const float *rows, size_t row_views)
{
	const uint32_t count = vectors_of(&scorer->shape);
	const struct adapter_product product = {
		.x = rows,
		.w = (const float *)(const void *)scorer->vectors,
		.y = scorer->alike,
		.rows = row_views,
		.outs = count,
		.in = scorer->shape.dim,
		.y_stride = count,
	};
	if (scorer->shape.metric == METRIC_L2) {
		score_kernels_at(0)->distances(&product);
		negate(scorer->alike, row_views * count);
		return;
	}
	adapter_kernels_at(0)->product(&product);
	if (scorer->shape.metric == METRIC_COSINE) {
		divide_by_lengths(scorer, row_views);
	}
}

/* ---- scores ---- */

/* The metric of a query part and that view of a row which is most like it. */
static float best_view(const struct scorer *scorer, uint32_t row, uint32_t vector)
{
	const uint32_t taken = scorer_views_of(scorer, row);
	const uint32_t count = vectors_of(&scorer->shape);
	const float *alike = scorer->alike + (size_t)row * scorer->shape.views * count + vector;
	float best = *alike;
	for (uint32_t view = 1; view < taken; view++) {
		best = fmaxf(best, alike[(size_t)view * count]);
	}
	return best;
}

static float score_of(const struct scorer *scorer, uint32_t row, uint32_t query)
{
	float score = 0;
	const uint32_t first = query * scorer->shape.parts;
	const uint32_t taken = scorer_parts_of(scorer, query);
	for (uint32_t part = 0; part < taken; part++) {
		score += scorer->weights[first + part] * best_view(scorer, row, first + part);
	}
	return score;
}

static void sum_up(const struct scorer *scorer, uint32_t count, float *scores)
{
	if (scorer->shape.views == 1 && vectors_of(&scorer->shape) == 1) {
		for (uint32_t row = 0; row < count; row++) {
			scores[row] = scorer->weights[0] * scorer->alike[row];
		}
		return;
	}
	for (uint32_t query = 0; query < scorer->shape.queries; query++) {
		for (uint32_t row = 0; row < count; row++) {
			scores[(size_t)query * scorer->rows_max + row] =
				score_of(scorer, row, query);
		}
	}
}

void scorer_run(struct scorer *scorer, const void *rows, uint32_t count, float *scores)
{
	const size_t row_views = (size_t)count * scorer->shape.views;
	assert(count <= scorer->rows_max);
	measure(scorer, rows, row_views, scorer->row_sizes);
	if (metric_is_of_bits(scorer->shape.metric)) {
		compare_bits(scorer, rows, row_views);
	} else {
		compare_vectors(scorer, rows, row_views);
	}
	sum_up(scorer, count, scores);
	score_mend(scorer, rows, count, scores);
}
