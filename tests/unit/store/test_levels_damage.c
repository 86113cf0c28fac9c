/* test_levels_damage.c - damaged segments of deltas and of the base below them: no older row comes back, and a
 * merge goes on. */
#include "daemon/store/base/base.h"
#include "daemon/store/log/redo.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/read/lookup.h"
#include "daemon/store/read/rows.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/level_filter.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/state/state.h"
#include "daemon/store/write/writer.h"
#include "tests/unit/store/levels_fixture.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

/* NULL: a delta has nothing where the key belongs. */
static struct base_segment *segment_of(const struct table *table, size_t level, uint64_t key)
{
	struct base_set *set = table->levels[level]->set;
	const uint32_t number = base_set_find(set, siphash_u64(&scratch_seed, key));
	return number == BASE_NO_SEGMENT ? NULL : set->segments[number];
}

/* Whether a delta has a row or a tombstone of a key. */
static bool has(const struct table *table, size_t level, uint64_t key)
{
	const struct base_segment *segment = segment_of(table, level, key);
	const uint64_t hash = siphash_u64(&scratch_seed, key);
	uint32_t row;
	return segment != NULL &&
	       segment_seek(&segment->view, 0, hash, (const uint8_t *)&key, 8, &row);
}

/* Marks a segment of the middle one of three deltas. What the newest delta has is found; what the middle one
 * has, or may have, cannot be told, also where the base has a row; all else is as before. */
static void what_a_damaged_delta_cannot_tell_is_corrupt(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	levels_make(scratch, &expected);
	levels_add_deltas(scratch, &expected, 4);
	for (int with_filter = 0; with_filter < 2; with_filter++) {
		struct table *table = (struct table *)scratch_table(scratch, "t");
		struct base_segment *damaged = segment_of(table, 2, 200);
		struct level_filter *filter = atomic_load(&table->filter);
		scratch_mark(damaged, BASE_PAGE_DAMAGED, BASE_DAMAGED);
		if (!with_filter) {
			/* As after a start with a damaged file: nothing of the segment is known. */
			atomic_store(&table->filter, NULL);
			assert_int_equal(level_filter_make(table), STATUS_OK);
			free(filter);
		}
		uint32_t corrupt = 0;
		for (uint64_t key = 0; key < KEYS; key++) {
			const uint32_t version = scratch_version_in(scratch, table, key);
			const bool is_in = segment_of(table, 2, key) == damaged;
			if (has(table, 3, key) || !is_in) {
				assert_int_equal(version, expected.versions[key]);
			} else if (has(table, 2, key) || !with_filter) {
				assert_int_equal(version, UINT32_MAX);
				corrupt++;
			} else {
				assert_true(
					version == expected.versions[key] || version == UINT32_MAX);
			}
		}
		assert_true(corrupt > 0);
		struct scan scan = {.table = table,
			.limit = KEYS,
			.bytes_max = 1 << 20,
			.dtype = DTYPE_F32,
			.visible = store_visible(scratch->store),
			.now_ms = SCRATCH_NOW_MS};
		assert_int_equal(table_scan(&scan, NULL), STATUS_CORRUPT);
		assert_false(table_is_at_hand(table));
		snapshot_end(scratch->store);
		struct error err = {0};
		struct merge_result result;
		assert_int_equal(store_merge_full(scratch->store, NULL, &result, &err),
			STATUS_CORRUPT);
		scratch_reopen(scratch); /* the file is sound */
		const struct timespec pause = {.tv_nsec = 1000000};
		for (int i = 0; i < 10000; i++) {
			table = (struct table *)scratch_table(scratch, "t");
			const bool is_there = atomic_load(&table->filter) != NULL;
			snapshot_end(scratch->store);
			if (is_there) {
				break;
			}
			(void)nanosleep(&pause, NULL); /* until the janitor has made it */
		}
		levels_expect(scratch, &expected);
	}
}

