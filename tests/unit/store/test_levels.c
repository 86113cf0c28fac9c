/* test_levels.c - tables with one to eight levels: what is found in them, and what leaves when levels are
 * merged. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/backup/export.h"
#include "daemon/store/figures.h"
#include "daemon/store/read/lookup.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/level_filter.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/state/state.h"
#include "daemon/store/store.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/verify/verify.h"
#include "daemon/store/write/write.h"
#include "tests/unit/store/levels_fixture.h"
#include "tests/unit/store/observe_fixture.h"
#include "tests/unit/store/scratch.h"

#include <setjmp.h>
#include <time.h>

#include <cmocka.h>

enum { HOUR_MS = 3600 * 1000 };

/* ---- any number of levels ---- */

static void every_number_of_levels_is_one_table(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	levels_make(scratch, &expected);
	for (uint32_t last = 1; last <= TABLE_LEVELS_MAX; last++) {
		const uint64_t from = last;
		levels_put(scratch, &expected, from * 50, 300, last);
		levels_put(scratch, &expected, KEYS / 2 + from * 40, 60, last);
		levels_put(scratch, &expected, from * 90, 20, 0);
		levels_expect(scratch, &expected);
		if (last > 1) {
			(void)levels_merge(scratch);
			assert_int_equal(levels_count_levels(scratch), last);
			levels_expect(scratch, &expected);
			scratch_reopen(scratch);
			levels_expect(scratch, &expected);
		} else {
			(void)levels_merge_full(scratch); /* what was written goes into the base */
			assert_int_equal(levels_count_levels(scratch), 1);
		}
	}
}

/* Also where deltas were merged with deltas, and where ranges of the base have taken some of them in. */
static void rows_are_counted_once(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	struct store_figures figures;
	levels_make(scratch, &expected);
	levels_add_deltas(scratch, &expected, TABLE_LEVELS_MAX + 4);
	levels_expect(scratch, &expected);
	assert_true(levels_are_counted(scratch));
	scratch_reopen(scratch);
	levels_expect(scratch, &expected); /* the catalog has kept it */
	assert_true(levels_are_counted(scratch));
	(void)levels_merge_full(scratch);
	levels_expect(scratch, &expected);
	store_figures(scratch->store, &figures);
	assert_true(figures.rows_exact);
}

/* Nobody reads a base for a figure: of what was away, or damaged, when a delta was written there are at most so many
 * rows. */
static void what_cannot_be_looked_at_is_not_counted(void **state)
{
	static const enum base_page_state states[] = {BASE_PAGE_AWAY, BASE_PAGE_DAMAGED};
	struct scratch *scratch = *state;
	struct expected expected;
	scratch_close(scratch);
	scratch->sizes.look_ms = HOUR_MS; /* or the janitor would read it */
	scratch->sizes.first_look_ms = HOUR_MS;
	scratch_open(scratch);
	levels_make(scratch, &expected);
	for (size_t i = 0; i < 2; i++) {
		levels_put(scratch, &expected, 100 * i, 200, 2);
		const struct base_set *base = scratch_table(scratch, "t")->bases;
		for (size_t j = 0; j < base->segment_count; j++) {
			scratch_mark(base->segments[j], states[i],
				i == 0 ? BASE_AWAY : BASE_DAMAGED);
		}
		snapshot_end(scratch->store);
		(void)levels_merge(scratch);
		const struct table *table = scratch_table(scratch, "t");
		assert_int_equal(table->level_count, 2 + i);
		assert_false(table->levels[1 + i]->is_counted);
		snapshot_end(scratch->store);
	}
	scratch_reopen(scratch); /* the files are sound */
	levels_expect(scratch, &expected);
	assert_false(levels_are_counted(scratch));
	(void)levels_merge_full(scratch);
	levels_expect(scratch, &expected);
	assert_true(levels_are_counted(scratch));
}

