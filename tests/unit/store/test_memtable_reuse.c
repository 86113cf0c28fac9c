/* test_memtable_reuse.c - which memory of superseded versions is used again. */
#include "daemon/store/base/find.h"
#include "daemon/store/memtable/generation.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/memtable/memtable_merge.h"
#include "daemon/store/memtable/memtable_pin.h"
#include "daemon/store/memtable/memtable_room.h"
#include "daemon/store/memtable/memtable_stream.h"
#include "daemon/store/system/grace.h"
#include "tests/unit/store/memtable_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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
	return memtable_newest(memtable, siphash_u64(&memtable_seed, key), (const uint8_t *)&key,
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
	const struct memtable_change change = {&memtable_spec, &usage, 2};
	assert_non_null(memtable);
	put(memtable, &usage, 1, 2);
	assert_int_equal(memtable_put(memtable, &change, siphash_u64(&memtable_seed, key),
				 &tombstone),
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

/* ---- rows that are computed in place ---- */

enum { KEYS = 4 };

/* Makes rows of keys 1 to 4. */
static void make_rows(struct memtable_room *room, struct memtable *memtable,
	struct memtable_usage *usage, uint64_t sequence, struct memtable_entry *const *entries)
{
	const struct memtable_change change = {&memtable_spec, usage, sequence};
	const float value = (float)sequence;
	assert_int_equal(memtable_room_begin(room, memtable, &change, KEYS), STATUS_OK);
	for (uint64_t key = 1; key <= KEYS; key++) {
		struct row_version *version = memtable_room_get(room, (uint32_t)key - 1,
			entries[key - 1], siphash_u64(&memtable_seed, key), (const uint8_t *)&key,
			sizeof key);
		assert_non_null(version);
		version->time_ms = 0;
		version->tags = 0;
		memcpy(version->row, &value, sizeof value);
	}
}

static void link_made(struct memtable_room *room, uint32_t expected)
{
	uint32_t linked;
	assert_int_equal(memtable_room_link(room, &linked), STATUS_OK);
	assert_int_equal(linked, expected);
	memtable_room_end(room);
}

/* Finds the entries of keys 1 to 4. */
static void find_entries(const struct memtable *memtable, struct memtable_entry **entries)
{
	const struct generation *active = atomic_load(&memtable->active);
	for (uint64_t key = 1; key <= KEYS; key++) {
		entries[key - 1] =
			active == NULL ? NULL
				       : generation_find(active, siphash_u64(&memtable_seed, key),
						 (const uint8_t *)&key, sizeof key);
	}
}

/* New keys, known ones, and memory that had been superseded: all is as before, and serves the next. */
static void what_is_not_linked_is_given_back(void **state)
{
	(void)state;
	enum { REFUSED = 2000 };
	struct memtable_usage usage = {0};
	struct memtable *memtable = memtable_new();
	struct memtable_entry *entries[KEYS];
	struct memtable_room room;
	assert_non_null(memtable);
	find_entries(memtable, entries);
	make_rows(&room, memtable, &usage, 1, entries);
	assert_true(usage.bytes > 0);
	memtable_room_end(&room);
	assert_true(memtable_is_empty(memtable));
	assert_int_equal(usage.bytes, 0);
	assert_int_equal(usage.pinned_bytes, 0);
	put(memtable, &usage, 1, 1);
	put(memtable, &usage, 2, 1);
	put(memtable, &usage, 3, 2);
	put(memtable, &usage, 4, 1);
	atomic_store(&usage.horizon, 4); /* two of key 1 may be written over */
	const uint64_t bytes = usage.bytes;
	find_entries(memtable, entries);
	for (unsigned i = 0; i < REFUSED; i++) {
		make_rows(&room, memtable, &usage, 5, entries);
		assert_true(room.made[0].is_reused && room.made[1].is_reused);
		assert_true(room.made[2].is_new && room.made[3].is_new);
		memtable_room_end(&room);
	}
	assert_int_equal(usage.bytes, bytes);
	assert_int_equal(usage.rows, 2);
	assert_true(value_at(memtable, 5, 1) == 4);
	assert_true(value_at(memtable, 5, 2) == 3);
	assert_true(value_at(memtable, 5, 3) == 0);
	make_rows(&room, memtable, &usage, 5, entries);
	memtable_room_skip(&room, 1);
	memtable_room_skip(&room, 3);
	link_made(&room, 2);
	assert_true(value_at(memtable, 5, 1) == 5 && value_at(memtable, 4, 1) == 4);
	assert_true(value_at(memtable, 5, 2) == 3);
	assert_true(value_at(memtable, 5, 3) == 5);
	assert_true(value_at(memtable, 5, 4) == 0);
	assert_int_equal(usage.rows, 3);
	memtable_drop(memtable);
	assert_int_equal(usage.bytes, 0);
}

/* An entry of the frozen generation takes no version any more; a key without one gets one. */
static void a_writer_finds_the_entries_that_take_versions(void **state)
{
	(void)state;
	const uint64_t values[KEYS] = {1, 2, 3, 4};
	const struct keys keys = {
		.type = KEY_U64,
		.count = KEYS,
		.packed = (const uint8_t *)values,
	};
	uint64_t hashes[KEYS];
	struct memtable_entry *entries[KEYS];
	const struct row_version *versions[KEYS];
	struct memtable_usage usage = {0};
	struct memtable *memtable = memtable_new();
	assert_non_null(memtable);
	const struct memtable_question question = {
		.keys = &keys,
		.hashes = hashes,
		.visible = UINT64_MAX,
		.row_bytes = sizeof(float),
		.entries = entries,
	};
	for (size_t i = 0; i < KEYS; i++) {
		hashes[i] = siphash_u64(&memtable_seed, values[i]);
	}
	grace_register();
	grace_enter();
	put(memtable, &usage, 1, 1);
	put(memtable, &usage, 1, 2);
	assert_true(memtable_freeze(memtable, 1));
	memtable_find(memtable, &question, 0, KEYS, versions);
	for (size_t i = 0; i < KEYS; i++) {
		assert_null(entries[i]);
	}
	put(memtable, &usage, 2, 2);
	put(memtable, &usage, 2, 3);
	undo(memtable, 3, 1); /* its entry stays */
	memtable_find(memtable, &question, 0, KEYS, versions);
	assert_null(entries[0]);
	assert_non_null(versions[0]);
	assert_null(versions[2]);
	assert_null(entries[3]);
	for (size_t i = 0; i < KEYS; i++) {
		assert_true((entries[i] != NULL) == (i == 1 || i == 2));
	}
	struct memtable_room room;
	make_rows(&room, memtable, &usage, 3, entries);
	assert_true(value_at(memtable, UINT64_MAX, 2) == 2);
	link_made(&room, KEYS);
	for (size_t i = 0; i < KEYS; i++) {
		assert_true(value_at(memtable, 3, values[i]) == 3);
	}
	assert_true(value_at(memtable, 2, 2) == 2);
	assert_int_equal(usage.rows, 6);
	grace_leave();
	grace_unregister();
	memtable_drop(memtable);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_pinned_stays),
		cmocka_unit_test(what_nobody_sees_any_more_is_written_over),
		cmocka_unit_test(what_has_no_room_or_may_be_seen_is_not_written_over),
		cmocka_unit_test(what_is_pinned_is_not_written_over),
		cmocka_unit_test(what_was_superseded_by_what_is_taken_back_stays),
		cmocka_unit_test(what_is_not_linked_is_given_back),
		cmocka_unit_test(a_writer_finds_the_entries_that_take_versions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
