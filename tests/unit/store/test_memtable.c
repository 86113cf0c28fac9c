/* test_memtable.c - versions that were taken back, memory that is used again, the order of writing. */
#include "daemon/store/base/find.h"
#include "daemon/store/memtable/generation.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/memtable/memtable_merge.h"
#include "daemon/store/memtable/memtable_pin.h"
#include "daemon/store/memtable/memtable_stream.h"
#include "daemon/store/system/grace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct table_spec spec = {
	.kind = KIND_IR,
	.dtype = DTYPE_F32,
	.key_type = KEY_U64,
	.dim = 1,
	.views = 1,
};

static const struct key_seed seed = {{1, 2}};

static void put_at(struct memtable *memtable, struct memtable_usage *usage, uint64_t sequence,
	uint64_t key, uint64_t hash)
{
	const float value = (float)sequence;
	const struct frame_row row = {
		.key = (const uint8_t *)&key,
		.key_len = sizeof key,
		.data = (const uint8_t *)&value,
	};
	const struct memtable_change change = {
		.spec = &spec,
		.usage = usage,
		.sequence = sequence,
	};
	assert_int_equal(memtable_put(memtable, &change, hash, &row), STATUS_OK);
}

static void put(struct memtable *memtable, struct memtable_usage *usage, uint64_t sequence,
	uint64_t key)
{
	put_at(memtable, usage, sequence, key, siphash_u64(&seed, key));
}

static void undo(struct memtable *memtable, uint64_t key, uint64_t visible)
{
	memtable_undo(memtable, siphash_u64(&seed, key), (const uint8_t *)&key, sizeof key,
		visible);
}

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
	spec.index = INDEX_BALLS;
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
	spec.index = INDEX_NONE;
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
	spec.index = INDEX_BALLS;
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
	spec.index = INDEX_NONE;
	memtable_drop(memtable);
}

static float value_at(const struct memtable *memtable, uint64_t visible, uint64_t key)
{
	float value = 0;
	const struct row_version *version = memtable_get(memtable, visible, siphash_u64(&seed, key),
		(const uint8_t *)&key, sizeof key);
	if (version != NULL) {
		memcpy(&value, version->row, sizeof value);
	}
	return value;
}

/* Both generations stay for whoever has pinned them, also when merges are done with both. */
static void what_is_pinned_stays(void **state)
{
	(void)state;
	struct memtable_usage usage = {0};
	struct memtable pinned;
	struct memtable *memtable = memtable_new();
	assert_non_null(memtable);
	put(memtable, &usage, 1, 1);
	put(memtable, &usage, 2, 2);
	assert_true(memtable_freeze(memtable, 2));
	put(memtable, &usage, 3, 2);
	grace_register();
	grace_enter();
	memtable_pin(memtable, &pinned);
	grace_pin();
	generation_free(memtable_take_frozen(memtable));
	put(memtable, &usage, 4, 1);
	assert_true(memtable_freeze(memtable, 4));
	generation_free(memtable_take_frozen(memtable));
	assert_true(memtable_is_empty(memtable));
	assert_int_equal(usage.bytes, 0);
	assert_int_equal(usage.rows, 0);
	assert_true(usage.pinned_bytes > 0);
	assert_true(value_at(&pinned, 3, 1) == 1);
	assert_true(value_at(&pinned, 3, 2) == 3);
	assert_int_equal(memtable_rows(&pinned), 4);
	memtable_unpin(&pinned);
	assert_int_equal(usage.pinned_bytes, 0);
	grace_unpin();
	grace_unregister();
	memtable_drop(memtable);
}

/* ---- memory that is used again ---- */

enum { ROUNDS = 20000 };

/* Puts key 1 again and again, with sequences from `from` on, and moves the horizon behind. */
static void put_many(struct memtable *memtable, struct memtable_usage *usage, uint64_t from)
{
	for (uint64_t i = from; i < from + ROUNDS; i++) {
		atomic_store(&usage->horizon, i - 1);
		put(memtable, usage, i, 1);
	}
}

static void what_nobody_sees_any_more_is_written_over(void **state)
{
	(void)state;
	struct memtable_usage usage = {0};
	struct memtable *memtable = memtable_new();
	assert_non_null(memtable);
	put(memtable, &usage, 1, 2);
	put_many(memtable, &usage, 2);
	const uint64_t bytes = usage.bytes;
	assert_true(bytes < ROUNDS * sizeof(struct row_version) / 4);
	put_many(memtable, &usage, ROUNDS + 2);
	assert_int_equal(usage.bytes, bytes);
	const uint64_t last = 2 * ROUNDS + 1;
	assert_true(value_at(memtable, last, 1) == (float)last);
	assert_true(value_at(memtable, last - 1, 1) == (float)(last - 1)); /* the horizon's own */
	assert_true(value_at(memtable, last, 2) == 1);
	memtable_drop(memtable);
	assert_int_equal(usage.bytes, 0);
}