/* Each of the files that merges write is counted with what it became. */
static void steps_of_merges_are_counted(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	struct store_figures figures;
	uint64_t bytes = 0;
	levels_make(scratch, &expected);
	levels_add_deltas(scratch, &expected, TABLE_LEVELS_MAX + 1);
	store_figures(scratch->store, &figures);
	const struct merge_step_figures *steps = figures.write.steps;
	assert_int_equal(steps[MERGE_STEP_DELTA].count, TABLE_LEVELS_MAX);
	assert_true(steps[MERGE_STEP_TIER].count > 0);
	assert_int_equal(steps[MERGE_STEP_RANGE].count + steps[MERGE_STEP_BASE].count, 0);
	(void)levels_merge_full(scratch);
	store_figures(scratch->store, &figures);
	assert_true(steps[MERGE_STEP_RANGE].count > 0);
	assert_int_equal(steps[MERGE_STEP_BASE].count + steps[MERGE_STEP_REPAIR].count, 0);
	for (size_t i = 0; i < MERGE_STEPS; i++) {
		assert_int_equal(steps[i].count > 0, steps[i].bytes > 0);
		assert_int_equal(steps[i].count > 0, steps[i].ns > 0);
		bytes += steps[i].bytes;
	}
	assert_int_equal(bytes, figures.write.merge_bytes);
}

/* A merge writes what was put, whatever the table holds. */
static void a_merge_costs_what_changed(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	levels_make_one_range(scratch, &expected);
	levels_put(scratch, &expected, 10, 5, 2);
	levels_put(scratch, &expected, 20, 3, 0);
	const struct merge_result result = levels_merge(scratch);
	const struct table *table = scratch_table(scratch, "t");
	assert_int_equal(result.rows, 8);
	assert_int_equal(table->level_count, 2);
	assert_int_equal(table->levels[1]->rows, 5);
	assert_int_equal(table->levels[1]->deleted, 3);
	assert_int_equal(result.bytes, table->levels[1]->bytes);
	assert_true(table->levels[1]->bytes < table->levels[0]->bytes / 2);
	snapshot_end(scratch->store);
}

/* The key of a row that no level has asks the base alone, but for the few that share a bucket. */
static void the_filter_names_the_deltas_that_have_a_key(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	levels_make(scratch, &expected);
	levels_add_deltas(scratch, &expected, 4);
	const struct table *table = scratch_table(scratch, "t");
	const struct level_filter *filter = atomic_load(&table->filter);
	assert_non_null(filter); /* the merge has made it */
	uint32_t strays = 0;
	for (uint64_t key = 0; key < KEYS; key++) {
		const uint64_t hash = siphash_u64(&scratch_seed, key);
		const uint8_t named = *level_filter_at(filter, hash);
		for (size_t i = 1; i < table->level_count; i++) {
			const struct find find = {
				.set = table->levels[i]->set,
				.keys = &(struct keys){KEY_U64, 1, (const uint8_t *)&key, NULL},
				.hashes = &hash,
				.may_block = true,
			};
			struct found_row found;
			assert_int_equal(find_rows(&find, 0, 1, &found), STATUS_OK);
			assert_true(found.segment == NULL || (named & 1u << i) != 0);
			strays += found.segment == NULL && (named & 1u << i) != 0;
		}
	}
	assert_true(strays < KEYS * 3 / 10);
	snapshot_end(scratch->store);
}

/* ---- deltas that become one, and a base ---- */

static void an_eighth_delta_is_merged_with_others(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	levels_make(scratch, &expected);
	levels_add_deltas(scratch, &expected, 8);
	assert_int_equal(levels_count_levels(scratch), 8);
	levels_put(scratch, &expected, 0, 30, 0);
	levels_put(scratch, &expected, 30, 30, 9);
	(void)levels_merge(scratch);
	const struct table *table = scratch_table(scratch, "t");
	assert_true(table->level_count > 1 && table->level_count < 8);
	assert_true(table->levels[table->level_count - 1]->deleted > 0); /* they still hide rows */
	snapshot_end(scratch->store);
	levels_expect(scratch, &expected);
	scratch_reopen(scratch);
	levels_expect(scratch, &expected);
}

