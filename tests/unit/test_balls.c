/* test_balls.c - searches through granular balls against the scores of all rows.
 *
 *   test_balls [CONFIGURATIONS]   of the random ones; 10000 unless told
 */
#include "daemon/retrieval/balls_build.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/alloc_fail.h"
#include "tests/unit/balls_fixture.h"

static unsigned configurations = 10000;

/* A query without a direction: there is no calibration, for time. */
static const float no_query[300];

/* One table with an index. */
struct indexed {
	struct table table;
	struct balls balls;
	uint8_t *image;
	size_t bytes;
};

static void make(struct indexed *indexed, enum table_shape shape, uint32_t rows, uint32_t dim,
	const struct balls_options *options)
{
	table_make(&indexed->table, shape, rows, dim, options->seed);
	indexed->image = table_index(&indexed->table, options, &indexed->balls, &indexed->bytes);
	assert_non_null(indexed->image);
}

static void unmake(struct indexed *indexed)
{
	free(indexed->image);
	table_free(&indexed->table);
}

/* One query by each metric; whenever the answer is said to be exact, it is. */
static void expect_exact(struct indexed *indexed, struct table_search search)
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

static void expect_exact_for(struct indexed *indexed, uint32_t k, unsigned queries, uint64_t seed)
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

static void exact_searches_find_the_best_of_all(void **state)
{
	(void)state;
	static const uint32_t rows[] = {0, 1, 2, 15, 16, 17, 100, 1000, 3001};
	static const uint32_t dims[] = {1, 2, 3, 4, 7, 16, 33, 64, 100, 300};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (size_t j = 0; j < sizeof dims / sizeof *dims; j++) {
			struct indexed indexed;
			const struct balls_options options = {.seed = i * 10 + j,
				.granularity = i % 2 == 0 ? 100 : 500,
				.query_count = 1,
				.queries = no_query};
			make(&indexed, TABLE_CLUSTERS, rows[i], dims[j], &options);
			expect_exact_for(&indexed, 1, 2, i);
			expect_exact_for(&indexed, 10, 2, j);
			expect_exact_for(&indexed, rows[i] + 5, 1, i + j);
			unmake(&indexed);
		}
	}
}

static void shapes_of_every_kind_are_searched(void **state)
{
	(void)state;
	for (int shape = 0; shape < TABLE_SHAPES; shape++) {
		for (uint32_t dim = 1; dim < 80; dim += 13) {
			struct indexed indexed;
			const struct balls_options options = {.seed = dim + (unsigned)shape,
				.granularity = 64,
				.query_count = 1,
				.queries = no_query};
			make(&indexed, (enum table_shape)shape, 1500, dim, &options);
			expect_exact_for(&indexed, 1, 8, dim);
			expect_exact_for(&indexed, 20, 8, dim);
			unmake(&indexed);
		}
	}
}

static void hidden_rows_are_not_found(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 12; seed++) {
		struct indexed indexed;
		uint64_t random = seed;
		const struct balls_options options = {.seed = seed,
			.granularity = 100,
			.query_count = 1,
			.queries = no_query};
		make(&indexed, TABLE_NORMS, 2000, 24, &options);
		for (uint32_t i = 0; i < 2000; i++) {
			/* From a few to all but a few, and in the end all. */
			indexed.table.hidden[i] = table_random(&random) % 12 < seed + (seed > 10);
		}
		expect_exact_for(&indexed, 50, 10, seed);
		unmake(&indexed);
	}
}

static void a_least_score_cuts(void **state)
{
	(void)state;
	struct indexed indexed;
	float query[20];
	uint64_t random = 5;
	const struct balls_options options = {.seed = 3,
		.granularity = 100,
		.query_count = 1,
		.queries = no_query};
	make(&indexed, TABLE_CLUSTERS, 2000, 20, &options);
	for (int i = 0; i < 50; i++) {
		table_query(&indexed.table, &random, query);
		expect_exact(&indexed, (struct table_search){.query = query,
					       .k = 50,
					       .factor = 1,
					       .min_score = (float)i / 10});
	}
	unmake(&indexed);
}

