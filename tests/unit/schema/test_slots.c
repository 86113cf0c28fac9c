/* test_slots.c - a walk comes to each slot, and is short whatever the hashes are. */
#include "schema/slots.h"

#include "schema/siphash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct key_seed seed = {{UINT64_C(0x0706050403020100), UINT64_C(0xf0e0d0c0b0a09080)}};

static void a_walk_comes_to_each_slot(void **state)
{
	(void)state;
	enum { SLOTS_MAX = 1 << 10 };
	for (size_t slots = 1; slots <= SLOTS_MAX; slots *= 2) {
		for (uint64_t hash = 0; hash < 50; hash++) {
			bool seen[SLOTS_MAX] = {false};
			size_t left = slots;
			struct slots_walk walk;
			slots_begin(&walk, hash, slots - 1);
			for (size_t steps = 0; left > 0; steps++) {
				assert_true(walk.at < slots);
				assert_true(steps <= slots + SLOTS_RUN);
				left -= !seen[walk.at];
				seen[walk.at] = true;
				if (!slots_next(&walk, slots - 1)) {
					slots_jump(&walk, siphash_u64(&seed, hash), slots - 1);
				}
			}
		}
	}
}

/* Fills half of a table by hashes that were chosen, and counts the steps. */
static void expect_short(uint64_t (*hash_of)(uint64_t key), uint64_t (*other_of)(uint64_t key))
{
	enum { SLOTS = 1 << 16, WORST = SLOTS_RUN + 64 };
	bool *taken = calloc(SLOTS, sizeof *taken);
	uint64_t all = 0;
	assert_non_null(taken);
	for (uint64_t key = 0; key < SLOTS / 2; key++) {
		struct slots_walk walk;
		unsigned steps = 1;
		slots_begin(&walk, hash_of(key), SLOTS - 1);
		for (; taken[walk.at]; steps++) {
			if (!slots_next(&walk, SLOTS - 1)) {
				slots_jump(&walk, other_of(key), SLOTS - 1);
			}
		}
		taken[walk.at] = true;
		assert_true(steps <= WORST);
		all += steps;
	}
	assert_true(all <= SLOTS / 2 * (uint64_t)(SLOTS_RUN + 3));
	free(taken);
}

static uint64_t all_alike(uint64_t key)
{
	(void)key;
	return 12345;
}

static uint64_t low_bits_alike(uint64_t key)
{
	return siphash_u64(&seed, key) << 20 | 77;
}

static uint64_t one_run(uint64_t key)
{
	return key / 64;
}

static uint64_t unknown(uint64_t key)
{
	return siphash(&seed, &(uint64_t[]){key, key}, 16);
}

static uint64_t follows(uint64_t key)
{
	return slots_other(low_bits_alike(key));
}

static void a_walk_is_short_whatever_the_hashes_are(void **state)
{
	(void)state;
	expect_short(all_alike, unknown);
	expect_short(low_bits_alike, unknown);
	expect_short(one_run, unknown);
	/* Of keys that share some bits, the others suffice. */
	expect_short(low_bits_alike, follows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_walk_comes_to_each_slot),
		cmocka_unit_test(a_walk_is_short_whatever_the_hashes_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