static size_t count_files(struct scratch *scratch)
{
	char path[PATH_MAX];
	scratch_path(scratch, path, "releases/1");
	return scratch_count(path, "base-");
}

static void wait_for_files(struct scratch *scratch, size_t count)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	for (int i = 0; i < 10000 && count_files(scratch) != count; i++) {
		(void)nanosleep(&pause, NULL);
	}
	assert_int_equal(count_files(scratch), count);
}

static void a_full_merge_leaves_a_base_and_nothing_else(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	levels_make(scratch, &expected);
	levels_add_deltas(scratch, &expected, 5);
	const uint64_t next_file = scratch_table(scratch, "t")->next_file;
	snapshot_end(scratch->store);
	const struct merge_result result = levels_merge_full(scratch);
	const struct table *table = scratch_table(scratch, "t");
	assert_int_equal(result.tables, 1);
	assert_int_equal(result.rows, table->rows);
	assert_int_equal(table->level_count, 1);
	assert_int_equal(table->levels[0]->number, 0);
	assert_int_equal(table->levels[0]->deleted, 0);
	for (size_t i = 0; i < table_file_count(table); i++) {
		assert_true(table_file(table, i)->number >= next_file); /* none is used again */
	}
	const size_t files = table_file_count(table);
	snapshot_end(scratch->store);
	levels_expect(scratch, &expected);
	wait_for_files(scratch, files);
	assert_int_equal(levels_merge_full(scratch).tables, 0);
	scratch_reopen(scratch);
	levels_expect(scratch, &expected);
}

/* By its thresholds a table becomes a base again by itself. */
static void deltas_that_no_longer_pay_go_into_the_base(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	levels_make_one_range(scratch, &expected);
	scratch_close(scratch);
	scratch->sizes.delta_share = 500;
	scratch->sizes.deltas_share = 600;
	scratch_open(scratch);
	levels_put(scratch, &expected, 0, 200, 2);
	(void)levels_merge(scratch);
	assert_int_equal(levels_count_levels(scratch), 2);
	levels_put(scratch, &expected, 100, 200, 3);
	(void)levels_merge(scratch);
	assert_int_equal(levels_count_levels(scratch), 3);
	levels_put(scratch, &expected, 200, 200, 4);
	(void)levels_merge(scratch);
	assert_int_equal(levels_count_levels(scratch), 1); /* three of them were too much */
	levels_put(scratch, &expected, 0, 900, 5);
	(void)levels_merge(scratch);
	assert_int_equal(levels_count_levels(scratch), 1); /* and so is one of this size */
	levels_expect(scratch, &expected);
	scratch_close(scratch);
	scratch->sizes.delta_base_min = 0; /* 32 MiB */
	scratch_open(scratch);
	levels_put(scratch, &expected, 0, 1, 6);
	(void)levels_merge(scratch);
	assert_int_equal(levels_count_levels(scratch), 1); /* a small table is written anew */
	levels_expect(scratch, &expected);
}

