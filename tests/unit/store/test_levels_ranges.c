/* test_levels_ranges.c - a base that takes in what deltas have range by range: what each step leaves, and what a damaged
 * range, deltas that are merged meanwhile and a base that is cut anew change of that. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/base/base.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/merge/merge_range.h"
#include "daemon/store/merge/merger.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/level_range.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/write/write.h"
#include "tests/unit/store/levels_fixture.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static enum status no_pace(void *arg, uint64_t bytes, struct error *err)
{
	(void)arg;
	(void)bytes;
	(void)err;
	return STATUS_OK;
}

/* Merges the wanted ranges of a table of the first release; returns how many there were. */
static uint64_t merge_wish(struct scratch *scratch, uint64_t table, const struct range_wish *wish,
	int64_t clock_ms, enum status expected)
{
	struct store *store = scratch->store;
	struct error err = {0};
	struct merge_job job = {.store = store,
		.release = 1,
		.clock_ms = clock_ms,
		.pace = no_pace};
	store_lock_admin(store);
	job.table = release_find(snapshot_find(store_current(store), 1), table);
	assert_non_null(job.table);
	if (job.table == NULL) {
		abort(); /* the assertion does not return, which its declaration leaves out */
	}
	job.table->refs++;
	store_unlock_admin(store);
	assert_int_equal(merge_ranges(&job, wish, &err), expected);
	store_lock_admin(store);
	table_drop(job.table);
	store_unlock_admin(store);
	return job.ranges;
}

/* Lets the base of table "t" take in what deltas have for so many ranges; returns for how many it did. */
static uint64_t take_in(struct scratch *scratch, size_t most, enum status expected)
{
	const struct range_wish wish = {.most = most};
	return merge_wish(scratch, 1, &wish, INT64_MIN, expected);
}

static void reopen_with(struct scratch *scratch, uint64_t range_bytes, uint64_t deltas_share)
{
	scratch_close(scratch);
	scratch->sizes.segment_bytes = 4096;
	scratch->sizes.range_bytes = range_bytes;
	scratch->sizes.deltas_share = deltas_share;
	scratch_open(scratch);
}

/* A base of several ranges. */
static void make_ranges(struct scratch *scratch, struct expected *expected)
{
	reopen_with(scratch, 8192, EVER);
	levels_make(scratch, expected);
	assert_true(levels_count_files(scratch) >= 8);
}

static size_t files_of(struct scratch *scratch, bool of_base)
{
	const struct table *table = scratch_table(scratch, "t");
	const size_t base = table->levels[0]->file_count;
	const size_t count = of_base ? base : table_file_count(table) - base;
	snapshot_end(scratch->store);
	return count;
}

/* ---- step by step ---- */

/* The file of the base that is the oldest of those for which there are deltas; *count: of these. */
static uint64_t oldest_with_deltas(struct scratch *scratch, size_t *count)
{
	const struct table *table = scratch_table(scratch, "t");
	uint64_t oldest = UINT64_MAX;
	*count = 0;
	for (size_t i = 0; i < table->levels[0]->file_count; i++) {
		const struct hash_range range = table_range(table, i);
		const uint64_t number = table->levels[0]->files[i].number;
		if (table_range_delta_bytes(table, &range) > 0) {
			oldest = number < oldest ? number : oldest;
			++*count;
		}
	}
	snapshot_end(scratch->store);
	return oldest;
}