static void hits_of_before_count(void **state)
{
	(void)state;
	struct indexed indexed;
	float query[16];
	uint64_t random = 5;
	const struct balls_options options = {.seed = 3,
		.granularity = 100,
		.query_count = 1,
		.queries = no_query};
	make(&indexed, TABLE_CLUSTERS, 2000, 16, &options);
	table_query(&indexed.table, &random, query);
	struct table_search search = {.query = query, .k = 30, .factor = 1, .min_score = -INFINITY};
	struct topk expected;
	table_search_all(&indexed.table, &search, &expected);
	struct topk found;
	struct balls_space space = {0};
	assert_int_equal(topk_init(&found, 30, -INFINITY, table_compare, NULL), STATUS_OK);
	/* Twenty that are better than the tenth. */
	for (uint64_t i = 0; i < 20; i++) {
		topk_push(&found, expected.hits[10].score, 1000000 + i);
	}
	indexed.table.query = query;
	indexed.table.metric = BALLS_INNER_PRODUCT;
	struct balls_query inner = {.query = query,
		.factor = 1,
		.score = table_score,
		.arg = &indexed.table,
		.top = &found,
		.first_id = 1000};
	assert_int_equal(balls_search(&indexed.balls, &inner, &space), STATUS_OK);
	topk_finish(&found);
	assert_int_equal(found.count, 30);
	for (size_t i = 0; i < 10; i++) {
		assert_int_equal(found.hits[i].id, expected.hits[i].id);
		assert_int_equal(found.hits[i + 10].id, 1000000 + 19 - i);
	}
	topk_fini(&expected);
	topk_fini(&found);
	balls_space_fini(&space);
	unmake(&indexed);
}

static void every_instruction_set_finds_the_same(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 60; seed++) {
		struct indexed indexed;
		float query[70];
		uint64_t random = seed;
		const struct balls_options options = {.seed = seed,
			.granularity = 100,
			.query_count = 1,
			.queries = no_query};
		make(&indexed, (enum table_shape)(seed % TABLE_SHAPES), 1200, 1 + (uint32_t)seed,
			&options);
		table_query(&indexed.table, &random, query);
		struct table_search search = {.query = query,
			.metric = (enum balls_metric)(seed % BALLS_METRICS),
			.k = 40,
			.factor = (float)(seed % 7) / 7,
			.min_score = -INFINITY,
			.kernels = balls_kernels_at(0)};
		struct topk expected;
		assert_int_equal(table_search(&indexed.table, &indexed.balls, &search, &expected),
			STATUS_OK);
		const uint64_t compared = search.compared;
		for (size_t set = 1; balls_kernels_at(set) != NULL; set++) {
			struct topk found;
			search.kernels = balls_kernels_at(set);
			assert_int_equal(table_search(&indexed.table, &indexed.balls, &search,
						 &found),
				STATUS_OK);
			assert_true(same_hits(&found, &expected));
			assert_int_equal(search.compared, compared);
			topk_fini(&found);
		}
		topk_fini(&expected);
		unmake(&indexed);
	}
}

