/* test_seeded_random.c - the same draws for a seed, and none more likely than another. */
#include "tools/evaluation/seeded_random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* From the authors' program, seeds 0 and 1234567: the upper halves of its first draws. */
static void draws_are_those_of_splitmix64(void **state)
{
	(void)state;
	static const uint32_t of_zero[] = {0xe220a839, 0x6e789e6a, 0x06c45d18, 0xf88bb8a8};
	static const uint64_t of_other[] = {UINT64_C(6457827717110365317),
		UINT64_C(3203168211198807973), UINT64_C(9817491932198370423)};
	struct seeded_random random = {0};
	for (size_t i = 0; i < 4; i++) {
		/* Of 2^31 nothing is surplus, and the lower 31 of the upper 32 bits are kept. */
		assert_int_equal(seeded_random_below(&random, 1u << 31), of_zero[i] & 0x7fffffffu);
	}
	random.state = 1234567;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(seeded_random_below(&random, 1u << 16),
			(uint32_t)(of_other[i] >> 32) & 0xffffu);
	}
}

static void draws_below_a_bound_are_even(void **state)
{
	(void)state;
	enum { BOUND = 7, DRAWS = 70000 };
	size_t counts[BOUND] = {0};
	struct seeded_random random = {42};
	for (size_t i = 0; i < DRAWS; i++) {
		counts[seeded_random_below(&random, BOUND)]++;
	}
	for (size_t i = 0; i < BOUND; i++) {
		assert_in_range(counts[i], DRAWS / BOUND - 400, DRAWS / BOUND + 400);
	}
	assert_int_equal(seeded_random_below(&random, 1), 0);
	assert_in_range(seeded_random_below(&random, UINT32_MAX), 0, UINT32_MAX - 1);
}

static void a_shuffle_keeps_every_element(void **state)
{
	(void)state;
	enum { COUNT = 5, SHUFFLES = 10000 };
	size_t at_front[COUNT] = {0};
	struct seeded_random random = {7};
	for (size_t i = 0; i < SHUFFLES; i++) {
		uint32_t elements[COUNT] = {0, 1, 2, 3, 4};
		unsigned seen = 0;
		seeded_random_shuffle(&random, elements, COUNT);
		for (size_t j = 0; j < COUNT; j++) {
			seen |= 1u << elements[j];
		}
		assert_int_equal(seen, (1u << COUNT) - 1);
		at_front[elements[0]]++;
	}
	for (size_t i = 0; i < COUNT; i++) {
		assert_in_range(at_front[i], SHUFFLES / COUNT - 200, SHUFFLES / COUNT + 200);
	}
	seeded_random_shuffle(&random, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(draws_are_those_of_splitmix64),
		cmocka_unit_test(draws_below_a_bound_are_even),
		cmocka_unit_test(a_shuffle_keeps_every_element),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
