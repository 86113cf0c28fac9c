/* balls_calibration.c - recall by factor, measured when an index is built. */
#include "daemon/retrieval/balls_calibration.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/retrieval/balls_norm.h"
#include "daemon/retrieval/balls_random.h"

enum { QUERIES_MAX = 128 };

static const size_t ks[BALLS_KS] = {10, 100, 1000};

/* Where this share of the rows is asked for, searches are exact: there is little to leave out. */
static const size_t rows_per_hit = 10;

static const float factors[BALLS_FACTORS] = {0, 0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f, 0.7f, 0.8f,
	0.9f};

struct calibration {
	const struct balls *balls;
	const struct balls_source *source;
	const struct balls_options *options;
	enum balls_metric metric;
	double norm; /* of the query */
	struct balls_space space;
	float *query; /* [dim] */
	float *row;   /* [dim] */
};

static double distance_of(const float *x, const float *y, uint32_t dim)
{
	double sum = 0;
	for (uint32_t d = 0; d < dim; d++) {
		const double beside = (double)x[d] - (double)y[d];
		sum += beside * beside;
	}
	return sum;
}

static void score(void *arg, const uint32_t *rows, uint32_t count, float *scores)
{
	const struct calibration *calibration = arg;
	const struct balls_source *source = calibration->source;
	const uint32_t dim = source->dim;
	for (uint32_t i = 0; i < count; i++) {
		source->read(source->arg, rows[i], 1, calibration->row);
		const double product = balls_dot(calibration->query, calibration->row, dim);
		const double norm = balls_norm(calibration->row, dim);
		switch (calibration->metric) {
		case BALLS_INNER_PRODUCT:
		case BALLS_METRICS:
			scores[i] = (float)product;
			break;
		case BALLS_COSINE:
			scores[i] = norm > 0 ? (float)(product / (norm * calibration->norm)) : 0;
			break;
		case BALLS_L2:
			scores[i] = (float)-distance_of(calibration->query, calibration->row, dim);
			break;
		}
	}
}

static int compare_ids(void *arg, uint64_t a, uint64_t b)
{
	(void)arg;
	return (a > b) - (a < b);
}

/* Searches for the best k. `limit` is the k-th score if they are all found: the share that reaches
 * it goes to `found`, if it is asked for, else the k-th score goes to `limit`. */
static enum status search(struct calibration *calibration, size_t k, float factor, float *limit,
	size_t *found)
{
	struct topk top;
	enum status status = topk_init(&top, k, -INFINITY, compare_ids, NULL);
	if (status != STATUS_OK) {
		return status;
	}
	struct balls_query query = {
		.query = calibration->query,
		.metric = calibration->metric,
		.factor = factor,
		.score = score,
		.arg = calibration,
		.top = &top,
		.cancel = calibration->options->stop,
	};
	status = balls_search(calibration->balls, &query, &calibration->space);
	if (status == STATUS_OK) {
		topk_finish(&top);
		if (found == NULL) {
			*limit = top.count > 0 ? top.hits[top.count - 1].score : INFINITY;
		}
		for (size_t i = 0; found != NULL && i < top.count; i++) {
			*found += top.hits[i].score >= *limit;
		}
	}
	topk_fini(&top);
	return status;
}

/* What searches by each k and factor found: sums over queries of shares, and of their squares. */
struct found {
	double shares[BALLS_KS][BALLS_FACTORS];
	double squares[BALLS_KS][BALLS_FACTORS];
	uint32_t queries;
};

/* Adds what searches with one query for the best ks[which] find. */
static enum status measure(struct calibration *calibration, size_t which, struct found *found)
{
	const size_t k = ks[which];
	float limit = 0;
	enum status status = search(calibration, k, 1, &limit, NULL);
	for (size_t i = 0; i < BALLS_FACTORS && status == STATUS_OK; i++) {
		size_t count = 0;
		status = search(calibration, k, factors[i], &limit, &count);
		const double share = (double)count / (double)k;
		found->shares[which][i] += share;
		found->squares[which][i] += share * share;
	}
	return status;
}

