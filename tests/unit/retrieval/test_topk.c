/* test_topk.c - the best of many against sorting all of them. */
#include "daemon/retrieval/score/topk.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/alloc_fail.h"
#include "tests/unit/seed.h"

enum { CANDIDATES_MAX = 3000 };

static uint64_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

/* Ids stand for keys in the opposite order, so that nothing passes by their order alone. */
static int compare_ids(void *arg, uint64_t a, uint64_t b)
{
	(void)arg;
	return (a < b) - (a > b);
}

static int compare_hits(const void *a, const void *b)
{
	const struct topk_hit *left = a;
	const struct topk_hit *right = b;
	if (left->score != right->score) {
		return left->score > right->score ? -1 : 1;
	}
	return compare_ids(NULL, left->id, right->id);
}

/* How scores come about. */
enum order {
	ORDER_RANDOM,
	ORDER_FEW_VALUES,
	ORDER_RISING,
	ORDER_FALLING,
	ORDER_EQUAL,
	ORDER_COUNT
};

static float score_of(enum order order, size_t i, uint64_t *random)
{
	switch (order) {
	case ORDER_FEW_VALUES:
		return (float)(next_random(random) % 7);
	case ORDER_RISING:
		return (float)i;
	case ORDER_FALLING:
		return -(float)i;
	case ORDER_EQUAL:
		return 1;
	case ORDER_RANDOM:
	case ORDER_COUNT:
		break;
	}
	return (float)next_random(random) / 1e6f;
}

static void check(enum order order, size_t count, size_t k, float min_score)
{
	static struct topk_hit all[CANDIDATES_MAX];
	struct topk topk;
	uint64_t random = seed_from(count * 31 + k);
	size_t kept = 0;
	assert_int_equal(topk_init(&topk, k, min_score, compare_ids, NULL), STATUS_OK);
	for (size_t i = 0; i < count; i++) {
		const struct topk_hit hit = {.score = score_of(order, i, &random), .id = i};
		/* As a search does: what is below the threshold is not even pushed. */
		if (hit.score >= topk_threshold(&topk)) {
			topk_push(&topk, hit.score, hit.id);
		}
		if (hit.score >= min_score) {
			all[kept++] = hit;
		}
	}
	topk_finish(&topk);
	qsort(all, kept, sizeof *all, compare_hits);
	assert_int_equal(topk.count, kept < k ? kept : k);
	for (size_t i = 0; i < topk.count; i++) {
		assert_true(topk.hits[i].score == all[i].score);
		assert_true(topk.hits[i].id == all[i].id);
	}
	topk_fini(&topk);
}

static void the_best_are_those_of_a_sort(void **state)
{
	(void)state;
	static const size_t counts[] = {0, 1, 2, 65, 66, 67, 100, 1000, CANDIDATES_MAX};
	static const size_t ks[] = {1, 2, 10, 100, 999, 10000};
	for (int order = 0; order < ORDER_COUNT; order++) {
		for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
			for (size_t j = 0; j < sizeof ks / sizeof *ks; j++) {
				check((enum order)order, counts[i], ks[j], -INFINITY);
				check((enum order)order, counts[i], ks[j], 3);
			}
		}
	}
}

static void a_copy_goes_on_by_itself(void **state)
{
	(void)state;
	struct topk topk;
	struct topk copy;
	assert_int_equal(topk_init(&topk, 3, -5, compare_ids, NULL), STATUS_OK);
	topk_push(&topk, 1, 1);
	topk_push(&topk, 2, 2);
	assert_true(topk_kth(&topk) == -5);
	assert_int_equal(topk_copy(&topk, &copy), STATUS_OK);
	for (uint64_t i = 3; i < 300; i++) {
		topk_push(&copy, (float)i, i);
	}
	assert_true(topk_kth(&copy) == 297);
	topk_push(&topk, 0, 3);
	assert_true(topk_kth(&topk) == 0);
	topk_finish(&copy);
	assert_int_equal(copy.count, 3);
	assert_int_equal(copy.hits[0].id, 299);
	assert_int_equal(topk.count, 3);
	topk_fini(&copy);
	topk_fini(&topk);
}

static void nan_is_no_score(void **state)
{
	(void)state;
	struct topk topk;
	assert_int_equal(topk_init(&topk, 3, -INFINITY, compare_ids, NULL), STATUS_OK);
	topk_push(&topk, NAN, 1);
	topk_push(&topk, -INFINITY, 2);
	topk_push(&topk, INFINITY, 3);
	topk_finish(&topk);
	assert_int_equal(topk.count, 2);
	assert_int_equal(topk.hits[0].id, 3);
	assert_int_equal(topk.hits[1].id, 2);
	topk_fini(&topk);
}

static bool make(void *arg)
{
	(void)arg;
	struct topk topk;
	const enum status status = topk_init(&topk, 5, 0, compare_ids, NULL);
	topk_fini(&topk);
	return status == STATUS_OK;
}

static void refused_memory_is_an_error(void **state)
{
	(void)state;
	alloc_fail_each(make, NULL);
}

static int compare_and_count(void *arg, uint64_t a, uint64_t b)
{
	++*(uint64_t *)arg;
	return compare_ids(NULL, a, b);
}

/* All scores are equal, so no candidate is left out and each comparison is counted. */
static void no_order_of_candidates_makes_selection_slow(void **state)
{
	enum { K = 10000, COUNT = 20 * K, STEPS_MAX = 20 };
	(void)state;
	for (unsigned rising = 0; rising < 2; rising++) {
		uint64_t steps = 0;
		struct topk topk;
		assert_int_equal(topk_init(&topk, K, -INFINITY, compare_and_count, &steps),
			STATUS_OK);
		for (uint64_t i = 0; i < COUNT; i++) {
			topk_push(&topk, 1, rising ? i : COUNT - i);
		}
		assert_in_range(steps, COUNT, (uint64_t)COUNT * STEPS_MAX);
		topk_finish(&topk);
		assert_int_equal(topk.count, K);
		topk_fini(&topk);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_best_are_those_of_a_sort),
		cmocka_unit_test(a_copy_goes_on_by_itself),
		cmocka_unit_test(no_order_of_candidates_makes_selection_slow),
		cmocka_unit_test(nan_is_no_score),
		cmocka_unit_test(refused_memory_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