/* The random ones: a table, its index, and queries; several of these to a table, for time. */
static void whenever_exact_is_said_it_is(void **state)
{
	(void)state;
	enum { QUERIES = 20 };
	for (unsigned i = 0; i < configurations; i += QUERIES) {
		uint64_t random = i * UINT64_C(7919) + 17;
		const uint32_t rows = (uint32_t)(table_random(&random) % 1500);
		const uint32_t dim = 1 + (uint32_t)(table_random(&random) %
						    (table_random(&random) % 4 == 0 ? 150 : 40));
		struct indexed indexed;
		const struct balls_options options = {.seed = i,
			.granularity = 1 + (uint32_t)(table_random(&random) % 300),
			.query_count = 1,
			.queries = no_query};
		make(&indexed, (enum table_shape)(table_random(&random) % TABLE_SHAPES), rows, dim,
			&options);
		for (uint32_t row = 0; row < rows && table_random(&random) % 2 == 0; row++) {
			indexed.table.hidden[row] = table_random(&random) % 3 == 0;
		}
		for (unsigned j = 0; j < QUERIES; j++) {
			float query[150];
			table_query(&indexed.table, &random, query);
			const uint32_t k =
				1 + (uint32_t)(table_random(&random) %
					       (table_random(&random) % 4 == 0 ? 300 : 20));
			const bool all = table_random(&random) % 4 != 0;
			expect_exact(&indexed,
				(struct table_search){.query = query,
					.k = k,
					.factor =
						all ? 1 : (float)(table_random(&random) % 10) / 10,
					.min_score = -INFINITY});
		}
		unmake(&indexed);
	}
}

/* ---- builds ---- */

static void the_same_seed_gives_the_same_bytes(void **state)
{
	(void)state;
	struct indexed first;
	struct indexed second;
	struct balls_options options = {.seed = 11,
		.granularity = 50,
		.query_count = 1,
		.queries = no_query};
	make(&first, TABLE_CLUSTERS, 3000, 48, &options);
	make(&second, TABLE_CLUSTERS, 3000, 48, &options);
	assert_int_equal(first.bytes, second.bytes);
	assert_memory_equal(first.image, second.image, first.bytes);
	unmake(&first);
	unmake(&second);
}

static void every_row_is_in_one_ball_or_loose(void **state)
{
	(void)state;
	struct indexed indexed;
	enum { ROWS = 3000 };
	static uint32_t ball_of[ROWS];
	const struct balls_options options = {.seed = 11,
		.granularity = 50,
		.query_count = 1,
		.queries = no_query};
	make(&indexed, TABLE_NOT_FINITE, ROWS, 48, &options);
	balls_members(&indexed.balls, ball_of);
	uint32_t loose = 0;
	for (uint32_t i = 0; i < ROWS; i++) {
		assert_true(ball_of[i] < indexed.balls.balls || ball_of[i] == UINT32_MAX);
		loose += ball_of[i] == UINT32_MAX;
	}
	assert_true(loose > 100);
	assert_int_equal(loose, indexed.balls.loose);
	unmake(&indexed);
}

static void a_rebuild_keeps_axes_and_balls(void **state)
{
	(void)state;
	enum { ROWS = 2000, DIM = 40 };
	static uint32_t known[ROWS + 500];
	static uint32_t after[ROWS + 500];
	struct indexed before;
	struct table table;
	struct balls balls;
	size_t bytes;
	struct balls_options options = {.seed = 11,
		.granularity = 50,
		.query_count = 1,
		.queries = no_query};
	make(&before, TABLE_NORMS, ROWS, DIM, &options);
	balls_members(&before.balls, known);
	/* Some rows more, some changed, and a number that is no ball's. */
	table_make(&table, TABLE_NORMS, ROWS + 500, DIM, 11);
	for (uint32_t i = 0; i < 500; i++) {
		known[ROWS + i] = UINT32_MAX;
		known[i * 3] = i == 0 ? 1u << 30 : UINT32_MAX;
	}
	options.previous = &before.balls;
	options.known = known;
	uint8_t *image = table_index(&table, &options, &balls, &bytes);
	assert_non_null(image);
	assert_int_equal(balls.balls, before.balls.balls);
	assert_memory_equal(balls.axes, before.balls.axes,
		(size_t)balls.balls * DIM * sizeof(float));
	balls_members(&balls, after);
	for (uint32_t i = 0; i < ROWS; i++) {
		assert_true(after[i] == known[i] || known[i] >= balls.balls);
		assert_true(after[i] < balls.balls);
	}
	struct indexed rebuilt = {.table = table, .balls = balls, .image = image};
	expect_exact_for(&rebuilt, 30, 20, 5);
	unmake(&rebuilt);
	unmake(&before);
}

