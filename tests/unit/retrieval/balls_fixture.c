/* balls_fixture.c - tables of many shapes and what is expected of searches in them. */
#include "tests/unit/retrieval/balls_fixture.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/retrieval/balls/balls_search.h"
#include "daemon/retrieval/layers/adapter_kernels.h"

uint64_t table_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

static float unit(uint64_t *random)
{
	return (float)table_random(random) / 1073741824.0f - 1;
}

static float bell(uint64_t *random)
{
	return (unit(random) + unit(random) + unit(random)) * 1.0f;
}

static void fill_cluster_row(float *row, uint32_t dim, uint64_t centre, uint64_t *random,
	float noise)
{
	centre = centre * 977 + 5;
	for (uint32_t d = 0; d < dim; d++) {
		row[d] = bell(&centre) + noise * bell(random) / (float)(1 + d % 7);
	}
}

static void scale_row(float *row, uint32_t dim, float by)
{
	for (uint32_t d = 0; d < dim; d++) {
		row[d] *= by;
	}
}

static void spoil_row(float *row, uint32_t dim, uint64_t *random)
{
	static const float values[] = {NAN, INFINITY, -INFINITY, 3e38f, 1e-44f};
	if (table_random(random) % 8 == 0) {
		row[table_random(random) % dim] = values[table_random(random) % 5];
	}
}

static void fill_row(enum table_shape shape, float *row, uint32_t dim, uint64_t *random)
{
	uint64_t fixed = 99 + (shape == TABLE_DUPLICATES ? table_random(random) % 5 : 0);
	const float clusters = 20;
	fill_cluster_row(row, dim, table_random(random) % (uint64_t)clusters, random, 0.5f);
	switch (shape) {
	case TABLE_NORMS:
		scale_row(row, dim, expf(bell(random)));
		break;
	case TABLE_NOISE:
		fill_cluster_row(row, dim, table_random(random), random, 1);
		break;
	case TABLE_EQUAL:
	case TABLE_DUPLICATES:
		fill_cluster_row(row, dim, 3, &fixed, 1);
		break;
	case TABLE_ZEROS:
		scale_row(row, dim, table_random(random) % 4 == 0 ? 1 : 0);
		break;
	case TABLE_SCALES:
		scale_row(row, dim, powf(10, 20 * unit(random)));
		break;
	case TABLE_TINY:
		scale_row(row, dim, 1e-12f);
		break;
	case TABLE_NOT_FINITE:
		spoil_row(row, dim, random);
		break;
	case TABLE_OFFSET:
		for (uint32_t d = 0; d < dim; d++) {
			row[d] = row[d] * 0.01f + 5;
		}
		break;
	case TABLE_DECAY:
		for (uint32_t d = 0; d < dim; d++) {
			row[d] /= (float)(d + 1);
		}
		break;
	case TABLE_INTEGERS:
		for (uint32_t d = 0; d < dim; d++) {
			row[d] = rintf(row[d] * 2);
		}
		break;
	case TABLE_CLUSTERS:
	case TABLE_SHAPES:
		break;
	}
}

void table_make(struct table *table, enum table_shape shape, uint32_t rows, uint32_t dim,
	uint64_t seed)
{
	*table = (struct table){
		.rows = rows,
		.dim = dim,
		.values = malloc(((size_t)rows + 1) * dim * sizeof(float)),
		.hidden = calloc(rows + 1, 1),
		.reads = UINT32_MAX,
		.scores_left = UINT32_MAX,
	};
	if (table->values == NULL || table->hidden == NULL) {
		abort();
	}
	uint64_t random = seed;
	for (uint32_t i = 0; i < rows; i++) {
		fill_row(shape, table->values + (size_t)i * dim, dim, &random);
	}
}

void table_free(struct table *table)
{
	free(table->values);
	free(table->hidden);
}

static void count_down(struct table *table, uint32_t *left)
{
	if (*left != UINT32_MAX && (*left)-- == 0) {
		*left = UINT32_MAX;
		table->stop = true;
	}
}