/* A byte of a delta's file is another one when the store opens. */
static void a_flipped_byte_of_a_delta_shows_no_older_row(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	char path[PATH_MAX];
	char name[64];
	levels_make(scratch, &expected);
	levels_put(scratch, &expected, 0, 100, 2);
	(void)levels_merge(scratch);
	const struct table *table = scratch_table(scratch, "t");
	const struct base_file_info *file = &table->levels[1]->files[0];
	const uint64_t offset = file->segments[0].offset + file->segments[0].bytes / 2;
	(void)snprintf(name, sizeof name, "releases/1/base-1-%" PRIu64 ".mdb", file->number);
	snapshot_end(scratch->store);
	scratch_path(scratch, path, name);
	scratch_close(scratch);
	scratch_flip(path, offset);
	scratch_open(scratch);
	table = scratch_table(scratch, "t");
	for (uint64_t key = 0; key < 100; key++) {
		const uint32_t version = scratch_version_in(scratch, table, key);
		assert_true(version == 2 || version == UINT32_MAX);
		assert_int_equal(version == UINT32_MAX,
			base_segment_state(segment_of(table, 1, key)) == BASE_DAMAGED);
	}
	snapshot_end(scratch->store);
}

/* Rows that wait for a merge when a segment of the base fails: a delta is made without it, so they are kept and
 * their log goes. */
static void a_damaged_base_stops_no_delta(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	struct error err = {0};
	levels_make(scratch, &expected);
	scratch_close(scratch);
	scratch->sizes.delta_base_min = 0; /* it would be written anew */
	scratch_open(scratch);
	levels_put(scratch, &expected, 0, 900, 2);
	const struct table *table = scratch_table(scratch, "t");
	struct base_segment *damaged = segment_of(table, 0, 950);
	scratch_mark(damaged, BASE_PAGE_DAMAGED, BASE_DAMAGED);
	snapshot_end(scratch->store);
	(void)levels_merge(scratch);
	table = scratch_table(scratch, "t");
	assert_int_equal(table->level_count, 2);
	assert_true(memtable_is_empty(table->memtable));
	for (uint64_t key = 0; key < 900; key++) {
		assert_int_equal(scratch_version_in(scratch, table, key), 2);
	}
	assert_int_equal(scratch_version_in(scratch, table, 950), UINT32_MAX);
	snapshot_end(scratch->store);
	struct redo_figures log;
	redo_figures(scratch->store->writer->redo, &log);
	assert_int_equal(log.files, 1);
	struct merge_result result;
	assert_int_equal(store_merge_full(scratch->store, NULL, &result, &err), STATUS_CORRUPT);
}

/* Rows that were written after a merge had failed are merged by a second round, which is a full one, too. */
static void a_full_merge_after_a_failed_one_leaves_a_base(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	struct error err = {0};
	struct merge_result result;
	levels_make(scratch, &expected);
	levels_put(scratch, &expected, 0, 30, 2);
	const struct table *table = scratch_table(scratch, "t");
	struct base_segment *damaged = segment_of(table, 0, 950);
	scratch_mark(damaged, BASE_PAGE_DAMAGED, BASE_DAMAGED);
	snapshot_end(scratch->store);
	assert_int_equal(store_merge_full(scratch->store, NULL, &result, &err), STATUS_CORRUPT);
	scratch_mark(damaged, BASE_PAGE_AWAY, BASE_AWAY); /* as if it could be read again */
	levels_put(scratch, &expected, 40, 30, 3);
	assert_int_equal(store_merge_full(scratch->store, NULL, &result, &err), STATUS_OK);
	assert_int_equal(levels_count_levels(scratch), 1);
	levels_expect(scratch, &expected);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, levels_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_a_damaged_delta_cannot_tell_is_corrupt),
		TEST(a_flipped_byte_of_a_delta_shows_no_older_row),
		TEST(a_damaged_base_stops_no_delta),
		TEST(a_full_merge_after_a_failed_one_leaves_a_base),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
