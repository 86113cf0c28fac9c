/* test_scorer.c - scores of rows against the formulas, on every instruction set. */
#include "daemon/retrieval/score/scorer.h"

#include "daemon/retrieval/score/score_kernels.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/alloc_fail.h"
#include "tests/unit/seed.h"

enum { VECTORS = 40, DIM_MAX = 300 };
static const size_t vectors_elements = (size_t)VECTORS * DIM_MAX;

static uint64_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

static void make_vectors(float *out, size_t count, uint64_t seed)
{
	for (size_t i = 0; i < count; i++) {
		out[i] = (float)next_random(&seed) / (float)(1u << 30) - 1;
	}
}

static void every_set_gives_the_same_bits(void **state)
{
	(void)state;
	static float x[VECTORS * DIM_MAX];
	static float w[VECTORS * DIM_MAX];
	static float expected[VECTORS * VECTORS];
	static float y[VECTORS * VECTORS];
	make_vectors(x, vectors_elements, 1);
	make_vectors(w, vectors_elements, 2);
	size_t plain = 0;
	while (score_kernels_at(plain + 1) != NULL) {
		plain++;
	}
	for (size_t dim = 1; dim <= DIM_MAX; dim += dim < 40 ? 1 : 37) {
		struct adapter_product product = {
			.x = x,
			.w = w,
			.y = expected,
			.rows = VECTORS,
			.outs = VECTORS,
			.in = dim,
			.y_stride = VECTORS,
		};
		score_kernels_at(plain)->distances(&product);
		product.y = y;
		for (size_t set = 0; set <= plain; set++) {
			score_kernels_at(set)->distances(&product);
			assert_memory_equal(y, expected, sizeof y);
			/* At an odd address, too. */
			const uint8_t *bits = (const uint8_t *)x + 1;
			assert_int_equal(score_kernels_at(set)->common_bits(bits, bits + 5, dim),
				score_kernels_at(plain)->common_bits(bits, bits + 5, dim));
		}
	}
}

/* The metric in f64, of one query part and one view. */
static double alike(enum metric metric, const float *q, const float *x, uint32_t dim)
{
	double product = 0;
	double apart = 0;
	double q_length = 0;
	double x_length = 0;
	for (uint32_t i = 0; i < dim; i++) {
		product += (double)q[i] * x[i];
		apart += ((double)q[i] - x[i]) * ((double)q[i] - x[i]);
		q_length += (double)q[i] * q[i];
		x_length += (double)x[i] * x[i];
	}
	if (metric == METRIC_COSINE) {
		return product / sqrt(q_length) / sqrt(x_length);
	}
	return metric == METRIC_L2 ? -apart : product;
}

static double late(const struct scorer_shape *shape, const float *q, const float *weights,
	const float *row)
{
	double score = 0;
	for (uint32_t i = 0; i < shape->parts; i++) {
		double best = -INFINITY;
		for (uint32_t j = 0; j < shape->views; j++) {
			best = fmax(best, alike(shape->metric, q + (size_t)i * shape->dim,
						  row + (size_t)j * shape->dim, shape->dim));
		}
		score += weights[i] * best;
	}
	return score;
}

static void check_shape(const struct scorer_shape *shape)
{
	static float queries[VECTORS * DIM_MAX];
	static float rows[VECTORS * DIM_MAX];
	const float weights[] = {1.5f, -0.5f, 2};
	struct scorer scorer;
	const uint32_t count = VECTORS / shape->views;
	make_vectors(queries, vectors_elements, 3);
	make_vectors(rows, vectors_elements, 4);
	assert_int_equal(scorer_init(&scorer, shape, queries, weights), STATUS_OK);
	assert_true(scorer.rows_max >= count);
	float *scores = malloc((size_t)scorer.rows_max * shape->queries * sizeof *scores);
	assert_non_null(scores);
	scorer_run(&scorer, rows, count, scores);
	for (uint32_t query = 0; query < shape->queries; query++) {
		for (uint32_t row = 0; row < count; row++) {
			const double expected =
				late(shape, queries + (size_t)query * shape->parts * shape->dim,
					weights, rows + (size_t)row * shape->views * shape->dim);
			assert_true(fabs((double)scores[query * scorer.rows_max + row] - expected) <
				    1e-5 * shape->dim);
		}
	}
	free(scores);
	scorer_fini(&scorer);
}

static void scores_are_those_of_the_formulas(void **state)
{
	(void)state;
	const enum metric metrics[] = {METRIC_INNER_PRODUCT, METRIC_COSINE, METRIC_L2};
	const uint32_t dims[] = {1, 7, 16, 64, 100};
	for (size_t i = 0; i < 3; i++) {
		for (size_t j = 0; j < sizeof dims / sizeof *dims; j++) {
			for (uint32_t parts = 1; parts <= 3; parts++) {
				for (uint32_t views = 1; views <= 5; views += 4) {
					check_shape(&(struct scorer_shape){.metric = metrics[i],
						.dim = dims[j],
						.views = views,
						.queries = 4,
						.parts = parts});
				}
			}
		}
	}
}

/* ---- every exponent ---- */

