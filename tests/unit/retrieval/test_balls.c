/* test_balls.c - searches through granular balls against the scores of all rows.
 *
 *   test_balls [CONFIGURATIONS]   of the random ones; 10000 unless told
 */
#include "daemon/retrieval/balls/balls_search.h"
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
#include "tests/unit/seed.h"

static unsigned configurations = 10000;

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
			indexed_make(&indexed, TABLE_CLUSTERS, rows[i], dims[j], &options);
			expect_exact_for(&indexed, 1, 2, i);
			expect_exact_for(&indexed, 10, 2, j);
			expect_exact_for(&indexed, rows[i] + 5, 1, i + j);
			indexed_free(&indexed);
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
			indexed_make(&indexed, (enum table_shape)shape, 1500, dim, &options);
			expect_exact_for(&indexed, 1, 8, dim);
			expect_exact_for(&indexed, 20, 8, dim);
			indexed_free(&indexed);
		}
	}
}

static void hidden_rows_are_not_found(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 12; seed++) {
		struct indexed indexed;
		uint64_t random = seed_from(seed);
		const struct balls_options options = {.seed = seed_from(seed),
			.granularity = 100,
			.query_count = 1,
			.queries = no_query};
		indexed_make(&indexed, TABLE_NORMS, 2000, 24, &options);
		for (uint32_t i = 0; i < 2000; i++) {
			/* From a few to all but a few, and in the end all. */
			indexed.table.hidden[i] = table_random(&random) % 12 < seed + (seed > 10);
		}
		expect_exact_for(&indexed, 50, 10, seed_from(seed));
		indexed_free(&indexed);
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
	indexed_make(&indexed, TABLE_CLUSTERS, 2000, 20, &options);
	for (int i = 0; i < 50; i++) {
		table_query(&indexed.table, &random, query);
		expect_exact(&indexed, (struct table_search){.query = query,
					       .k = 50,
					       .factor = 1,
					       .min_score = (float)i / 10});
	}
	indexed_free(&indexed);
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
	indexed_make(&indexed, TABLE_CLUSTERS, 2000, 16, &options);
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
		.id = table_id};
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
	indexed_free(&indexed);
}

/* One query of three parts of a table, each with balls of its own on the axes of the first. */
static void search_together(uint32_t dim)
{
	enum { PARTS = 3, DIM_MAX = 70 };
	static const uint32_t ends[] = {2000, 2070, 2700};
	static const uint32_t ks[] = {1, 30, 2100};
	struct table whole;
	struct balls balls[PARTS];
	const struct balls *const beside[] = {&balls[1], &balls[2]};
	uint8_t *images[PARTS];
	size_t bytes;
	float query[DIM_MAX];
	uint64_t random = 7;
	assert_true(dim <= DIM_MAX);
	table_make(&whole, TABLE_CLUSTERS, ends[PARTS - 1], dim, 11);
	for (size_t i = (size_t)ends[0] * dim; i < (size_t)ends[1] * dim; i++) {
		whole.values[i] *= 2; /* beyond what the first part has */
	}
	whole.values[(size_t)ends[1] * dim] = INFINITY; /* a loose row */
	whole.hidden[3] = whole.hidden[2005] = whole.hidden[2500] = 1;
	struct balls_options options = {.granularity = 64, .query_count = 1, .queries = no_query};
	for (size_t i = 0; i < PARTS; i++) {
		const uint32_t first = i == 0 ? 0 : ends[i - 1];
		struct table part = whole;
		part.rows = ends[i] - first;
		part.values += (size_t)first * dim;
		images[i] = table_index(&part, &options, &balls[i], &bytes);
		assert_non_null(images[i]);
		assert_true(balls_are_alike(&balls[0], &balls[i]));
		options.previous = &balls[0];
	}
	for (unsigned i = 0; i < 60; i++) {
		struct topk expected;
		struct table_search search = {.query = query,
			.metric = i % BALLS_METRICS,
			.k = ks[i / BALLS_METRICS % 3],
			.factor = 1,
			.min_score = -INFINITY,
			.beside = beside,
			.beside_count = PARTS - 1};
		table_query(&whole, &random, query);
		if (i == 59) {
			memset(query, 0, sizeof query); /* it has no bounds */
		}
		table_search_all(&whole, &search, &expected);
		for (size_t set = 0; balls_kernels_at(set) != NULL; set++) {
			struct topk found;
			search.kernels = balls_kernels_at(set);
			assert_int_equal(table_search(&whole, &balls[0], &search, &found),
				STATUS_OK);
			assert_true(search.exact);
			assert_true(same_hits(&found, &expected));
			topk_fini(&found);
		}
		topk_fini(&expected);
	}
	for (size_t i = 0; i < PARTS; i++) {
		free(images[i]);
	}
	table_free(&whole);
}

static void balls_on_the_same_axes_are_searched_together(void **state)
{
	(void)state;
	search_together(20);
	search_together(70); /* with a basis of the codes */
}

static void every_instruction_set_finds_the_same(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 60; seed++) {
		struct indexed indexed;
		float query[70];
		uint64_t random = seed_from(seed);
		const struct balls_options options = {.seed = seed_from(seed),
			.granularity = 100,
			.query_count = 1,
			.queries = no_query};
		indexed_make(&indexed, (enum table_shape)(seed % TABLE_SHAPES), 1200,
			1 + (uint32_t)seed, &options);
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
		indexed_free(&indexed);
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
		indexed_make(&indexed, (enum table_shape)(table_random(&random) % TABLE_SHAPES),
			rows, dim, &options);
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
		indexed_free(&indexed);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_searches_find_the_best_of_all),
		cmocka_unit_test(shapes_of_every_kind_are_searched),
		cmocka_unit_test(hidden_rows_are_not_found),
		cmocka_unit_test(a_least_score_cuts),
		cmocka_unit_test(hits_of_before_count),
		cmocka_unit_test(balls_on_the_same_axes_are_searched_together),
		cmocka_unit_test(every_instruction_set_finds_the_same),
		cmocka_unit_test(whenever_exact_is_said_it_is),
	};
	if (argc > 1) {
		configurations = (unsigned)strtoul(argv[1], NULL, 10);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