static void each_range_is_a_change_of_its_own(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	make_ranges(scratch, &expected);
	levels_add_deltas(scratch, &expected, 4);
	size_t ranges;
	(void)oldest_with_deltas(scratch, &ranges);
	assert_true(ranges > 8);
	size_t left = files_of(scratch, false);
	const struct table *table = scratch_table(scratch, "t");
	const uint64_t merged_to = table->merged_to;
	uint64_t rows = table->rows;
	snapshot_end(scratch->store);
	size_t steps = 0;
	while (left > 0) {
		size_t more;
		const uint64_t oldest = oldest_with_deltas(scratch, &more);
		assert_int_equal(more, ranges - steps);
		assert_int_equal(take_in(scratch, 1, STATUS_OK), 1);
		table = scratch_table(scratch, "t");
		assert_false(table_has_file(table, oldest)); /* the one that waited longest */
		assert_int_equal(table->merged_to, merged_to);
		assert_true(table->rows < rows); /* none of the range counts twice any more */
		rows = table->rows;
		snapshot_end(scratch->store);
		assert_true(files_of(scratch, false) < left);
		left = files_of(scratch, false);
		levels_expect(scratch, &expected);
		if (steps++ % 3 == 0) {
			scratch_reopen(scratch);
			levels_expect(scratch, &expected);
		}
	}
	assert_int_equal(steps, ranges);
	assert_int_equal(levels_count_levels(scratch), 1);
	assert_int_equal(take_in(scratch, SIZE_MAX, STATUS_OK), 0);
}

/* Deltas that some ranges have used up are merged with newer ones. What a range has used up does not come back. */
static void deltas_are_merged_while_ranges_have_used_them_up(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	make_ranges(scratch, &expected);
	scratch_close(scratch);
	scratch->sizes.deltas_max = 3;
	scratch_open(scratch);
	size_t tiers = 0;
	for (uint32_t version = 2; version < 40; version++) {
		const size_t before = levels_count_levels(scratch);
		levels_put(scratch, &expected, version * 37 % 900, 200, version);
		levels_put(scratch, &expected, version * 53 % 900, 60, 0);
		(void)levels_merge(scratch);
		tiers += before > 1 && levels_count_levels(scratch) <= before;
		levels_expect(scratch, &expected);
		assert_int_equal(take_in(scratch, version % 3, STATUS_OK), version % 3);
		levels_expect(scratch, &expected);
		if (version % 8 == 0) {
			scratch_reopen(scratch);
			levels_expect(scratch, &expected);
		}
	}
	assert_true(tiers > 5);
	(void)levels_merge_full(scratch);
	assert_int_equal(levels_count_levels(scratch), 1);
	levels_expect(scratch, &expected);
}

/* A delta takes in what newer ones have, range by range: those below it and the base stay as they are. */
static void a_delta_takes_in_newer_ones_by_range(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	make_ranges(scratch, &expected);
	levels_add_deltas(scratch, &expected, 6);
	const struct range_wish one = {.level = 2, .most = 1};
	const struct range_wish rest = {.level = 2, .most = SIZE_MAX};
	const struct table *table = scratch_table(scratch, "t");
	const uint64_t number = table->levels[2]->number;
	const uint64_t merged_to = table->merged_to;
	const size_t below = table->levels[1]->file_count;
	const size_t base = table->levels[0]->file_count;
	snapshot_end(scratch->store);
	size_t files = files_of(scratch, false);
	for (size_t step = 0; step < 4; step++) {
		assert_int_equal(levels_count_levels(scratch), 6);
		assert_int_equal(merge_wish(scratch, 1, &one, INT64_MIN, STATUS_OK), 1);
		assert_true(files_of(scratch, false) < files);
		files = files_of(scratch, false);
		levels_expect(scratch, &expected);
		if (step % 2 == 1) {
			scratch_reopen(scratch);
			levels_expect(scratch, &expected);
		}
	}
	/* What is written meanwhile is newer than all of it, and what the base takes in is gone. */
	levels_put(scratch, &expected, 100, 400, 7);
	levels_put(scratch, &expected, 300, 50, 0);
	(void)levels_merge(scratch);
	assert_int_equal(levels_count_levels(scratch), 7);
	assert_int_equal(take_in(scratch, 1, STATUS_OK), 1);
	assert_true(merge_wish(scratch, 1, &rest, INT64_MIN, STATUS_OK) > 4);
	levels_expect(scratch, &expected);
	table = scratch_table(scratch, "t");
	assert_int_equal(table->level_count, 3);
	assert_int_equal(table->levels[2]->number, number);
	assert_true(table->levels[2]->deleted > 0); /* they hide rows below */
	assert_true(table->merged_to > merged_to);
	assert_true(table->levels[1]->file_count < below);
	assert_int_equal(table->levels[0]->file_count, base);
	snapshot_end(scratch->store);
	assert_int_equal(merge_wish(scratch, 1, &rest, INT64_MIN, STATUS_OK), 0);
	scratch_reopen(scratch);
	levels_expect(scratch, &expected);
}