enum { RANGE_DIM_MAX = 70, RANGE_ROWS = 12, RANGE_VIEWS_MAX = 3, RANGE_PARTS_MAX = 3 };

/* A vector whose elements have nearly one exponent, or exponents from all over f32, or which is
 * zero. */
static void make_any(float *out, uint32_t dim, uint64_t *random)
{
	const uint64_t kind = next_random(random) % 8;
	const int exponent = (int)(next_random(random) % 276) - 149;
	for (uint32_t i = 0; i < dim; i++) {
		const float sign = next_random(random) % 2 == 0 ? 1 : -1;
		const float digits = 1 + (float)(next_random(random) % (1 << 23)) * 0x1p-23f;
		const int here = kind == 1 ? (int)(next_random(random) % 276) - 149
				 : kind == 2 && next_random(random) % 2 == 0 ? 0
									     : exponent;
		out[i] = kind == 0 ? 0 : sign * ldexpf(digits, here);
	}
}

/* The metric, and how large an error may be for each unit of a relative one. */
static long double alike_exactly(enum metric metric, const float *q, const float *x, uint32_t dim,
	long double *size)
{
	long double product = 0;
	long double products = 0;
	long double apart = 0;
	long double squares[2] = {0};
	for (uint32_t i = 0; i < dim; i++) {
		const long double a = q[i];
		const long double b = x[i];
		product += a * b;
		products += fabsl(a * b);
		apart += (a - b) * (a - b);
		squares[0] += a * a;
		squares[1] += b * b;
	}
	const long double lengths = sqrtl(squares[0]) * sqrtl(squares[1]);
	*size = metric == METRIC_INNER_PRODUCT ? products : metric == METRIC_L2 ? apart : 1;
	return metric == METRIC_INNER_PRODUCT ? product
	       : metric == METRIC_L2          ? -apart
	       : lengths == 0                 ? 0
					      : product / lengths;
}

static long double within(long double value)
{
	return value > FLT_MAX ? FLT_MAX : value < -FLT_MAX ? -FLT_MAX : value;
}

static void expect_score(const struct scorer_shape *shape, const float *q, const float *weights,
	const float *row, float got)
{
	long double score = 0;
	long double error = 0x1p-148L; /* two units in the last place of the least f32 */
	for (uint32_t i = 0; i < shape->parts; i++) {
		long double best = -INFINITY;
		long double most = 0;
		for (uint32_t j = 0; j < shape->views; j++) {
			long double size;
			best = fmaxl(best,
				alike_exactly(shape->metric, q + (size_t)i * shape->dim,
					row + (size_t)j * shape->dim, shape->dim, &size));
			most = fmaxl(most, size);
		}
		score += weights[i] * best;
		error += fabsl(weights[i]) * most * 0x1p-19L;
	}
	assert_true(isfinite(got));
	assert_true(got >= within(score - error) && got <= within(score + error));
	assert_true(shape->metric != METRIC_COSINE || shape->parts > 1 ||
		    fabsf(got) <= fabsf(weights[0]));
}

static void check_range(const struct scorer_shape *shape, uint64_t *random)
{
	static float queries[2 * RANGE_PARTS_MAX * RANGE_DIM_MAX];
	static float rows[RANGE_ROWS * RANGE_VIEWS_MAX * RANGE_DIM_MAX];
	float weights[RANGE_PARTS_MAX] = {1, 1, 1};
	const uint64_t weighted = next_random(random) % 3;
	for (uint32_t i = 0; weighted > 0 && i < shape->parts; i++) {
		make_any(&weights[i], 1, random);
		weights[i] = weighted == 1 ? 0.5f + (float)i : weights[i];
	}
	for (uint32_t i = 0; i < shape->queries * shape->parts; i++) {
		make_any(queries + (size_t)i * shape->dim, shape->dim, random);
	}
	for (uint32_t i = 0; i < RANGE_ROWS * shape->views; i++) {
		/* Some rows are queries, of another length or of the same. */
		make_any(rows + (size_t)i * shape->dim, shape->dim, random);
		const float scale = i % 8 == 2 ? 1 : 0.3f;
		for (uint32_t j = 0; i % 4 == 2 && j < shape->dim; j++) {
			rows[i * shape->dim + j] = queries[j] * scale;
		}
	}
	struct scorer scorer;
	assert_int_equal(scorer_init(&scorer, shape, queries, weighted > 0 ? weights : NULL),
		STATUS_OK);
	float *scores = malloc((size_t)scorer.rows_max * shape->queries * sizeof *scores);
	assert_non_null(scores);
	scorer_run(&scorer, rows, RANGE_ROWS, scores);
	for (uint32_t i = 0; i < shape->queries * RANGE_ROWS; i++) {
		const uint32_t query = i / RANGE_ROWS;
		const uint32_t row = i % RANGE_ROWS;
		expect_score(shape, queries + (size_t)query * shape->parts * shape->dim, weights,
			rows + (size_t)row * shape->views * shape->dim,
			scores[query * scorer.rows_max + row]);
	}
	free(scores);
	scorer_fini(&scorer);
}

