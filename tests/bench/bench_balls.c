/* bench_balls.c - searches through granular balls in process, one thread.
 *
 *   bench_balls [ROWS DIM norms|unit SEED [NOISE [DECAY [GRANULARITY]]]]
 *
 * Rows are of 1000 clusters: a centre and noise, both Gaussian, of lengths 1 and NOISE about, the
 * i-th dim scaled by (i + 1)^-DECAY; then scaled to length 1 and, if `norms`, by a lognormal factor
 * of sigma 0.2. Queries are of the same clusters, of length 1. K is 100. Prints the time of the
 * build, and for each asked recall the recall, the median latency and the rows compared; the recall
 * is that of the top K by all scores.
 */
#include "daemon/retrieval/building/balls_build.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/retrieval/building/balls_random.h"
#include "daemon/retrieval/layers/adapter_kernels.h"

enum { CLUSTERS = 1000, QUERIES = 200, K = 100, ROUNDS = 3, BLOCK = 8 };

struct data {
	uint32_t rows;
	uint32_t dim;
	float *values;
	const float *query;
};

static uint64_t now_ns(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void *memory(size_t bytes)
{
	void *space = NULL;
	if (posix_memalign(&space, 64, bytes + 64) != 0) {
		abort();
	}
	return space;
}

static double gaussian(uint64_t *random)
{
	const double u = 1 - balls_random_unit(random);
	return sqrt(-2 * log(u)) * cos(6.283185307179586 * balls_random_unit(random));
}

struct mixture {
	uint32_t dim;
	double noise;
	double sigma;
	double *scales;
	float *centres;
	uint64_t random;
};

static void draw(struct mixture *mixture, double sigma, float *out)
{
	const float *centre =
		mixture->centres + balls_random(&mixture->random) % CLUSTERS * (size_t)mixture->dim;
	double sum = 0;
	for (uint32_t d = 0; d < mixture->dim; d++) {
		out[d] = centre[d] +
			 (float)(gaussian(&mixture->random) * mixture->noise * mixture->scales[d]);
		sum += (double)out[d] * (double)out[d];
	}
	const double scale = exp(sigma * gaussian(&mixture->random)) / sqrt(sum);
	for (uint32_t d = 0; d < mixture->dim; d++) {
		out[d] = (float)((double)out[d] * scale);
	}
}

static void prepare(struct mixture *mixture, double decay)
{
	double sum = 0;
	mixture->scales = memory(mixture->dim * sizeof(double));
	mixture->centres = memory((size_t)CLUSTERS * mixture->dim * sizeof(float));
	for (uint32_t d = 0; d < mixture->dim; d++) {
		mixture->scales[d] = pow(d + 1, -decay);
		sum += mixture->scales[d] * mixture->scales[d];
	}
	for (uint32_t d = 0; d < mixture->dim; d++) {
		mixture->scales[d] /= sqrt(sum);
	}
	for (size_t i = 0; i < (size_t)CLUSTERS * mixture->dim; i++) {
		mixture->centres[i] =
			(float)(gaussian(&mixture->random) * mixture->scales[i % mixture->dim]);
	}
}

static void read_rows(void *arg, uint32_t first, uint32_t count, float *out)
{
	const struct data *data = arg;
	memcpy(out, data->values + (size_t)first * data->dim,
		(size_t)count * data->dim * sizeof *out);
}

static void score(void *arg, const uint32_t *rows, uint32_t count, float *scores)
{
	const struct data *data = arg;
	for (uint32_t i = 0; i < count; i++) {
		if (i + BLOCK < count) {
			const float *next = data->values + (size_t)rows[i + BLOCK] * data->dim;
			for (uint32_t d = 0; d < data->dim; d += 16) {
				__builtin_prefetch(next + d);
			}
		}
		const struct adapter_product product = {
			.x = data->query,
			.w = data->values + (size_t)rows[i] * data->dim,
			.y = &scores[i],
			.rows = 1,
			.outs = 1,
			.in = data->dim,
			.y_stride = 1,
		};
		adapter_kernels_at(0)->product(&product);
	}
}

static int compare_ids(void *arg, uint64_t a, uint64_t b)
{
	(void)arg;
	return (a > b) - (a < b);
}

static int compare_times(const void *a, const void *b)
{
	const uint64_t left = *(const uint64_t *)a;
	const uint64_t right = *(const uint64_t *)b;
	return (left > right) - (left < right);
}

static uint64_t median(uint64_t *times, size_t count)
{
	qsort(times, count, sizeof *times, compare_times);
	return times[count / 2];
}

/* The k-th score of each query, and how long it takes to compute all. */
static void find_limits(struct data *data, const float *queries, float *limits)
{
	static uint64_t times[QUERIES];
	float *scores = memory(data->rows * sizeof *scores);
	for (size_t i = 0; i < QUERIES; i++) {
		struct topk top;
		const struct adapter_product product = {
			.x = queries + i * data->dim,
			.w = data->values,
			.y = scores,
			.rows = 1,
			.outs = data->rows,
			.in = data->dim,
			.y_stride = data->rows,
		};
		const uint64_t began = now_ns();
		if (topk_init(&top, K, -INFINITY, compare_ids, NULL) != STATUS_OK) {
			abort();
		}
		adapter_kernels_at(0)->product(&product);
		for (uint32_t row = 0; row < data->rows; row++) {
			if (scores[row] >= topk_threshold(&top)) {
				topk_push(&top, scores[row], row);
			}
		}
		topk_finish(&top);
		times[i] = now_ns() - began;
		limits[i] = top.hits[top.count - 1].score;
		topk_fini(&top);
	}
	printf("all_rows %.3f ms\n", (double)median(times, QUERIES) / 1e6);
	free(scores);
}

static void bench(const struct balls *balls, struct data *data, const float *queries,
	const float *limits, double recall)
{
	static uint64_t times[QUERIES * ROUNDS];
	const float factor = balls_factor_for(balls, BALLS_INNER_PRODUCT, recall, K);
	struct balls_space space = {0};
	uint64_t found = 0;
	uint64_t compared = 0;
	for (size_t i = 0; i < (size_t)QUERIES * ROUNDS; i++) {
		struct topk top;
		data->query = queries + i % QUERIES * data->dim;
		struct balls_query query = {
			.query = data->query,
			.metric = BALLS_INNER_PRODUCT,
			.factor = factor,
			.score = score,
			.arg = data,
			.top = &top,
		};
		const uint64_t began = now_ns();
		if (topk_init(&top, K, -INFINITY, compare_ids, NULL) != STATUS_OK ||
			balls_search(balls, &query, &space) != STATUS_OK) {
			abort();
		}
		topk_finish(&top);
		times[i] = now_ns() - began;
		for (size_t j = 0; j < top.count; j++) {
			found += top.hits[j].score >= limits[i % QUERIES];
		}
		compared += query.compared;
		topk_fini(&top);
	}
	balls_space_fini(&space);
	printf("recall_%g factor %.3f recall %.4f p50 %.4f ms compared %.0f rows\n", recall,
		(double)factor, (double)found / ((double)QUERIES * ROUNDS * K),
		(double)median(times, (size_t)QUERIES * ROUNDS) / 1e6,
		(double)compared / ((double)QUERIES * ROUNDS));
}

static void build(struct data *data, const struct balls_options *options, struct balls *balls)
{
	const struct balls_source source = {.rows = data->rows,
		.dim = data->dim,
		.read = read_rows,
		.arg = data};
	struct balls_plan *plan;
	const uint64_t began = now_ns();
	if (balls_plan(&source, options, &plan) != STATUS_OK) {
		abort();
	}
	const uint64_t planned = now_ns();
	const size_t bytes = balls_plan_bytes(plan);
	uint8_t *image = memory(bytes);
	if (balls_write(plan, image) != STATUS_OK ||
		balls_open(image, bytes, data->rows, data->dim, balls, NULL) != STATUS_OK) {
		abort();
	}
	balls_plan_close(plan);
	printf("build_plan %.2f s\nbuild_write %.2f s\nimage %.1f bytes/row\nballs %u\nprefix %u\n",
		(double)(planned - began) / 1e9, (double)(now_ns() - planned) / 1e9,
		(double)bytes / data->rows, balls->balls, balls->prefix);
}

static double number(int argc, char **argv, int i, double otherwise)
{
	return argc > i ? strtod(argv[i], NULL) : otherwise;
}

int main(int argc, char **argv)
{
	static const double recalls[] = {0.9, 0.95, 0.99, 0.999, 1};
	static float limits[QUERIES];
	struct data data = {
		.rows = (uint32_t)number(argc, argv, 1, 100000),
		.dim = (uint32_t)number(argc, argv, 2, 64),
	};
	const bool unit = argc > 3 && strcmp(argv[3], "unit") == 0;
	struct mixture mixture = {
		.dim = data.dim,
		.random = (uint64_t)number(argc, argv, 4, 1),
		.noise = number(argc, argv, 5, 0.5),
	};
	prepare(&mixture, number(argc, argv, 6, 0.5));
	data.values = memory((size_t)data.rows * data.dim * sizeof(float));
	float *queries = memory((size_t)(QUERIES + BALLS_QUERIES_MAX) * data.dim * sizeof(float));
	for (uint32_t i = 0; i < data.rows; i++) {
		draw(&mixture, unit ? 0 : 0.2, data.values + (size_t)i * data.dim);
	}
	for (uint32_t i = 0; i < QUERIES + BALLS_QUERIES_MAX; i++) {
		draw(&mixture, 0, queries + (size_t)i * data.dim);
	}
	const struct balls_options options = {
		.seed = 7,
		.granularity = (uint32_t)number(argc, argv, 7, 0),
		.queries = queries + (size_t)QUERIES * data.dim,
		.query_count = BALLS_QUERIES_MAX,
	};
	struct balls balls;
	build(&data, &options, &balls);
	find_limits(&data, queries, limits);
	for (size_t i = 0; i < sizeof recalls / sizeof *recalls; i++) {
		bench(&balls, &data, queries, limits, recalls[i]);
	}
	return 0;
}