/* Small ranges of deltas are one change together, so that deltas of a few rows do not cost one for each range. */
static void small_ranges_of_deltas_go_together(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	make_ranges(scratch, &expected);
	levels_add_deltas(scratch, &expected, 4);
	const size_t ranges = files_of(scratch, true);
	reopen_with(scratch, 64 << 20, EVER);
	const struct range_wish wish = {.level = 1, .most = SIZE_MAX};
	assert_int_equal(merge_wish(scratch, 1, &wish, INT64_MIN, STATUS_OK), 1);
	assert_int_equal(levels_count_levels(scratch), 2);
	assert_true(ranges > 8);
	assert_int_equal(files_of(scratch, true), ranges);
	assert_true(
		files_of(scratch, false) >= ranges / 2); /* none goes over two files of the base */
	levels_expect(scratch, &expected);
}

/* ---- damage ---- */

/* There are as many deltas as there may be, and one of them is damaged in one range. The others go on, but no delta has
 * become free, so what was written stays in the log until the file can be read. */
static void a_damaged_range_of_deltas_keeps_room_from_being_made(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	struct error err = {0};
	struct merge_result result;
	make_ranges(scratch, &expected);
	scratch_close(scratch);
	scratch->sizes.deltas_max = 3;
	scratch_open(scratch);
	levels_add_deltas(scratch, &expected, 4);
	levels_put(scratch, &expected, 10, 90, 5);
	const struct table *table = scratch_table(scratch, "t");
	assert_int_equal(table->level_count, 4);
	const uint64_t merged_to = table->merged_to;
	struct base_set *set = table->levels[3]->set;
	const uint64_t hash = set->segments[0]->info->prefix;
	scratch_mark(set->segments[0], BASE_PAGE_DAMAGED, BASE_DAMAGED);
	snapshot_end(scratch->store);
	assert_int_equal(store_merge(scratch->store, NULL, &result, &err), STATUS_CORRUPT);
	table = scratch_table(scratch, "t");
	assert_int_equal(table->level_count, 4);
	assert_int_equal(table->merged_to, merged_to);
	for (size_t i = 2; i < table->level_count; i++) { /* level 1 has taken in all others */
		for (size_t j = 0; j < table->levels[i]->file_count; j++) {
			const struct hash_range file = range_of_file(&table->levels[i]->files[j]);
			assert_true(hash_range_has(&file, hash));
		}
	}
	snapshot_end(scratch->store);
	scratch_reopen(scratch); /* the file is sound */
	levels_expect(scratch, &expected);
	(void)levels_merge(scratch);
	table = scratch_table(scratch, "t");
	assert_true(table->merged_to > merged_to);
	snapshot_end(scratch->store);
	levels_expect(scratch, &expected);
}