static void finite_vectors_of_any_exponent_have_right_scores(void **state)
{
	(void)state;
	const enum metric metrics[] = {METRIC_INNER_PRODUCT, METRIC_COSINE, METRIC_L2};
	uint64_t random = seed_from(11);
	for (int i = 0; i < 6000; i++) {
		const struct scorer_shape shape = {
			.metric = metrics[i % 3],
			.dim = 1 + (uint32_t)(next_random(&random) % RANGE_DIM_MAX),
			.views = 1 + (uint32_t)(next_random(&random) % RANGE_VIEWS_MAX),
			.queries = 1 + (uint32_t)(next_random(&random) % 2),
			.parts = 1 + (uint32_t)(next_random(&random) % RANGE_PARTS_MAX),
		};
		check_range(&shape, &random);
	}
}

/* Bits whose numbers, times large weights, cancel beyond f32. */
static void sums_beyond_f32_are_no_nan(void **state)
{
	(void)state;
	const uint8_t queries[2] = {0xff, 0x00};
	const uint8_t row[1] = {0x0f};
	const float weights[2] = {FLT_MAX, -FLT_MAX};
	const struct scorer_shape shape = {METRIC_HAMMING, 8, 1, 1, 2};
	struct scorer scorer;
	float score;
	assert_int_equal(scorer_init(&scorer, &shape, queries, weights), STATUS_OK);
	scorer_run(&scorer, row, 1, &score);
	assert_true(score == 0);
	scorer_fini(&scorer);
}

static void ranges_are_told_alike_by_every_set(void **state)
{
	(void)state;
	const float values[] = {0, -0.0f, 0x1p-149f, -0x1p-126f, 0x1p-100f, 1, FLT_MAX, -FLT_MAX,
		INFINITY, -INFINITY, NAN};
	enum { VALUES = sizeof values / sizeof *values, PLACES = 37 };
	for (size_t value = 0; value < VALUES; value++) {
		const float size = fabsf(values[value]);
		for (size_t place = 0; place < PLACES; place++) {
			float some[PLACES];
			for (size_t i = 0; i < PLACES; i++) {
				some[i] = i == place ? values[value] : 1;
			}
			for (size_t i = 0; adapter_kernels_at(i) != NULL; i++) {
				const struct adapter_kernels *set = adapter_kernels_at(i);
				assert_int_equal(set->in_range(some, PLACES, 0x1p-100f),
					size >= 0x1p-100f && isfinite(size));
				assert_int_equal(set->in_range(some, PLACES, 0),
					isfinite(size) != 0);
			}
			for (size_t i = 0; score_kernels_at(i) != NULL; i++) {
				assert_int_equal(score_kernels_at(i)->has_small(some, PLACES,
							 0x1p-50f),
					size > 0 && size < 0x1p-50f);
			}
		}
	}
}

static void zeros_and_bits_at_their_edges(void **state)
{
	(void)state;
	const float zero[4] = {0};
	float score;
	struct scorer scorer;
	struct scorer_shape shape = {METRIC_COSINE, 4, 1, 1, 1};
	assert_int_equal(scorer_init(&scorer, &shape, zero, NULL), STATUS_OK);
	scorer_run(&scorer, zero, 1, &score);
	assert_true(score == 0);
	scorer_fini(&scorer);

	/* Of 9 bits, the 7 behind them are nobody's. */
	const uint8_t ones[2] = {0xf0, 0x80};
	const uint8_t dirty[2] = {0xf0, 0xff};
	shape = (struct scorer_shape){METRIC_HAMMING, 9, 1, 1, 1};
	assert_int_equal(scorer_init(&scorer, &shape, dirty, NULL), STATUS_OK);
	scorer_run(&scorer, ones, 1, &score);
	assert_true(score == 0);
	scorer_run(&scorer, dirty, 1, &score);
	assert_true(score == 0);
	scorer_fini(&scorer);
	shape.metric = METRIC_TANIMOTO;
	assert_int_equal(scorer_init(&scorer, &shape, zero, NULL), STATUS_OK);
	scorer_run(&scorer, zero, 1, &score);
	assert_true(score == 0);
	scorer_fini(&scorer);
}

static bool make(void *arg)
{
	(void)arg;
	const float query[4] = {1, 2, 3, 4};
	struct scorer scorer;
	const struct scorer_shape shape = {METRIC_INNER_PRODUCT, 4, 1, 1, 1};
	const enum status status = scorer_init(&scorer, &shape, query, NULL);
	scorer_fini(&scorer);
	return status == STATUS_OK;
}

static void refused_memory_is_an_error(void **state)
{
	(void)state;
	alloc_fail_each(make, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_set_gives_the_same_bits),
		cmocka_unit_test(scores_are_those_of_the_formulas),
		cmocka_unit_test(finite_vectors_of_any_exponent_have_right_scores),
		cmocka_unit_test(sums_beyond_f32_are_no_nan),
		cmocka_unit_test(ranges_are_told_alike_by_every_set),
		cmocka_unit_test(zeros_and_bits_at_their_edges),
		cmocka_unit_test(refused_memory_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
