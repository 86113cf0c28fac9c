/* test_memtable.c - what a memtable says of itself, its order of writing, and its walks. */
#include "daemon/store/base/find.h"
#include "daemon/store/memtable/generation.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/memtable/memtable_merge.h"
#include "daemon/store/memtable/memtable_pin.h"
#include "daemon/store/memtable/memtable_stream.h"
#include "daemon/store/system/grace.h"
#include "tests/unit/store/memtable_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Of two writes that fail together, the second was the first one of this table. The next write has
 * the sequence of the first, and the log must be kept from there on. */
static void a_sequence_that_is_used_again_is_the_oldest(void **state)
{
	(void)state;
	struct memtable_usage usage = {0};
	struct memtable *memtable = memtable_new();
	assert_non_null(memtable);
	assert_int_equal(memtable_oldest(memtable), 0);
	put(memtable, &usage, 6, 1);
	undo(memtable, 1, 4);
	put(memtable, &usage, 5, 2);
	assert_int_equal(memtable_oldest(memtable), 5);
	put(memtable, &usage, 6, 3);
	assert_int_equal(memtable_oldest(memtable), 5);
	assert_true(memtable_freeze(memtable, 6));
	assert_int_equal(memtable_oldest(memtable), 5);
	assert_int_equal(memtable_frozen_last(memtable), 6);
	memtable_drop(memtable);
	assert_int_equal(usage.bytes, 0);
	assert_int_equal(usage.rows, 0);
}

/* ---- the order of writing ---- */

enum { STREAM_MOST = 3 };

/* Each row that a stream brings, and its version, once; those that the newer generation has are left out. */
static uint32_t stream_sum(struct memtable_stream *stream, uint64_t *sum)
{
	struct memtable_row rows[STREAM_MOST];
	uint32_t count = 0;
	size_t some;
	*sum = 0;
	while ((some = memtable_stream_next(stream, rows, STREAM_MOST)) > 0) {
		for (size_t i = 0; i < some; i++) {
			float value;
			if (memtable_stream_is_behind(stream, rows[i].entry)) {
				continue;
			}
			memcpy(&value, rows[i].version->row, sizeof value);
			*sum += (uint64_t)value;
			count++;
		}
	}
	assert_int_equal(memtable_stream_left(stream), 0);
	return count;
}

static void expect_stream(const struct memtable *memtable, uint64_t visible, uint32_t count,
	uint64_t sum)
{
	struct memtable_stream stream;
	uint64_t found;
	memtable_stream_begin(memtable, visible, &stream);
	assert_int_equal(stream_sum(&stream, &found), count);
	assert_int_equal(found, sum);
}

/* A stream brings of each key the version that a reader of its `visible` uses, once. */
static void a_stream_brings_what_a_look_up_finds(void **state)
{
	(void)state;
	struct memtable_usage usage = {0};
	struct memtable *memtable = memtable_new();
	assert_non_null(memtable);
	memtable_spec.index = INDEX_BALLS;
	for (uint64_t key = 0; key < 1000; key++) {
		put(memtable, &usage, 1, key);
	}
	put(memtable, &usage, 2, 7);
	put(memtable, &usage, 3, 7);
	put(memtable, &usage, 3, 2000);
	grace_register();
	grace_enter();
	expect_stream(memtable, 0, 0, 0);
	expect_stream(memtable, 1, 1000, 1000);
	expect_stream(memtable, 2, 1000, 1001);
	expect_stream(memtable, 3, 1001, 1005);
	undo(memtable, 7, 2);
	undo(memtable, 2000, 2);
	expect_stream(memtable, 3, 1000, 1001);
	put(memtable, &usage, 3, 2000);
	expect_stream(memtable, 3, 1001, 1004);
	/* While the older generation is merged. */
	assert_true(memtable_freeze(memtable, 3));
	expect_stream(memtable, 3, 1001, 1004);
	put(memtable, &usage, 4, 7);
	put(memtable, &usage, 4, 3000);
	expect_stream(memtable, 3, 1001, 1004);
	expect_stream(memtable, 4, 1002, 1010);
	grace_leave();
	grace_unregister();
	memtable_spec.index = INDEX_NONE;
	memtable_drop(memtable);
	assert_int_equal(usage.bytes, 0);
}