/* A segment of one range is damaged: that range keeps what deltas have for it, and the others go on. */
static void a_damaged_range_costs_itself_only(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	struct error err = {0};
	struct merge_result result;
	make_ranges(scratch, &expected);
	levels_add_deltas(scratch, &expected, 3);
	const struct table *table = scratch_table(scratch, "t");
	struct hash_range range = {0};
	uint64_t deltas = 0;
	for (size_t i = 2; deltas == 0 && i < table->levels[0]->file_count; i++) {
		range = table_range(table, i);
		deltas = table_range_delta_bytes(table, &range);
	}
	assert_true(deltas > 0);
	struct base_set *set = table->bases;
	scratch_mark(set->segments[base_set_find(set, range.first)], BASE_PAGE_DAMAGED,
		BASE_DAMAGED);
	snapshot_end(scratch->store);
	assert_int_equal(store_merge_full(scratch->store, NULL, &result, &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "table 't'"));
	table = scratch_table(scratch, "t");
	assert_true(table->level_count > 1);
	assert_int_equal(table_range_delta_bytes(table, &range), deltas);
	assert_true(table_range_is_damaged(table, 0, &range));
	for (size_t i = 1; i < table->level_count; i++) {
		for (size_t j = 0; j < table->levels[i]->file_count; j++) {
			assert_true(range_has_file(&range, &table->levels[i]->files[j]));
		}
	}
	for (uint64_t key = 0; key < KEYS; key++) {
		const uint64_t hash = siphash_u64(&scratch_seed, key);
		if (hash < range.first || hash > range.last) {
			assert_int_equal(scratch_version_in(scratch, table, key),
				expected.versions[key]);
		}
	}
	snapshot_end(scratch->store);
	/* What is much for the sound ranges is asked of them alone: none of them has anything left. */
	assert_int_equal(take_in(scratch, SIZE_MAX, STATUS_CORRUPT), 0);
	scratch_reopen(scratch); /* the file is sound */
	levels_expect(scratch, &expected);
	(void)levels_merge_full(scratch);
	assert_int_equal(levels_count_levels(scratch), 1);
	levels_expect(scratch, &expected);
}

/* ---- ranges that are cut anew ---- */

/* A delta was written above a base of one file, which is cut into ranges since, and newer ones above these. */
static void a_base_is_cut_anew_below_its_deltas(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	reopen_with(scratch, 1 << 20, EVER);
	levels_make_one_range(scratch, &expected);
	levels_add_deltas(scratch, &expected, 2);
	assert_int_equal(files_of(scratch, true), 1);
	for (uint64_t bytes = 65536; bytes >= 16384; bytes /= 4) {
		const size_t before = files_of(scratch, true);
		reopen_with(scratch, bytes, EVER);
		levels_put(scratch, &expected, 400, 300, 3);
		(void)levels_merge(scratch);
		assert_int_equal(take_in(scratch, 1, STATUS_OK), 1);
		assert_true(files_of(scratch, true) > before);
		levels_put(scratch, &expected, 500, 300, 4);
		levels_put(scratch, &expected, 500, 10, 0);
		(void)levels_merge(scratch); /* finer than the delta before, where there is one */
		levels_expect(scratch, &expected);
	}
	while (take_in(scratch, 1, STATUS_OK) > 0) {
		levels_expect(scratch, &expected);
	}
	assert_int_equal(levels_count_levels(scratch), 1);
}

/* ---- rows that have expired ---- */

enum { HOUR_MS = 3600 * 1000, TIMED_KEYS = 400 };

static void put_at(struct scratch *scratch, uint64_t key, int64_t time_ms)
{
	float row[SCRATCH_DIM];
	struct error err = {0};
	struct write_result result;
	struct write_ticket *ticket;
	scratch_row(key, 1, row);
	const struct table_write part = {
		.table = "ttl",
		.batch = {.keys = {KEY_U64, 1, (const uint8_t *)&key, NULL},
			.dtype = DTYPE_F32,
			.rows = (const uint8_t *)row,
			.rows_bytes = sizeof row,
			.times = (const uint8_t *)&time_ms},
	};
	const struct row_write put = {.release = "r1",
		.parts = &part,
		.part_count = 1,
		.now_ms = time_ms};
	scratch_must(store_put(scratch->store, &put, &result, &ticket, &err), &err);
	scratch_must(store_write_wait(ticket, &err), &err);
}