static void recall_grows_with_the_factor(void **state)
{
	(void)state;
	struct indexed indexed;
	enum { DIM = 32, K = 10, QUERIES = 100 };
	const struct balls_options options = {.seed = 4, .granularity = 60};
	make(&indexed, TABLE_CLUSTERS, 20000, DIM, &options);
	assert_true(balls_factor_for(&indexed.balls, BALLS_L2, 1, K) == 1);
	for (int metric = 0; metric < BALLS_METRICS; metric++) {
		const float factor =
			balls_factor_for(&indexed.balls, (enum balls_metric)metric, 0.9, K);
		size_t found = 0;
		uint64_t random = 1;
		for (int i = 0; i < QUERIES; i++) {
			float query[DIM];
			struct topk some;
			struct topk all;
			memcpy(query, indexed.table.values + table_random(&random) % 20000 * DIM,
				sizeof query);
			struct table_search search = {.query = query,
				.metric = (enum balls_metric)metric,
				.k = K,
				.factor = factor,
				.min_score = -INFINITY};
			assert_int_equal(table_search(&indexed.table, &indexed.balls, &search,
						 &some),
				STATUS_OK);
			table_search_all(&indexed.table, &search, &all);
			for (size_t j = 0; j < some.count; j++) {
				found += some.hits[j].score >= all.hits[K - 1].score;
			}
			topk_fini(&some);
			topk_fini(&all);
		}
		assert_true(found >= (size_t)K * QUERIES * 8 / 10);
	}
	unmake(&indexed);
}

/* ---- what goes wrong ---- */

static bool build_and_search(void *arg)
{
	(void)arg;
	struct table table;
	struct balls balls;
	size_t bytes;
	const struct balls_options options = {.seed = 4,
		.granularity = 20,
		.query_count = 1,
		.queries = (const float[40]){1}};
	static float values[200 * 40];
	static uint8_t hidden[200];
	uint64_t random = 1;
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		values[i] = (float)table_random(&random);
	}
	table = (struct table){.rows = 200,
		.dim = 40,
		.values = values,
		.hidden = hidden,
		.reads = UINT32_MAX,
		.scores_left = UINT32_MAX};
	uint8_t *image = table_index(&table, &options, &balls, &bytes);
	if (image == NULL) {
		return false;
	}
	struct topk found;
	struct table_search search = {.query = values, .k = 5, .factor = 1, .min_score = -INFINITY};
	const enum status status = table_search(&table, &balls, &search, &found);
	if (status == STATUS_OK) {
		topk_fini(&found);
	}
	free(image);
	return status == STATUS_OK;
}

static void refused_memory_is_an_error(void **state)
{
	(void)state;
	assert_true(alloc_fail_each(build_and_search, NULL) > 20);
}

static void a_build_can_be_stopped(void **state)
{
	(void)state;
	struct table table;
	struct balls balls;
	size_t bytes;
	table_make(&table, TABLE_CLUSTERS, 500, 40, 1);
	const struct balls_options options = {.seed = 4, .granularity = 20, .stop = &table.stop};
	/* Until it runs through. */
	uint32_t reads = 0;
	uint8_t *image = NULL;
	for (; image == NULL; reads += reads / 2 + 97) {
		table.stop = false;
		table.reads = reads;
		image = table_index(&table, &options, &balls, &bytes);
		assert_true((image != NULL) == !table.stop);
	}
	assert_true(reads > 1000);
	free(image);
	table_free(&table);
}