/* Only what comes next is skipped, of the generation that is meant. */
static void a_stream_skips_what_comes_next(void **state)
{
	(void)state;
	struct memtable_usage usage = {0};
	struct memtable *memtable = memtable_new();
	assert_non_null(memtable);
	memtable_spec.index = INDEX_BALLS;
	for (uint64_t key = 0; key < 100; key++) {
		put(memtable, &usage, key + 1, key);
	}
	grace_register();
	grace_enter();
	const uint64_t number = ((struct generation *)atomic_load(&memtable->active))->number;
	struct memtable_stream stream;
	uint64_t sum;
	memtable_stream_begin(memtable, 100, &stream);
	assert_false(memtable_stream_skip(&stream, number + 1, 0, 50));
	assert_false(memtable_stream_skip(&stream, number, 1, 50));
	assert_false(memtable_stream_skip(&stream, number, 0, 101));
	assert_int_equal(memtable_stream_left(&stream), 100);
	assert_true(memtable_stream_skip(&stream, number, 0, 50));
	assert_true(memtable_stream_skip(&stream, number, 50, 98));
	assert_int_equal(memtable_stream_left(&stream), 2);
	assert_int_equal(stream_sum(&stream, &sum), 2);
	assert_int_equal(sum, 99 + 100);
	grace_leave();
	grace_unregister();
	memtable_spec.index = INDEX_NONE;
	memtable_drop(memtable);
}

/* How many slots the walk to a key comes to. */
static unsigned steps_to(const struct memtable *memtable, uint64_t hash, uint64_t key)
{
	const struct generation *generation = atomic_load(&memtable->active);
	const struct bucket bucket = generation_bucket(generation, generation_bucket_of(hash));
	struct slots_walk walk;
	unsigned steps = 1;
	uint64_t other;
	struct memtable_entry *entry;
	slots_begin(&walk, hash, bucket.mask);
	while (slot_read(&bucket.slots[walk.at], &other, &entry) &&
		memcmp(entry->key, &key, sizeof key) != 0) {
		bucket_next(&bucket, &walk, (const uint8_t *)&key, sizeof key);
		steps++;
	}
	return steps;
}

static uint64_t one_hash(uint64_t key)
{
	(void)key;
	return UINT64_C(0x123456789abcdef0);
}

static uint64_t one_slot(uint64_t key)
{
	return key << 32 >> 10 | 5; /* of one bucket, too */
}

static uint64_t one_run(uint64_t key)
{
	return (key & 1023) | (key >> 10) << 40; /* side by side, in one bucket */
}

/* Looks keys up in blocks, as a fetch does. */
static void expect_found(const struct memtable *memtable, uint64_t (*choice)(uint64_t key),
	uint64_t count, uint64_t present)
{
	grace_register();
	grace_enter();
	for (uint64_t first = 0; first < count; first += FIND_BLOCK) {
		uint64_t numbers[FIND_BLOCK];
		uint64_t hashes[FIND_BLOCK];
		const struct row_version *versions[FIND_BLOCK];
		for (uint64_t i = 0; i < FIND_BLOCK; i++) {
			numbers[i] = first + i;
			hashes[i] = choice(first + i);
		}
		const struct keys keys = {KEY_U64, FIND_BLOCK, (const uint8_t *)numbers, NULL};
		const struct memtable_question question = {.keys = &keys,
			.hashes = hashes,
			.visible = 1,
			.row_bytes = 4};
		memtable_find(memtable, &question, 0, FIND_BLOCK, versions);
		for (uint64_t i = 0; i < FIND_BLOCK; i++) {
			assert_true((versions[i] != NULL) == (first + i < present));
		}
	}
	grace_leave();
	grace_unregister();
}

/* With hashes that were chosen with all knowledge, a walk takes a run and a few jumps: each meets an
 * empty slot every second time. */