/* One row of many has expired: the range that it is in is written anew, and no other. */
static void an_expired_row_costs_its_range(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	const int64_t now_ms = clock_unix_ms();
	reopen_with(scratch, 8192, EVER);
	struct table_spec spec = scratch_spec("ttl", DTYPE_F32, KEY_U64, SCRATCH_DIM);
	spec.ttl_ms = HOUR_MS;
	scratch_release(scratch, "r1");
	scratch_must(store_table_create(scratch->store, "r1", &spec, NULL, &err), &err);
	scratch_seal(scratch, "r1");
	for (uint64_t key = 0; key < TIMED_KEYS; key++) {
		put_at(scratch, key, key == 7 ? now_ms - 60000 : now_ms);
	}
	(void)levels_merge(scratch);
	const struct table *table = scratch_table(scratch, "ttl");
	const uint64_t number = table->number;
	const size_t files = table->levels[0]->file_count;
	const uint64_t first_new = table->next_file;
	assert_int_equal(table->rows, TIMED_KEYS);
	assert_true(files > 4);
	snapshot_end(scratch->store);
	const struct range_wish wish = {.share = EVER, .expired = true, .most = SIZE_MAX};
	/* Half a minute after the hour in which an expired row stays. */
	const int64_t clock_ms = now_ms + 2 * (int64_t)HOUR_MS - 30000;
	assert_int_equal(merge_wish(scratch, number, &wish, clock_ms, STATUS_OK), 1);
	table = scratch_table(scratch, "ttl");
	size_t anew = 0;
	for (size_t i = 0; i < table->levels[0]->file_count; i++) {
		anew += table->levels[0]->files[i].number >= first_new;
	}
	assert_true(anew > 0 && anew < files / 2);
	assert_int_equal(table->rows, TIMED_KEYS - 1);
	snapshot_end(scratch->store);
	assert_int_equal(merge_wish(scratch, number, &wish, clock_ms, STATUS_OK), 0);
}

/* ---- by itself ---- */

/* While the daemon has nothing else to do, bases take in deltas until these are few enough. */
static void ranges_are_merged_by_themselves(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	const struct timespec pause = {.tv_nsec = 1000000};
	make_ranges(scratch, &expected);
	scratch_close(scratch);
	scratch->sizes.deltas_share = 1500;
	scratch->sizes.delta_share = EVER;
	scratch->write.merge_age_ms = 1;
	scratch_open(scratch);
	uint64_t above = 1;
	bool mixed = false;
	for (uint32_t version = 2; version < 20; version++) {
		levels_put(scratch, &expected, version * 37 % 700, 300, version);
		above = 1;
		for (int i = 0; above > 0 && i < 10000; i++) {
			(void)nanosleep(&pause, NULL);
			const struct table *table = scratch_table(scratch, "t");
			const uint64_t base = table->levels[0]->bytes;
			const bool waits = !memtable_is_empty(table->memtable);
			above = waits || merge_deltas_are_above(table->bytes - base, base, 1500);
			mixed = mixed ||
				(table->level_count > 1 && table->levels[1]->file_count <
								   table->levels[0]->file_count);
			snapshot_end(scratch->store);
		}
		assert_int_equal(above, 0);
		levels_expect(scratch, &expected);
	}
	assert_true(mixed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, levels_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_range_is_a_change_of_its_own),
		TEST(deltas_are_merged_while_ranges_have_used_them_up),
		TEST(a_delta_takes_in_newer_ones_by_range),
		TEST(small_ranges_of_deltas_go_together),
		TEST(a_damaged_range_costs_itself_only),
		TEST(a_damaged_range_of_deltas_keeps_room_from_being_made),
		TEST(a_base_is_cut_anew_below_its_deltas),
		TEST(an_expired_row_costs_its_range),
		TEST(ranges_are_merged_by_themselves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