/* The mean, less its standard error: queries to come are others. */
static double recall_of(const struct found *found, size_t which, size_t factor)
{
	const double queries = found->queries > 0 ? found->queries : 1;
	const double mean = found->shares[which][factor] / queries;
	const double variance = found->squares[which][factor] / queries - mean * mean;
	return mean - sqrt(fmax(variance, 0) / queries);
}

/* Query `i` of those that there are; false if it is none. */
static bool choose_query(struct calibration *calibration, uint32_t i, uint64_t *random)
{
	const struct balls_source *source = calibration->source;
	const struct balls_options *options = calibration->options;
	if (options->query_count > 0) {
		memcpy(calibration->query, options->queries + (size_t)i * source->dim,
			source->dim * sizeof(float));
	} else {
		source->read(source->arg, (uint32_t)(balls_random(random) % source->rows), 1,
			calibration->query);
	}
	calibration->norm = balls_norm(calibration->query, source->dim);
	return balls_norm_is_usable(calibration->norm);
}

static enum status measure_metric(struct calibration *calibration, float *recalls)
{
	const struct balls_options *options = calibration->options;
	uint64_t random = options->seed;
	struct found found = {0};
	uint32_t count = options->query_count > 0 ? options->query_count : QUERIES_MAX;
	count = count < QUERIES_MAX ? count : QUERIES_MAX;
	enum status status = STATUS_OK;
	for (uint32_t i = 0; i < count && status == STATUS_OK; i++) {
		if (!choose_query(calibration, i, &random)) {
			continue;
		}
		found.queries++;
		for (size_t which = 0; which < BALLS_KS && status == STATUS_OK &&
				       ks[which] * rows_per_hit <= calibration->source->rows;
			which++) {
			status = measure(calibration, which, &found);
		}
	}
	for (size_t i = 0; i < (size_t)BALLS_KS * BALLS_FACTORS; i++) {
		recalls[i] = (float)recall_of(&found, i / BALLS_FACTORS, i % BALLS_FACTORS);
	}
	return status;
}

enum status balls_calibrate(const struct balls *balls, const struct balls_source *source,
	const struct balls_options *options, float *recalls)
{
	struct calibration calibration = {
		.balls = balls,
		.source = source,
		.options = options,
		.query = malloc(source->dim * sizeof(float)),
		.row = malloc(source->dim * sizeof(float)),
	};
	const size_t per_metric = (size_t)BALLS_KS * BALLS_FACTORS;
	memset(recalls, 0, BALLS_METRICS * per_metric * sizeof *recalls);
	enum status status = STATUS_NO_MEMORY;
	if (calibration.query != NULL && calibration.row != NULL) {
		status = STATUS_OK;
	}
	for (int metric = 0; metric < BALLS_METRICS && status == STATUS_OK; metric++) {
		calibration.metric = (enum balls_metric)metric;
		if (source->rows > 0) {
			status = measure_metric(&calibration, recalls + metric * per_metric);
		}
	}
	balls_space_fini(&calibration.space);
	free(calibration.query);
	free(calibration.row);
	return status;
}

float balls_factor_for(const struct balls *balls, enum balls_metric metric, double recall, size_t k)
{
	size_t which = 0;
	while (which + 1 < BALLS_KS && ks[which] < k) {
		which++;
	}
	const float *recalls = balls->recalls + ((size_t)metric * BALLS_KS + which) * BALLS_FACTORS;
	if (recall >= 1) {
		return 1;
	}
	for (size_t i = 0; i < BALLS_FACTORS; i++) {
		if ((double)recalls[i] < recall) {
			continue;
		}
		if (i == 0) {
			return factors[0];
		}
		/* Between the two, as if recall rose evenly. */
		const double below = (double)recalls[i - 1];
		const double share = (recall - below) / ((double)recalls[i] - below);
		return (float)((double)factors[i - 1] +
			       share * ((double)factors[i] - (double)factors[i - 1]));
	}
	return 1;
}