static void read_rows(void *arg, uint32_t first, uint32_t count, float *out)
{
	struct table *table = arg;
	if (count > table->rows || first > table->rows - count) {
		abort();
	}
	count_down(table, &table->reads);
	memcpy(out, table->values + (size_t)first * table->dim,
		(size_t)count * table->dim * sizeof *out);
}

struct balls_source table_source(struct table *table)
{
	return (struct balls_source){.rows = table->rows,
		.dim = table->dim,
		.read = read_rows,
		.arg = table};
}

void table_query(const struct table *table, uint64_t *random, float *out)
{
	const uint64_t kind = table_random(random) % 16;
	const float noise = kind < 8 ? 0.3f : kind == 8 ? 0 : 3;
	const size_t row = table->rows > 0 ? table_random(random) % table->rows : 0;
	for (uint32_t d = 0; d < table->dim; d++) {
		const float value =
			table->rows > 0 ? table->values[row * table->dim + d] : unit(random);
		const float size = fabsf(value) > 0 ? fabsf(value) : 1;
		out[d] = value + noise * size * unit(random);
		out[d] = kind == 15 ? -value : kind == 14 ? unit(random) : out[d];
	}
	if (table_random(random) % 64 == 0 && table->dim > 0) {
		out[table_random(random) % table->dim] =
			table_random(random) % 2 == 0 ? NAN : 1e30f;
	}
	if (table_random(random) % 64 == 0) {
		memset(out, 0, table->dim * sizeof *out);
	}
}

static float dot(const float *x, const float *y, uint32_t dim)
{
	float out;
	const struct adapter_product product =
		{.x = x, .w = y, .y = &out, .rows = 1, .outs = 1, .in = dim, .y_stride = 1};
	adapter_kernels_at(0)->product(&product);
	return out;
}

static float score_row(const struct table *table, const float *row)
{
	float sum = 0;
	switch (table->metric) {
	case BALLS_COSINE: {
		const float norms = sqrtf(dot(row, row, table->dim)) *
				    sqrtf(dot(table->query, table->query, table->dim));
		return norms > 0 ? dot(table->query, row, table->dim) / norms : 0;
	}
	case BALLS_L2:
		for (uint32_t d = 0; d < table->dim; d++) {
			const float beside = table->query[d] - row[d];
			sum += beside * beside;
		}
		return -sum;
	case BALLS_INNER_PRODUCT:
	case BALLS_METRICS:
		break;
	}
	return dot(table->query, row, table->dim);
}

void table_score(void *arg, const uint32_t *rows, uint32_t count, float *scores)
{
	struct table *table = arg;
	count_down(table, &table->scores_left);
	table->scored += count;
	for (uint32_t i = 0; i < count; i++) {
		if (rows[i] >= table->rows) {
			abort();
		}
		scores[i] =
			table->hidden[rows[i]] != 0
				? NAN
				: score_row(table, table->values + (size_t)rows[i] * table->dim);
	}
}

uint64_t table_id(void *arg, uint32_t row)
{
	(void)arg;
	return row + UINT64_C(1000);
}

uint8_t *table_index(struct table *table, const struct balls_options *options, struct balls *balls,
	size_t *bytes)
{
	const struct balls_source source = table_source(table);
	struct balls_plan *plan;
	void *image = NULL;
	if (balls_plan(&source, options, &plan) != STATUS_OK) {
		return NULL;
	}
	*bytes = balls_plan_bytes(plan);
	if (posix_memalign(&image, BALLS_ALIGN, *bytes) != 0) {
		image = NULL;
	} else if (balls_write(plan, image) != STATUS_OK ||
		   balls_open(image, *bytes, table->rows, table->dim, balls, NULL) != STATUS_OK) {
		free(image);
		image = NULL;
	}
	balls_plan_close(plan);
	return image;
}

int table_compare(void *arg, uint64_t a, uint64_t b)
{
	(void)arg;
	return (a < b) - (a > b);
}