static const struct row_version *newest_of(const struct memtable *memtable, uint64_t key)
{
	return memtable_newest(memtable, siphash_u64(&seed, key), (const uint8_t *)&key,
		sizeof key);
}

/* A tombstone has no room for a row, and what is behind the horizon may be seen. */
static void what_has_no_room_or_may_be_seen_is_not_written_over(void **state)
{
	(void)state;
	struct memtable_usage usage = {.horizon = 3};
	struct memtable *memtable = memtable_new();
	const uint64_t key = 1;
	const struct frame_row tombstone = {.key = (const uint8_t *)&key, .key_len = sizeof key};
	const struct memtable_change change = {&spec, &usage, 2};
	assert_non_null(memtable);
	put(memtable, &usage, 1, 2);
	assert_int_equal(memtable_put(memtable, &change, siphash_u64(&seed, key), &tombstone),
		STATUS_OK);
	const struct row_version *small = newest_of(memtable, key);
	put(memtable, &usage, 3, 1); /* supersedes the tombstone */
	put(memtable, &usage, 4, 2);
	assert_ptr_not_equal(newest_of(memtable, 2), small);
	put(memtable, &usage, 5, 2);
	put(memtable, &usage, 6, 1);
	assert_true(value_at(memtable, 3, 2) == 1);
	assert_true(value_at(memtable, 4, 2) == 4);
	assert_true(value_at(memtable, 5, 2) == 5);
	assert_true(value_at(memtable, 3, 1) == 3);
	assert_true(value_at(memtable, 6, 1) == 6);
	memtable_drop(memtable);
}

static void what_is_pinned_is_not_written_over(void **state)
{
	(void)state;
	struct memtable_usage usage = {0};
	struct memtable pinned;
	struct memtable *memtable = memtable_new();
	assert_non_null(memtable);
	put(memtable, &usage, 1, 1);
	grace_register();
	grace_enter();
	memtable_pin(memtable, &pinned);
	grace_pin();
	put_many(memtable, &usage, 2);
	assert_true(value_at(&pinned, 1, 1) == 1);
	assert_true(value_at(&pinned, 100, 1) == 100);
	const uint64_t bytes = usage.bytes;
	memtable_unpin(&pinned);
	grace_unpin();
	grace_unregister();
	put_many(memtable, &usage, ROUNDS + 2); /* all of it is there for these */
	assert_int_equal(usage.bytes, bytes);
	memtable_drop(memtable);
}

/* What is taken back leaves what it had superseded, whatever has its sequence afterwards. */
static void what_was_superseded_by_what_is_taken_back_stays(void **state)
{
	(void)state;
	struct memtable_usage usage = {.horizon = 2};
	struct memtable *memtable = memtable_new();
	assert_non_null(memtable);
	put(memtable, &usage, 1, 1);
	put(memtable, &usage, 2, 2);
	put(memtable, &usage, 2, 3);
	put(memtable, &usage, 3, 3);
	for (uint64_t key = 1; key < 3; key++) {
		put(memtable, &usage, 4, key);
	}
	for (uint64_t key = 1; key < 3; key++) {
		undo(memtable, key, 3);
	}
	put(memtable, &usage, 4, 3);
	put(memtable, &usage, 5, 3);
	atomic_store(&usage.horizon, 5);
	for (uint64_t sequence = 6; sequence < 20; sequence++) {
		put(memtable, &usage, sequence, 3);
	}
	assert_true(value_at(memtable, 19, 1) == 1);
	assert_true(value_at(memtable, 19, 2) == 2);
	assert_true(value_at(memtable, 19, 3) == 19);
	assert_true(value_at(memtable, 5, 3) == 5);
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
	return siphash_u64(&seed, key) >> 10;
}

static uint64_t few_hashes(uint64_t key)
{
	return siphash_u64(&seed, key / 40) >> 10;
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
		hashes[key] = siphash_u64(&seed, key);
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
		cmocka_unit_test(what_is_pinned_stays),
		cmocka_unit_test(what_nobody_sees_any_more_is_written_over),
		cmocka_unit_test(what_has_no_room_or_may_be_seen_is_not_written_over),
		cmocka_unit_test(what_is_pinned_is_not_written_over),
		cmocka_unit_test(what_was_superseded_by_what_is_taken_back_stays),
		cmocka_unit_test(no_choice_of_hashes_makes_long_walks),
		cmocka_unit_test(a_walk_in_steps_brings_each_row_once_and_in_order),
		cmocka_unit_test(a_bucket_without_slots_has_nothing_to_fetch_ahead),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
