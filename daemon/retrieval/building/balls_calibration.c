/* balls_calibration.c - measures the recall of each factor when an index is built. */
#include "daemon/retrieval/building/balls_calibration.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/retrieval/balls/balls_norm.h"
#include "daemon/retrieval/balls/balls_recall.h"
#include "daemon/retrieval/building/balls_random.h"
#include "daemon/retrieval/score/scorer.h"

enum { ROWS_AT_ONCE = 64 };

enum {
	/* Before a metric is measured, so many queries are tried by the least factor. If they look at
	 * more than half of all rows, nothing can be won: nothing is measured, and no recall is
	 * promised. */
	PROBES = 8,
};

/* The searches of one metric may score so many rows in full. Beyond that no further query is tried. Of
 * 1M rows of clusters they score up to 10M. */
static const uint64_t scored_max = UINT64_C(1) << 26;

/* A k is measured only if the source has so many rows for each hit: with fewer there is little to
 * leave out, and no recall is promised, so that such searches are exact. */
static const size_t rows_per_hit = 10;

struct calibration {
	const struct balls *const *parts;
	size_t part_count;
	const struct balls_source *source;
	const struct balls_options *options;
	enum balls_metric metric;
	uint64_t own; /* the query is this row, which is not to be found; UINT64_MAX: it is none */
	uint64_t compared;    /* rows that the searches of a metric have looked at */
	uint64_t scored;      /* of these, those that were scored in full */
	struct scorer scorer; /* of the query, by the metric */
	struct balls_space space;
	float *query; /* owned, [dim] */
	float *rows;  /* behind it, [ROWS_AT_ONCE, dim] */
};

static void score(void *arg, const uint32_t *rows, uint32_t count, float *scores)
{
	struct calibration *calibration = arg;
	const struct balls_source *source = calibration->source;
	struct scorer *scorer = &calibration->scorer;
	calibration->scored += count;
	const uint32_t most = scorer->rows_max < ROWS_AT_ONCE ? scorer->rows_max : ROWS_AT_ONCE;
	for (uint32_t first = 0; first < count; first += most) {
		const uint32_t some = count - first < most ? count - first : most;
		for (uint32_t i = 0; i < some; i++) {
			source->read(source->arg, rows[first + i], 1,
				calibration->rows + (size_t)i * source->dim);
		}
		scorer_run(scorer, calibration->rows, some, scores + first);
		for (uint32_t i = first; i < first + some; i++) {
			scores[i] = rows[i] == calibration->own ? NAN : scores[i];
		}
	}
}

static int compare_ids(void *arg, uint64_t a, uint64_t b)
{
	(void)arg;
	return (a > b) - (a < b);
}

/* Searches the best k. If it succeeds, the caller ends `top`. */
static enum status search(struct calibration *calibration, size_t k, float factor, struct topk *top)
{
	enum status status = topk_init(top, k, -INFINITY, compare_ids, NULL);
	if (status != STATUS_OK) {
		return status;
	}
	assert(calibration->part_count <= 1 + BALLS_BESIDE_MAX);
	struct balls_query query = {
		.query = calibration->query,
		.metric = calibration->metric,
		.factor = factor,
		.score = score,
		.arg = calibration,
		.top = top,
		.cancel = calibration->options->stop,
		.beside = calibration->parts + 1,
		.beside_count = calibration->part_count - 1,
		.cut_count = calibration->part_count - 1,
	};
	status = balls_search(calibration->parts[0], &query, &calibration->space);
	calibration->compared += query.compared;
	if (status == STATUS_OK) {
		topk_finish(top);
	} else {
		topk_fini(top);
	}
	return status;
}

/* How many hits reach a score? */
static size_t count_from(const struct topk *top, float limit)
{
	size_t count = 0;
	for (size_t i = 0; i < top->count; i++) {
		count += top->hits[i].score >= limit;
	}
	return count;
}

/* Shares that searches by each k and factor found: sums of shares over all queries, and sums of
 * squares of shares. */
struct found {
	double shares[BALLS_KS][BALLS_FACTORS];
	double squares[BALLS_KS][BALLS_FACTORS];
	uint32_t queries;
};

/* How many ks are measured. */
static size_t count_ks(const struct calibration *calibration)
{
	size_t count = 0;
	while (count < BALLS_KS && balls_ks[count] * rows_per_hit <= calibration->source->rows) {
		count++;
	}
	return count;
}

/* Adds the shares that searches for the best balls_ks[which] find. The last of these has the score
 * `limit`. A search by a greater factor looks at more rows: once it finds all, greater ones do. */
static enum status try_factors(struct calibration *calibration, size_t which,
	const struct topk *best, struct found *found)
{
	assert(which < BALLS_KS && best->k >= balls_ks[which]);
	const size_t k = balls_ks[which] < best->count ? balls_ks[which] : best->count;
	const float limit = k > 0 ? best->hits[k - 1].score : INFINITY;
	double share = 0;
	for (size_t i = 0; i < BALLS_FACTORS; i++) {
		if (share < 1 && calibration->scored <= scored_max) {
			struct topk top;
			const enum status status =
				search(calibration, balls_ks[which], balls_factors[i], &top);
			if (status != STATUS_OK) {
				return status;
			}
			const size_t count = count_from(&top, limit);
			share = count < k ? (double)count / (double)k : 1;
			topk_fini(&top);
		}
		found->shares[which][i] += share;
		found->squares[which][i] += share * share;
	}
	return STATUS_OK;
}