static void no_choice_of_hashes_makes_long_walks(void **state)
{
	enum { KEYS = 30000, WORST = SLOTS_RUN + 64 };
	uint64_t (*const choices[])(uint64_t key) = {one_hash, one_slot, one_run};
	(void)state;
	for (size_t choice = 0; choice < sizeof choices / sizeof *choices; choice++) {
		struct memtable_usage usage = {0};
		struct memtable *memtable = memtable_new();
		assert_non_null(memtable);
		uint64_t steps = 0;
		for (uint64_t key = 0; key < KEYS; key++) {
			put_at(memtable, &usage, 1, key, choices[choice](key));
		}
		for (uint64_t key = 0; key < (uint64_t)KEYS * 2; key++) {
			const uint64_t hash = choices[choice](key);
			const unsigned taken = steps_to(memtable, hash, key);
			const struct row_version *version =
				memtable_get(memtable, 1, hash, (const uint8_t *)&key, sizeof key);
			assert_true((version != NULL) == (key < KEYS));
			assert_true(taken <= WORST);
			steps += taken;
		}
		expect_found(memtable, choices[choice], KEYS * UINT64_C(2), KEYS);
		assert_true(steps <= UINT64_C(2) * KEYS * (SLOTS_RUN + 3));
		memtable_drop(memtable);
	}
}

static uint64_t one_bucket(uint64_t key)
{
	return siphash_u64(&memtable_seed, key) >> 10;
}

static uint64_t few_hashes(uint64_t key)
{
	return siphash_u64(&memtable_seed, key / 40) >> 10;
}

static uint64_t last_hashes(uint64_t key)
{
	return UINT64_MAX - key / 3;
}

/* Each step of a walk takes the rows that follow, and sorts no others. */
static void a_walk_in_steps_brings_each_row_once_and_in_order(void **state)
{
	enum { KEYS = 20000, MOST = 100 };
	uint64_t (*const choices[])(uint64_t key) = {one_bucket, few_hashes, last_hashes, one_slot};
	(void)state;
	grace_register();
	grace_enter();
	for (size_t choice = 0; choice < sizeof choices / sizeof *choices; choice++) {
		struct memtable_usage usage = {0};
		struct memtable *memtable = memtable_new();
		assert_non_null(memtable);
		for (uint64_t key = 0; key < KEYS; key++) {
			/* Every fifth is not visible. */
			put_at(memtable, &usage, 1 + key % 5 / 4, key, choices[choice](key));
		}
		uint64_t from = 0;
		uint64_t last = 0;
		size_t rows = 0;
		size_t steps = 0;
		do {
			struct memtable_range range = {from, 0, MOST, 1};
			struct memtable_row *found = NULL;
			size_t count = 0;
			assert_int_equal(memtable_collect(memtable, &range, &found, &count),
				STATUS_OK);
			assert_true(range.behind == 0 || range.behind > from);
			assert_true(count < MOST + 40);
			for (size_t i = 0; i < count; i++) {
				const uint64_t hash = found[i].entry->hash;
				assert_true(hash >= from && hash >= last);
				assert_true(range.behind == 0 || hash < range.behind);
				last = hash;
			}
			rows += count;
			steps++;
			from = range.behind;
			free(found);
		} while (from != 0);
		assert_int_equal(rows, KEYS / 5 * 4);
		assert_true(steps < (uint64_t)KEYS / MOST * 3);
		memtable_drop(memtable);
	}
	grace_leave();
	grace_unregister();
}

/* Most buckets have no slots while a memtable has one row. */
static void a_bucket_without_slots_has_nothing_to_fetch_ahead(void **state)
{
	(void)state;
	enum { KEYS = 32 };
	struct memtable_usage usage = {0};
	uint64_t hashes[KEYS];
	struct memtable *memtable = memtable_new();
	assert_non_null(memtable);
	put(memtable, &usage, 1, 0);
	for (uint64_t key = 0; key < KEYS; key++) {
		hashes[key] = siphash_u64(&memtable_seed, key);
	}
	memtable_prefetch(memtable, hashes, KEYS);
	for (uint64_t key = 0; key < KEYS; key++) {
		assert_true(value_at(memtable, 1, key) == (key == 0 ? 1 : 0));
	}
	memtable_drop(memtable);
	assert_int_equal(usage.rows, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sequence_that_is_used_again_is_the_oldest),
		cmocka_unit_test(a_stream_brings_what_a_look_up_finds),
		cmocka_unit_test(a_stream_skips_what_comes_next),
		cmocka_unit_test(no_choice_of_hashes_makes_long_walks),
		cmocka_unit_test(a_walk_in_steps_brings_each_row_once_and_in_order),
		cmocka_unit_test(a_bucket_without_slots_has_nothing_to_fetch_ahead),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
