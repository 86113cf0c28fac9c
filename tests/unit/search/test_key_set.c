/* test_key_set.c - keys of a batch are in its set, and no others. */
#include "daemon/search/key_set.h"
#include "schema/slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/alloc_fail.h"

enum { COUNT = 5000 };

static void numbers(void **state)
{
	(void)state;
	static uint64_t values[COUNT];
	for (uint64_t i = 0; i < COUNT; i++) {
		values[i] = i % 3000 * 7;
	}
	const struct keys keys = {.type = KEY_U64,
		.count = COUNT,
		.packed = (const uint8_t *)values};
	struct key_set set;
	assert_int_equal(key_set_init(&set, &keys), STATUS_OK);
	for (uint64_t key = 0; key < 30000; key++) {
		assert_int_equal(key_set_has(&set, (const uint8_t *)&key, 8),
			key % 7 == 0 && key < 21000);
	}
	for (uint32_t i = 0; i < COUNT; i++) {
		assert_int_equal(key_set_is_first(&set, i), i < 3000);
	}
	key_set_fini(&set);
}

static void byte_strings(void **state)
{
	(void)state;
	const char packed[] = "\1a\2ab\1b\1a";
	const uint32_t at[] = {0, 2, 5, 7};
	const struct keys keys = {.type = KEY_BYTES,
		.count = 4,
		.packed = (const uint8_t *)packed,
		.at = at};
	struct key_set set;
	assert_int_equal(key_set_init(&set, &keys), STATUS_OK);
	assert_true(key_set_has(&set, (const uint8_t *)"a", 1));
	assert_true(key_set_has(&set, (const uint8_t *)"ab", 2));
	assert_false(key_set_has(&set, (const uint8_t *)"abc", 3));
	assert_false(key_set_has(&set, (const uint8_t *)"c", 1));
	assert_true(key_set_is_first(&set, 0));
	assert_false(key_set_is_first(&set, 3));
	key_set_fini(&set);
}

/* The slots that are looked at for a key. */
static unsigned steps_to(const struct key_set *set, uint64_t key)
{
	const uint64_t hash = siphash_u64(set->seed, key);
	struct slots_walk walk;
	unsigned steps = 1;
	slots_begin(&walk, hash, set->mask);
	while (set->slots[walk.at] != 0 && keys_u64(&set->keys, set->slots[walk.at] - 1) != key) {
		steps++;
		if (!slots_next(&walk, set->mask)) {
			slots_jump(&walk, slots_other(hash), set->mask);
		}
	}
	return steps;
}

/* The test knows the seed of the process, as no client does. */
static void keys_that_share_a_slot_are_found_in_few_steps(void **state)
{
	(void)state;
	enum { SHARED_BITS = 0xfff };
	static uint64_t values[COUNT];
	uint64_t key = 0;
	for (uint32_t i = 0; i < COUNT; key++) {
		if ((siphash_u64(key_seed_of_process(), key) & SHARED_BITS) == 7) {
			values[i++] = key;
		}
	}
	const struct keys keys = {.type = KEY_U64,
		.count = COUNT - 100, /* the others are absent */
		.packed = (const uint8_t *)values};
	struct key_set set;
	uint64_t steps = 0;
	assert_int_equal(key_set_init(&set, &keys), STATUS_OK);
	for (uint32_t i = 0; i < COUNT; i++) {
		const unsigned taken = steps_to(&set, values[i]);
		assert_true(taken <= SLOTS_RUN + 64);
		steps += taken;
		assert_int_equal(key_set_has(&set, (const uint8_t *)&values[i], 8),
			i < COUNT - 100);
	}
	assert_true(steps <= COUNT * (uint64_t)(SLOTS_RUN + 3));
	key_set_fini(&set);
}

static void an_empty_one_has_nothing(void **state)
{
	(void)state;
	const uint64_t key = 0;
	const struct key_set zeroed = {0};
	const struct keys keys = {.type = KEY_U64};
	struct key_set set;
	assert_false(key_set_has(&zeroed, (const uint8_t *)&key, 8));
	assert_int_equal(key_set_init(&set, &keys), STATUS_OK);
	assert_false(key_set_has(&set, (const uint8_t *)&key, 8));
	key_set_fini(&set);
}

static bool make(void *arg)
{
	(void)arg;
	const uint64_t key = 1;
	const struct keys keys = {.type = KEY_U64, .count = 1, .packed = (const uint8_t *)&key};
	struct key_set set;
	const enum status status = key_set_init(&set, &keys);
	key_set_fini(&set);
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
		cmocka_unit_test(numbers),
		cmocka_unit_test(byte_strings),
		cmocka_unit_test(keys_that_share_a_slot_are_found_in_few_steps),
		cmocka_unit_test(an_empty_one_has_nothing),
		cmocka_unit_test(refused_memory_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