static enum status begin_query(struct calibration *calibration)
{
	static const enum metric metrics[BALLS_METRICS] = {
		[BALLS_INNER_PRODUCT] = METRIC_INNER_PRODUCT,
		[BALLS_COSINE] = METRIC_COSINE,
		[BALLS_L2] = METRIC_L2,
	};
	const struct scorer_shape shape = {
		.metric = metrics[calibration->metric],
		.dim = calibration->source->dim,
		.views = 1,
		.queries = 1,
		.parts = 1,
	};
	calibration->scorer = (struct scorer){0};
	return scorer_init(&calibration->scorer, &shape, calibration->query, NULL);
}

/* Searches with one query by each k and factor, and adds the shares. */
static enum status try_query(struct calibration *calibration, struct found *found)
{
	const size_t count = count_ks(calibration);
	struct topk best = {0};
	enum status status = begin_query(calibration);
	if (status == STATUS_OK && count > 0) {
		status = search(calibration, balls_ks[count - 1], 1, &best);
	}
	for (size_t which = 0; which < count && status == STATUS_OK; which++) {
		status = try_factors(calibration, which, &best, found);
	}
	topk_fini(&best);
	scorer_fini(&calibration->scorer);
	found->queries++;
	return status;
}

static double recall_of(const struct found *found, size_t which, size_t factor)
{
	/* With too few rows for so many hits no search was tried. */
	const bool is_tried = found->shares[which][BALLS_FACTORS - 1] > 0;
	return is_tried ? balls_recall_told(found->shares[which][factor],
				  found->squares[which][factor], found->queries, balls_ks[which])
			: 0;
}

/* Takes query `i`, or draws a row; false if it has no bounds (see balls_norm.h). */
static bool choose_query(struct calibration *calibration, uint32_t i, uint64_t *random)
{
	const struct balls_source *source = calibration->source;
	const struct balls_options *options = calibration->options;
	assert(source->rows > 0);
	if (options->query_count > 0) {
		assert(i < options->query_count);
		memcpy(calibration->query, options->queries + (size_t)i * source->dim,
			source->dim * sizeof(float));
		calibration->own = UINT64_MAX;
	} else {
		calibration->own = balls_random(random) % source->rows;
		source->read(source->arg, (uint32_t)calibration->own, 1, calibration->query);
	}
	return balls_norm_is_usable(balls_norm(calibration->query, source->dim));
}

/* Looks at how many rows the searches that look at fewest look: *vain if it is more than half. */
static enum status probe(struct calibration *calibration, uint32_t count, bool *vain)
{
	uint64_t random = calibration->options->seed;
	uint64_t tried = 0;
	enum status status = STATUS_OK;
	calibration->compared = 0;
	for (uint32_t i = 0; i < count && i < PROBES && status == STATUS_OK; i++) {
		if (!choose_query(calibration, i, &random)) {
			continue;
		}
		struct topk top = {0};
		status = begin_query(calibration);
		if (status == STATUS_OK) {
			status = search(calibration, balls_ks[0], balls_factors[0], &top);
		}
		if (status == STATUS_OK) {
			topk_fini(&top);
			tried++;
		}
		scorer_fini(&calibration->scorer);
	}
	*vain = calibration->compared > tried * calibration->source->rows / 2;
	return status;
}

static enum status measure_metric(struct calibration *calibration, float *recalls)
{
	const struct balls_options *options = calibration->options;
	uint64_t random = options->seed;
	struct found found = {0};
	uint32_t count = options->query_count > 0 ? options->query_count : BALLS_QUERIES_MAX;
	count = count < BALLS_QUERIES_MAX ? count : BALLS_QUERIES_MAX;
	bool vain;
	enum status status = probe(calibration, count, &vain);
	if (status != STATUS_OK || vain) {
		return status;
	}
	calibration->scored = 0;
	for (uint32_t i = 0; i < count && status == STATUS_OK; i++) {
		if (!choose_query(calibration, i, &random)) {
			continue;
		}
		const struct found before = found;
		status = try_query(calibration, &found);
		if (calibration->scored > scored_max) {
			/* This query was not tried by all factors. */
			found = before;
			break;
		}
	}
	if (calibration->scored > scored_max && found.queries < BALLS_QUERIES_MIN) {
		return status;
	}
	for (size_t i = 0; i < (size_t)BALLS_KS * BALLS_FACTORS; i++) {
		recalls[i] = (float)recall_of(&found, i / BALLS_FACTORS, i % BALLS_FACTORS);
	}
	return status;
}

enum status balls_calibrate(const struct balls *const *parts, size_t count,
	const struct balls_source *source, const struct balls_options *options, float *recalls)
{
	const uint32_t dim = source->dim;
	assert(count > 0 && parts[0]->dim == dim);
	struct calibration calibration = {
		.parts = parts,
		.part_count = count,
		.source = source,
		.options = options,
		.query = malloc((size_t)dim * (ROWS_AT_ONCE + 1) * sizeof(float)),
	};
	const size_t per_metric = (size_t)BALLS_KS * BALLS_FACTORS;
	memset(recalls, 0, BALLS_METRICS * per_metric * sizeof *recalls);
	if (calibration.query == NULL) {
		return STATUS_NO_MEMORY;
	}
	calibration.rows = calibration.query + dim;
	enum status status = STATUS_OK;
	for (int metric = 0; metric < BALLS_METRICS && status == STATUS_OK; metric++) {
		calibration.metric = (enum balls_metric)metric;
		if (source->rows > 0) {
			status = measure_metric(&calibration, recalls + metric * per_metric);
		}
	}
	balls_space_fini(&calibration.space);
	free(calibration.query);
	return status;
}