static void a_search_can_be_cancelled(void **state)
{
	(void)state;
	struct indexed indexed;
	float query[20];
	uint64_t random = 5;
	struct topk found;
	const struct balls_options options = {.seed = 3,
		.granularity = 20,
		.query_count = 1,
		.queries = no_query};
	make(&indexed, TABLE_NOISE, 3000, 20, &options);
	table_query(&indexed.table, &random, query);
	struct table_search search = {.query = query, .k = 50, .factor = 1, .min_score = -INFINITY};
	indexed.table.scores_left = 0;
	assert_int_equal(table_search(&indexed.table, &indexed.balls, &search, &found),
		STATUS_BUSY);
	/* By a query without bounds, too. */
	indexed.table.stop = false;
	indexed.table.scores_left = 0;
	query[0] = NAN;
	assert_int_equal(table_search(&indexed.table, &indexed.balls, &search, &found),
		STATUS_BUSY);
	assert_true(indexed.table.scored < 3000);
	unmake(&indexed);
}

static void damaged_images_are_refused(void **state)
{
	(void)state;
	struct indexed indexed;
	struct balls balls;
	struct error err;
	const struct balls_options options = {.seed = 3,
		.granularity = 20,
		.query_count = 1,
		.queries = no_query};
	make(&indexed, TABLE_CLUSTERS, 300, 20, &options);
	static const struct {
		size_t at;
		enum status status;
	} cases[] = {{0, STATUS_CORRUPT}, {8, STATUS_UNSUPPORTED}, {12, STATUS_CORRUPT},
		{16, STATUS_CORRUPT}, {20, STATUS_CORRUPT}, {24, STATUS_CORRUPT},
		{28, STATUS_CORRUPT}, {32, STATUS_CORRUPT}, {43, STATUS_CORRUPT}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		indexed.image[cases[i].at] ^= 0x40;
		assert_int_equal(balls_open(indexed.image, indexed.bytes, 300, 20, &balls, &err),
			cases[i].status);
		assert_int_equal(err.status, cases[i].status);
		indexed.image[cases[i].at] ^= 0x40;
	}
	const size_t bytes = indexed.bytes;
	assert_int_equal(balls_open(indexed.image, bytes - 64, 300, 20, &balls, &err),
		STATUS_CORRUPT);
	assert_int_equal(balls_open(indexed.image, 60, 300, 20, &balls, &err), STATUS_CORRUPT);
	assert_int_equal(balls_open(indexed.image, bytes, 301, 20, &balls, &err), STATUS_CORRUPT);
	assert_int_equal(balls_open(indexed.image, bytes, 300, 21, &balls, &err), STATUS_CORRUPT);
	uint32_t *first_blocks = (uint32_t *)(uintptr_t)indexed.balls.first_blocks;
	first_blocks[3] = UINT32_MAX;
	assert_int_equal(balls_open(indexed.image, bytes, 300, 20, &balls, &err), STATUS_CORRUPT);
	unmake(&indexed);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_searches_find_the_best_of_all),
		cmocka_unit_test(shapes_of_every_kind_are_searched),
		cmocka_unit_test(hidden_rows_are_not_found),
		cmocka_unit_test(a_least_score_cuts),
		cmocka_unit_test(hits_of_before_count),
		cmocka_unit_test(every_instruction_set_finds_the_same),
		cmocka_unit_test(whenever_exact_is_said_it_is),
		cmocka_unit_test(the_same_seed_gives_the_same_bytes),
		cmocka_unit_test(every_row_is_in_one_ball_or_loose),
		cmocka_unit_test(a_rebuild_keeps_axes_and_balls),
		cmocka_unit_test(recall_grows_with_the_factor),
		cmocka_unit_test(refused_memory_is_an_error),
		cmocka_unit_test(a_build_can_be_stopped),
		cmocka_unit_test(a_search_can_be_cancelled),
		cmocka_unit_test(damaged_images_are_refused),
	};
	if (argc > 1) {
		configurations = (unsigned)strtoul(argv[1], NULL, 10);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
