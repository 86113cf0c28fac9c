/* score_range.c - looks at a whole block first, and at single scores only if a value is out of
 * range. */
#include "daemon/retrieval/score/score_range.h"

#include "daemon/retrieval/layers/adapter_kernels.h"
#include "daemon/retrieval/layers/wide.h"
#include "daemon/retrieval/score/score_kernels.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* A product or a distance below this may lack digits: its parts are near the least f32. */
static const float alike_least = 0x1p-100f;
/* The product of two elements that are at least this, or 0, does not vanish. */
static const float element_least = 0x1p-50f;
static const float weight_least = 0x1p-25f;
static const float weight_most = 0x1p25f;

float score_unusual_length(const float *vector, uint32_t dim, float squared)
{
	assert(!score_is_usual(squared));
	return squared == 0 && !score_kernels_at(0)->has_small(vector, dim, INFINITY) ? 0 : NAN;
}

bool score_weights_are_plain(const float *weights, uint32_t count)
{
	bool is_plain = true;
	for (uint32_t i = 0; i < count; i++) {
		const float size = fabsf(weights[i]);
		is_plain = is_plain && (size == 0 || (size >= weight_least && size <= weight_most));
	}
	return is_plain;
}

/* ---- one query and one row ---- */

/* What is needed of a scorer to compare query parts and views. */
struct pair {
	const struct scorer *scorer;
	const float *alike; /* of all parts of all queries with this row, view by view */
	const uint8_t *row;
	uint32_t views; /* of the row, that count */
};

static uint32_t vectors_of(const struct scorer *scorer)
{
	return scorer->shape.queries * scorer->shape.parts;
}

static const float *part_of(const struct scorer *scorer, uint32_t vector)
{
	return (const float *)(const void *)(scorer->vectors + vector * scorer->vector_bytes);
}

static const float *view_of(const struct pair *pair, uint32_t view)
{
	return (const float *)(const void *)(pair->row + view * pair->scorer->vector_bytes);
}

/* Is the metric of a query part and a view, as it was computed in f32, in range? */
static bool is_sound(const struct pair *pair, uint32_t vector, uint32_t view)
{
	const struct scorer *scorer = pair->scorer;
	const uint32_t dim = scorer->shape.dim;
	const float value = pair->alike[(size_t)view * vectors_of(scorer) + vector];
	if (!isfinite(value)) {
		return false;
	}
	if (scorer->shape.metric == METRIC_INNER_PRODUCT && value == 0) {
		const struct score_kernels *kernels = score_kernels_at(0);
		return !kernels->has_small(part_of(scorer, vector), dim, element_least) &&
		       !kernels->has_small(view_of(pair, view), dim, element_least);
	}
	if (scorer->shape.metric == METRIC_L2 && value == 0) {
		return memcmp(part_of(scorer, vector), view_of(pair, view), scorer->vector_bytes) ==
		       0;
	}
	return (scorer->shape.metric != METRIC_INNER_PRODUCT &&
		       scorer->shape.metric != METRIC_L2) ||
	       fabsf(value) >= alike_least;
}

static double cosine_of(const float *q, const float *x, uint32_t dim)
{
	const double squared = wide_dot(q, q, dim);
	const double other = wide_dot(x, x, dim);
	if (squared == 0 || other == 0) {
		return 0;
	}
	const double cosine = wide_dot(q, x, dim) / sqrt(squared) / sqrt(other);
	return cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
}

static double wide_alike(const struct pair *pair, uint32_t vector, uint32_t view)
{
	const struct scorer *scorer = pair->scorer;
	const uint32_t dim = scorer->shape.dim;
	switch (scorer->shape.metric) {
	case METRIC_INNER_PRODUCT:
		return wide_dot(part_of(scorer, vector), view_of(pair, view), dim);
	case METRIC_COSINE:
		return cosine_of(part_of(scorer, vector), view_of(pair, view), dim);
	case METRIC_L2:
		return -wide_distance(part_of(scorer, vector), view_of(pair, view), dim);
	case METRIC_NONE:
	case METRIC_TANIMOTO:
	case METRIC_DICE:
	case METRIC_HAMMING:
		break;
	}
	return (double)pair->alike[(size_t)view * vectors_of(scorer) + vector];
}

static float wide_score(const struct pair *pair, uint32_t query)
{
	const struct scorer *scorer = pair->scorer;
	const uint32_t first = query * scorer->shape.parts;
	const uint32_t parts = scorer_parts_of(scorer, query);
	double score = 0;
	for (uint32_t part = 0; part < parts; part++) {
		double best = wide_alike(pair, first + part, 0);
		for (uint32_t view = 1; view < pair->views; view++) {
			best = fmax(best, wide_alike(pair, first + part, view));
		}
		score += (double)scorer->weights[first + part] * best;
	}
	return wide_close(score);
}

/* ---- a block ---- */

static bool is_query_sound(const struct pair *pair, uint32_t query, float score)
{
	const struct scorer_shape *shape = &pair->scorer->shape;
	const uint32_t parts = scorer_parts_of(pair->scorer, query);
	bool sound = pair->scorer->has_plain_weights && isfinite(score);
	for (uint32_t view = 0; view < pair->views && sound; view++) {
		for (uint32_t part = 0; part < parts && sound; part++) {
			sound = is_sound(pair, query * shape->parts + part, view);
		}
	}
	return sound;
}

static bool is_block_sound(const struct scorer *scorer, uint32_t count, const float *scores)
{
	const struct adapter_kernels *kernels = adapter_kernels_at(0);
	const struct scorer_shape *shape = &scorer->shape;
	const bool may_vanish = shape->metric == METRIC_INNER_PRODUCT || shape->metric == METRIC_L2;
	bool sound =
		scorer->has_plain_weights &&
		kernels->in_range(scorer->alike, (size_t)count * shape->views * vectors_of(scorer),
			may_vanish ? alike_least : 0);
	for (uint32_t query = 0; query < shape->queries && sound && !scorer->is_single; query++) {
		sound = kernels->in_range(scores + (size_t)query * scorer->rows_max, count, 0);
	}
	return sound;
}

void score_mend(const struct scorer *scorer, const void *rows, uint32_t count, float *scores)
{
	const struct scorer_shape *shape = &scorer->shape;
	assert(count <= scorer->rows_max);
	if (is_block_sound(scorer, count, scores)) {
		return;
	}
	for (uint32_t row = 0; row < count; row++) {
		const struct pair pair = {
			.scorer = scorer,
			.alike = scorer->alike + (size_t)row * shape->views * vectors_of(scorer),
			.row = (const uint8_t *)rows + row * scorer_row_bytes(scorer),
			.views = scorer_views_of(scorer, row),
		};
		for (uint32_t query = 0; query < shape->queries; query++) {
			float *score = &scores[(size_t)query * scorer->rows_max + row];
			if (!is_query_sound(&pair, query, *score)) {
				*score = wide_score(&pair, query);
			}
		}
	}
}
