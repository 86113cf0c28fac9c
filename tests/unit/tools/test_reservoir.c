/* test_reservoir.c - the sample is uniform, the same for a seed, and bounded. */
#include "tests/unit/alloc_fail.h"
#include "tools/statistics/reservoir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Lets 0, 1, ... count - 1 pass. */
static void fill(struct reservoir *reservoir, uint64_t capacity, uint64_t seed, uint32_t count)
{
	reservoir_init(reservoir, sizeof(uint32_t), capacity, seed);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(reservoir_add(reservoir, &i), STATUS_OK);
	}
}

static void what_fits_is_kept_in_order(void **state)
{
	(void)state;
	for (uint32_t count = 0; count <= 1000; count += 250) {
		struct reservoir reservoir;
		fill(&reservoir, 1000, 7, count);
		assert_int_equal(reservoir.count, count);
		assert_int_equal(reservoir.seen, count);
		for (uint32_t i = 0; i < count; i++) {
			assert_int_equal(((uint32_t *)reservoir.items)[i], i);
		}
		reservoir_fini(&reservoir);
	}
}

static void every_item_is_as_likely(void **state)
{
	(void)state;
	enum { RUNS = 20000, COUNT = 20, CAPACITY = 5 };
	unsigned kept[COUNT] = {0};
	for (uint64_t seed = 0; seed < RUNS; seed++) {
		struct reservoir reservoir;
		fill(&reservoir, CAPACITY, seed, COUNT);
		assert_int_equal(reservoir.count, CAPACITY);
		assert_int_equal(reservoir.seen, COUNT);
		for (size_t i = 0; i < CAPACITY; i++) {
			kept[((uint32_t *)reservoir.items)[i]]++;
		}
		reservoir_fini(&reservoir);
	}
	/* A standard deviation is 61. */
	for (size_t i = 0; i < COUNT; i++) {
		assert_in_range(kept[i], 5000 - 300, 5000 + 300);
	}
}

static void a_seed_decides_the_sample(void **state)
{
	(void)state;
	struct reservoir one;
	struct reservoir again;
	struct reservoir other;
	fill(&one, 100, 1, 5000);
	fill(&again, 100, 1, 5000);
	fill(&other, 100, 2, 5000);
	assert_memory_equal(one.items, again.items, 400);
	assert_memory_not_equal(one.items, other.items, 400);
	reservoir_fini(&one);
	reservoir_fini(&again);
	reservoir_fini(&other);
}

/* SplitMix64 of seed 0 begins with 0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f:
 * modulo 2, 3, 4 that is 1, 0, 3. */
static void draws_are_those_of_splitmix(void **state)
{
	(void)state;
	static const uint32_t kept[] = {0, 0, 2, 2};
	for (uint32_t count = 1; count <= 4; count++) {
		struct reservoir reservoir;
		fill(&reservoir, 1, 0, count);
		assert_int_equal(((uint32_t *)reservoir.items)[0], kept[count - 1]);
		reservoir_fini(&reservoir);
	}
}

static void no_more_room_is_taken_than_there_are_items(void **state)
{
	(void)state;
	struct reservoir reservoir;
	fill(&reservoir, UINT64_C(1) << 40, 0, 1000);
	assert_in_range(reservoir.room, 1000, 2000);
	reservoir_fini(&reservoir);
	fill(&reservoir, 300, 0, 1000);
	assert_int_equal(reservoir.room, 300);
	reservoir_fini(&reservoir);
	reservoir_fini(&reservoir);
}

static bool attempt(void *arg)
{
	(void)arg;
	struct reservoir reservoir;
	reservoir_init(&reservoir, sizeof(uint32_t), 600, 0);
	enum status status = STATUS_OK;
	for (uint32_t i = 0; i < 2000 && status == STATUS_OK; i++) {
		const uint64_t seen = reservoir.seen;
		status = reservoir_add(&reservoir, &i);
		assert_int_equal(reservoir.seen, seen + (status == STATUS_OK));
	}
	reservoir_fini(&reservoir);
	return status == STATUS_OK;
}

static void refused_memory_is_told(void **state)
{
	(void)state;
	assert_int_equal(alloc_fail_each(attempt, NULL), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_is_kept_in_order),
		cmocka_unit_test(every_item_is_as_likely),
		cmocka_unit_test(a_seed_decides_the_sample),
		cmocka_unit_test(draws_are_those_of_splitmix),
		cmocka_unit_test(no_more_room_is_taken_than_there_are_items),
		cmocka_unit_test(refused_memory_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