/* A long reader that began before all merges reads on, and files go when it ends. */
static void levels_stay_as_long_as_a_reader_needs_them(void **state)
{
	struct scratch *scratch = *state;
	struct expected before;
	struct expected expected;
	levels_make(scratch, &before);
	levels_add_deltas(scratch, &before, 3);
	expected = before;
	struct store *store = scratch->store;
	const struct snapshot *snapshot = snapshot_begin_long(store, "r1");
	assert_non_null(snapshot);
	const size_t files = count_files(scratch);
	snapshot_end(store);

	store_lock_admin(store);
	struct pin *pin = store_hold(store);
	store_unlock_admin(store);
	assert_non_null(pin);
	levels_put(scratch, &expected, 0, 300, 7);
	(void)levels_merge(scratch); /* shares all levels */
	const size_t of_delta = count_files(scratch) - files;
	levels_put(scratch, &expected, 50, 300, 0);
	(void)levels_merge_full(scratch); /* none of them is needed any more, but for the pin */
	const struct table *table = scratch_table(scratch, "t");
	const size_t now = table_file_count(table);
	snapshot_end(store);
	levels_expect(scratch, &expected);
	/* The two deltas that came and went wait with them. */
	wait_for_files(scratch, files + 2 * of_delta + now);
	store_let_go(store, pin);
	levels_put(scratch, &expected, 1, 1, 8); /* a merge has work for the janitor */
	(void)levels_merge_full(scratch);
	(void)levels_merge_full(scratch);
	table = scratch_table(scratch, "t");
	const size_t last = table_file_count(table);
	snapshot_end(store);
	wait_for_files(scratch, last);
	levels_expect(scratch, &expected);
}

/* ---- expired rows ---- */

static void put_timed(struct scratch *scratch, uint64_t key, int64_t age_ms)
{
	float row[SCRATCH_DIM];
	struct error err = {0};
	struct write_result result;
	struct write_ticket *ticket;
	const int64_t now_ms = clock_unix_ms();
	const int64_t time_ms = now_ms - age_ms;
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
		.now_ms = now_ms};
	scratch_must(store_put(scratch->store, &put, &result, &ticket, &err), &err);
	scratch_must(store_write_wait(ticket, &err), &err);
}

static enum why why_of(struct scratch *scratch, uint64_t key)
{
	float row[SCRATCH_DIM];
	uint8_t found;
	uint8_t why;
	struct error err = {0};
	struct lookup lookup = {
		.table = scratch_table(scratch, "ttl"),
		.keys = {KEY_U64, 1, (const uint8_t *)&key, NULL},
		.dtype = DTYPE_F32,
		.visible = store_visible(scratch->store),
		.now_ms = clock_unix_ms(),
		.may_block = true,
		.rows = (uint8_t *)row,
		.found = &found,
		.why = &why,
	};
	scratch_must(table_lookup(&lookup, &err), &err);
	snapshot_end(scratch->store);
	return why;
}

/* A put of an older time is above a row that is still good: that one must not come back, neither when the
 * upper one has expired nor when it is removed. */
static void an_expired_row_hides_the_row_below_it(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct table_spec spec = scratch_spec("ttl", DTYPE_F32, KEY_U64, SCRATCH_DIM);
	spec.ttl_ms = HOUR_MS;
	scratch_release(scratch, "r1");
	scratch_must(store_table_create(scratch->store, "r1", &spec, NULL, &err), &err);
	scratch_seal(scratch, "r1");
	for (uint64_t key = 1; key <= 3; key++) {
		put_timed(scratch, key, 0);
	}
	(void)levels_merge(scratch); /* the base */
	put_timed(scratch, 1,
		HOUR_MS + HOUR_MS / 2); /* expired, but by another clock it may not be */
	put_timed(scratch, 2, INT64_C(5) * HOUR_MS); /* expired for good: a tombstone */
	bool asked = false;
	for (int round = 0; round < 3; round++) {
		assert_int_equal(why_of(scratch, 1), WHY_EXPIRED);
		assert_int_equal(why_of(scratch, 2), asked ? WHY_ABSENT : WHY_EXPIRED);
		assert_int_equal(why_of(scratch, 3), WHY_FOUND);
		(void)levels_merge(scratch);
		asked = true;
		const struct table *table = scratch_table(scratch, "ttl");
		assert_int_equal(table->level_count, round < 2 ? 2 : 3);
		snapshot_end(scratch->store);
		if (round == 1) {
			put_timed(scratch, 3, 0);
		}
		if (round == 0) {
			scratch_reopen(scratch);
		}
	}
	(void)levels_merge_full(scratch);
	const struct table *table = scratch_table(scratch, "ttl");
	assert_int_equal(table->level_count, 1);
	assert_int_equal(table->rows, 2); /* 1 has not expired for an hour yet */
	snapshot_end(scratch->store);
	assert_int_equal(why_of(scratch, 1), WHY_EXPIRED);
	assert_int_equal(why_of(scratch, 2), WHY_ABSENT);
	assert_int_equal(why_of(scratch, 3), WHY_FOUND);
}