enum status table_search(struct table *table, const struct balls *balls,
	struct table_search *search, struct topk *out)
{
	struct balls_space space = {0};
	struct balls_query query = {
		.query = search->query,
		.metric = search->metric,
		.factor = search->factor,
		.score = table_score,
		.arg = table,
		.top = out,
		.id = table_id,
		.cancel = &table->stop,
		.beside = search->beside,
		.beside_count = search->beside_count,
	};
	enum status status = topk_init(out, search->k, search->min_score, table_compare, NULL);
	table->query = search->query;
	table->metric = search->metric;
	if (status == STATUS_OK) {
		status = balls_search_with(balls, &query, &space,
			search->kernels != NULL ? search->kernels : balls_kernels_at(0));
	}
	search->exact = query.exact;
	search->compared = query.compared;
	balls_space_fini(&space);
	if (status == STATUS_OK) {
		topk_finish(out);
	} else {
		topk_fini(out);
	}
	return status;
}

void table_search_all(struct table *table, const struct table_search *search, struct topk *out)
{
	if (topk_init(out, search->k, search->min_score, table_compare, NULL) != STATUS_OK) {
		abort();
	}
	table->query = search->query;
	table->metric = search->metric;
	for (uint32_t row = 0; row < table->rows; row++) {
		if (table->hidden[row] == 0) {
			topk_push(out, score_row(table, table->values + (size_t)row * table->dim),
				table_id(table, row));
		}
	}
	topk_finish(out);
}

bool same_hits(const struct topk *left, const struct topk *right)
{
	size_t i = 0;
	while (i < left->count && i < right->count && left->hits[i].id == right->hits[i].id &&
		left->hits[i].score == right->hits[i].score) {
		i++;
	}
	if (i < left->count || i < right->count) {
		fprintf(stderr, "hit %zu of %zu and %zu", i, left->count, right->count);
		if (i < left->count) {
			fprintf(stderr, ": row %" PRIu64 " %.9g", left->hits[i].id - 1000,
				(double)left->hits[i].score);
		}
		if (i < right->count) {
			fprintf(stderr, ", expected row %" PRIu64 " %.9g", right->hits[i].id - 1000,
				(double)right->hits[i].score);
		}
		fprintf(stderr, "\n");
		return false;
	}
	return true;
}

const float no_query[300];

void indexed_make(struct indexed *indexed, enum table_shape shape, uint32_t rows, uint32_t dim,
	const struct balls_options *options)
{
	table_make(&indexed->table, shape, rows, dim, options->seed);
	indexed->image = table_index(&indexed->table, options, &indexed->balls, &indexed->bytes);
	assert_non_null(indexed->image);
}

void indexed_free(struct indexed *indexed)
{
	free(indexed->image);
	table_free(&indexed->table);
}

void expect_exact(struct indexed *indexed, struct table_search search)
{
	for (int metric = 0; metric < BALLS_METRICS; metric++) {
		struct topk found;
		struct topk expected;
		search.metric = (enum balls_metric)metric;
		assert_int_equal(table_search(&indexed->table, &indexed->balls, &search, &found),
			STATUS_OK);
		assert_true(search.exact || search.factor < 1);
		if (search.exact) {
			table_search_all(&indexed->table, &search, &expected);
			if (!same_hits(&found, &expected)) {
				fail_msg("metric %d, k %u, %u rows of %u, factor %g", metric,
					search.k, indexed->table.rows, indexed->table.dim,
					(double)search.factor);
			}
			topk_fini(&expected);
		}
		topk_fini(&found);
	}
}

void expect_exact_for(struct indexed *indexed, uint32_t k, unsigned queries, uint64_t seed)
{
	float *query = malloc(indexed->table.dim * sizeof *query);
	assert_non_null(query);
	for (unsigned i = 0; i < queries; i++) {
		table_query(&indexed->table, &seed, query);
		expect_exact(indexed, (struct table_search){.query = query,
					      .k = k,
					      .factor = 1,
					      .min_score = -INFINITY});
	}
	free(query);
}
