/* test_balls_build.c - indexes of granular balls: built, stopped, rebuilt, damaged. */
#include "daemon/retrieval/building/balls_build.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/alloc_fail.h"
#include "tests/unit/retrieval/balls_fixture.h"

static void the_same_seed_gives_the_same_bytes(void **state)
{
	(void)state;
	struct indexed first;
	struct indexed second;
	struct balls_options options = {.seed = 11,
		.granularity = 50,
		.query_count = 1,
		.queries = no_query};
	indexed_make(&first, TABLE_CLUSTERS, 3000, 48, &options);
	indexed_make(&second, TABLE_CLUSTERS, 3000, 48, &options);
	assert_int_equal(first.bytes, second.bytes);
	assert_memory_equal(first.image, second.image, first.bytes);
	indexed_free(&first);
	indexed_free(&second);
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
	indexed_make(&indexed, TABLE_NOT_FINITE, ROWS, 48, &options);
	balls_members(&indexed.balls, ball_of);
	uint32_t loose = 0;
	for (uint32_t i = 0; i < ROWS; i++) {
		assert_true(ball_of[i] < indexed.balls.balls || ball_of[i] == UINT32_MAX);
		loose += ball_of[i] == UINT32_MAX;
	}
	assert_true(loose > 100);
	assert_int_equal(loose, indexed.balls.loose);
	indexed_free(&indexed);
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
	indexed_make(&before, TABLE_NORMS, ROWS, DIM, &options);
	balls_members(&before.balls, known);
	/* Some rows more, some changed, and a number that is no ball's. */
	table_make(&table, TABLE_NORMS, ROWS + 500, DIM, 11);
	for (uint32_t i = 0; i < 500; i++) {
		known[ROWS + i] = UINT32_MAX;
		known[(size_t)i * 3] = i == 0 ? 1u << 30 : UINT32_MAX;
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
	indexed_free(&rebuilt);
	indexed_free(&before);
}

/* A build on the axes of another image, of rows whose balls are not known; grouped: there are so many axes that a row is
 * compared with those of some groups alone. */
static void expect_bytes(uint32_t rows, uint32_t dim, uint32_t granularity)
{
	enum { ROUNDED = 24 * 4096 }; /* allocations are whole pages, at most */
	struct indexed before;
	struct balls_plan *plan = NULL;
	struct balls_options options = {.seed = 11,
		.granularity = granularity,
		.query_count = 1,
		.queries = no_query};
	indexed_make(&before, TABLE_NOISE, rows, dim, &options);
	options.previous = &before.balls;
	options.recalls = before.balls.recalls;
	const struct balls_source source = table_source(&before.table);
	const uint64_t bytes = balls_build_bytes(&before.balls, rows);
	alloc_most_begin();
	assert_int_equal(balls_plan(&source, &options, &plan), STATUS_OK);
	void *image = aligned_alloc(64, balls_plan_bytes(plan));
	assert_non_null(image);
	assert_int_equal(balls_write(plan, image), STATUS_OK);
	const uint64_t most = alloc_most_end();
	assert_in_range(most, bytes / 2, bytes + balls_plan_bytes(plan) + ROUNDED);
	free(image);
	/* Before there is an image. */
	balls_plan_close(plan);
	alloc_most_begin();
	assert_int_equal(balls_plan(&source, &options, &plan), STATUS_OK);
	assert_in_range(alloc_most_end(), bytes / 2, bytes + ROUNDED);
	balls_plan_close(plan);
	indexed_free(&before);
}

static void what_a_build_takes_is_known_before(void **state)
{
	(void)state;
	expect_bytes(2000, 8, 50);
	expect_bytes(2000, 300, 50);
	expect_bytes(300, 64, 300);
	expect_bytes(9000, 16, 1); /* more than 8192 axes: in groups */
}

/* Rows that are the same make one ball each, and where every search looks at most of them none is tried
 * by all factors: the build ends before it has read each row 40 times. */
static void few_directions_are_recognised(void **state)
{
	(void)state;
	enum { ROWS = 20000, DIM = 40 };
	static const struct {
		enum table_shape shape;
		uint32_t balls;
	} cases[] = {{TABLE_EQUAL, 1}, {TABLE_DUPLICATES, 5}};
	for (size_t i = 0; i < 2; i++) {
		struct indexed indexed;
		struct balls_options options = {.seed = 3, .stop = &indexed.table.stop};
		table_make(&indexed.table, cases[i].shape, ROWS, DIM, 7);
		indexed.table.reads = cases[i].balls == 1 ? 40 * ROWS : UINT32_MAX;
		indexed.image =
			table_index(&indexed.table, &options, &indexed.balls, &indexed.bytes);
		assert_non_null(indexed.image);
		assert_int_equal(indexed.balls.balls, cases[i].balls);
		assert_true(cases[i].balls > 1 ||
			    balls_factor_for(&indexed.balls, BALLS_COSINE, 0.9, 10) == 1);
		expect_exact_for(&indexed, 30, 2, 5);
		indexed_free(&indexed);
	}
}

/* A table of the rows of two. */
static void join(struct table *out, const struct table *first, const struct table *more)
{
	const size_t values = (size_t)first->rows * first->dim;
	table_make(out, TABLE_EQUAL, first->rows + more->rows, first->dim, 1);
	memcpy(out->values, first->values, values * sizeof(float));
	memcpy(out->values + values, more->values, (size_t)more->rows * more->dim * sizeof(float));
}

/* How many of the best rows a search finds. */
static size_t count_found(struct table *table, const struct balls *balls,
	struct table_search *search)
{
	struct topk best;
	struct topk found;
	size_t count = 0;
	table_search_all(table, search, &best);
	assert_int_equal(table_search(table, balls, search, &found), STATUS_OK);
	for (size_t i = 0; i < found.count; i++) {
		count += found.hits[i].score >= best.hits[best.count - 1].score;
	}
	topk_fini(&best);
	topk_fini(&found);
	return count;
}

/* Rows that were written since have balls on the axes of the index, with its recalls. */
static void what_is_beside_an_index_is_found_as_often(void **state)
{
	(void)state;
	enum { DIM = 32, ROWS = 8000, K = 10, USERS = 256, QUERIES = 200 };
	static const uint32_t counts[] = {800, 7200, 24000};
	static const enum balls_metric metrics[] = {BALLS_INNER_PRODUCT, BALLS_L2};
	struct table users;
	struct indexed base;
	table_make(&users, TABLE_CLUSTERS, USERS + QUERIES, DIM, 1);
	const struct balls_options options = {.seed = 4,
		.queries = users.values,
		.query_count = USERS};
	indexed_make(&base, TABLE_CLUSTERS, ROWS, DIM, &options);
	const struct balls_options like = {.previous = &base.balls,
		.recalls = base.balls.recalls,
		.query_count = USERS};
	for (size_t i = 0; i < sizeof counts / sizeof *counts * 2; i++) {
		struct indexed more;
		struct table both;
		const struct balls *const beside[] = {&more.balls};
		const enum balls_metric metric = metrics[i % 2];
		size_t found = 0;
		table_make(&more.table, TABLE_CLUSTERS, counts[i / 2], DIM, 100 + i);
		more.image = table_index(&more.table, &like, &more.balls, &more.bytes);
		assert_non_null(more.image);
		join(&both, &base.table, &more.table);
		for (size_t query = 0; query < QUERIES; query++) {
			struct table_search search = {.query = users.values + (USERS + query) * DIM,
				.metric = metric,
				.k = K,
				.factor = balls_factor_for(&base.balls, metric, 0.95, K),
				.min_score = -INFINITY,
				.beside = beside,
				.beside_count = 1};
			found += count_found(&both, &base.balls, &search);
		}
		assert_in_range(found, (size_t)K * QUERIES * 95 / 100, (size_t)K * QUERIES);
		table_free(&both);
		indexed_free(&more);
	}
	indexed_free(&base);
	table_free(&users);
}

static void recall_grows_with_the_factor(void **state)
{
	(void)state;
	struct indexed indexed;
	enum { DIM = 32, K = 10, QUERIES = 100 };
	const struct balls_options options = {.seed = 4, .granularity = 60};
	indexed_make(&indexed, TABLE_CLUSTERS, 20000, DIM, &options);
	assert_true(balls_factor_for(&indexed.balls, BALLS_L2, 1, K) == 1);
	/* More rows than were tried, and rows between two numbers that were. */
	assert_true(balls_factor_for(&indexed.balls, BALLS_L2, 0.5, 1001) == 1);
	assert_true(balls_factor_for(&indexed.balls, BALLS_L2, 0.9, 50) >=
		    fmaxf(balls_factor_for(&indexed.balls, BALLS_L2, 0.9, 10),
			    balls_factor_for(&indexed.balls, BALLS_L2, 0.9, 100)));
	/* A few rows more are nearly as few. */
	assert_true(balls_factor_for(&indexed.balls, BALLS_L2, 0.9, 103) >=
		    balls_factor_for(&indexed.balls, BALLS_L2, 0.9, 100));
	assert_true(balls_factor_for(&indexed.balls, BALLS_L2, 0.9, 103) <=
		    balls_factor_for(&indexed.balls, BALLS_L2, 0.9, 200));
	assert_true(balls_factor_for(&indexed.balls, BALLS_L2, 0.9, 200) ==
		    balls_factor_for(&indexed.balls, BALLS_L2, 0.95, 100));
	assert_true(balls_factor_for(&indexed.balls, BALLS_L2, 0.9, 100) < 1);
	/* It took rows for queries. */
	assert_true(balls_recall_to_ask(&indexed.balls, 0.9) > 0.99);
	assert_true(balls_recall_to_ask(&indexed.balls, 1) == 1);
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
		assert_true(found >= (size_t)K * QUERIES * 9 / 10);
	}
	indexed_free(&indexed);
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
	indexed_make(&indexed, TABLE_NOISE, 3000, 20, &options);
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
	indexed_free(&indexed);
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
	indexed_make(&indexed, TABLE_CLUSTERS, 300, 20, &options);
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
	uint8_t *first_blocks =
		indexed.image + ((const uint8_t *)indexed.balls.first_blocks - indexed.image);
	memset(first_blocks + 12, 0xff, 4);
	assert_int_equal(balls_open(indexed.image, bytes, 300, 20, &balls, &err), STATUS_CORRUPT);
	indexed_free(&indexed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_seed_gives_the_same_bytes),
		cmocka_unit_test(every_row_is_in_one_ball_or_loose),
		cmocka_unit_test(a_rebuild_keeps_axes_and_balls),
		cmocka_unit_test(what_a_build_takes_is_known_before),
		cmocka_unit_test(few_directions_are_recognised),
		cmocka_unit_test(what_is_beside_an_index_is_found_as_often),
		cmocka_unit_test(recall_grows_with_the_factor),
		cmocka_unit_test(refused_memory_is_an_error),
		cmocka_unit_test(a_build_can_be_stopped),
		cmocka_unit_test(a_search_can_be_cancelled),
		cmocka_unit_test(damaged_images_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