/* ---- what else knows files ---- */

static void sums_go_on_through_levels(void **state)
{
	struct scratch *scratch = *state;
	scratch_close(scratch);
	scratch->sizes.delta_base_min = 1;
	scratch->sizes.delta_share = EVER;
	scratch->sizes.deltas_share = EVER;
	scratch_open(scratch);
	for (uint64_t i = 0; i < 12; i++) {
		samples_send(scratch, i * 150, 150, 150);
		if (i % 2 == 0) {
			samples_merge(scratch);
		}
		if (i % 5 == 4) {
			scratch_reopen(scratch); /* the replay adds to states of deltas */
		}
		samples_expect(scratch, 0, (i + 1) * 150);
	}
	(void)levels_merge_full(scratch);
	samples_expect(scratch, 0, UINT64_C(12) * 150);
}

static void a_release_goes_elsewhere_with_its_levels(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	struct error err = {0};
	levels_make(scratch, &expected);
	levels_add_deltas(scratch, &expected, 4);
	const struct backup_wish wish = {.dir = "out", .dir_len = 3};
	const struct name name = {.text = "r2"};
	const struct adopt_wish adopt = {.dir = "out", .dir_len = 3, .id = &name};
	struct export_result exported;
	struct adopt_result adopted;
	scratch_must(store_export(scratch->store, "r1", &wish, NULL, &exported, &err), &err);
	scratch_must(store_adopt(scratch->store, &adopt, NULL, &adopted, &err), &err);
	for (uint64_t key = 0; key < KEYS; key++) {
		assert_int_equal(scratch_version(scratch, "r2", key), expected.versions[key]);
	}
	struct verify_result verified;
	const struct verify_wish all = {.keys = 1};
	scratch_must(store_verify(scratch->store, &all, NULL, &verified, &err), &err);
	assert_int_equal(verified.damaged, 0);
	scratch_publish(scratch, "r2");
	scratch_reopen(scratch);
	levels_expect(scratch, &expected);
	for (uint64_t key = 0; key < KEYS; key++) {
		assert_int_equal(scratch_version(scratch, "r2", key), expected.versions[key]);
	}
	uint64_t rows = 0;
	for (uint32_t key = 0; key < KEYS; key++) {
		rows += expected.versions[key] != 0;
	}
	struct store_figures figures;
	store_figures(scratch->store, &figures);
	assert_true(figures.rows_exact);
	assert_int_equal(figures.rows, 2 * rows);
	const size_t files = count_files(scratch);
	scratch_must(store_verify(scratch->store, &all, NULL, &verified, &err), &err);
	assert_int_equal(verified.damaged, 0);
	assert_true(verified.files > files); /* those of both releases */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, levels_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rows_are_counted_once),
		TEST(what_cannot_be_looked_at_is_not_counted),
		TEST(steps_of_merges_are_counted),
		TEST(every_number_of_levels_is_one_table),
		TEST(a_merge_costs_what_changed),
		TEST(the_filter_names_the_deltas_that_have_a_key),
		TEST(an_eighth_delta_is_merged_with_others),
		TEST(a_full_merge_leaves_a_base_and_nothing_else),
		TEST(deltas_that_no_longer_pay_go_into_the_base),
		TEST(levels_stay_as_long_as_a_reader_needs_them),
		TEST(an_expired_row_hides_the_row_below_it),
		cmocka_unit_test_setup_teardown(sums_go_on_through_levels, samples_setup,
			scratch_teardown),
		TEST(a_release_goes_elsewhere_with_its_levels),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
