/* test_merge_tables.c - a merge of some tables leaves the others as they are; what was written to any of them is merged
 * before a base takes in deltas, and between its ranges. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/memtable/memtable_merge.h"
#include "daemon/store/merge/merger.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/level_range.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/write/write_figures.h"
#include "daemon/store/write/writer.h"
#include "tests/unit/store/levels_fixture.h"
#include "tests/unit/wait.h"

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static enum status merge(struct scratch *scratch, const char *release, const char *table, bool full,
	struct error *err)
{
	struct merge_result result;
	struct table_name name = {0};
	struct merge_tables which = {.release = release, .names = &name, .full = full};
	if (table != NULL) {
		(void)strncpy(name.text, table, sizeof name.text - 1);
		which.count = 1;
	}
	return store_merge_tables(scratch->store, &which, NULL, &result, err);
}

/* Whether all that was written to a release's table is in files. */
static bool is_merged(struct scratch *scratch, const char *release)
{
	struct error err = {0};
	const struct release *found = NULL;
	const struct table *table = NULL;
	const struct snapshot *snapshot = snapshot_begin(scratch->store);
	scratch_must(snapshot_release(snapshot, release, &found, &err), &err);
	scratch_must(release_table(found, "t", &table, &err), &err);
	const bool merged = memtable_is_empty(table->memtable);
	snapshot_end(scratch->store);
	return merged;
}

static void others_stay_as_they_are(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	struct error err = {0};
	levels_make(scratch, &expected);
	scratch_sealed(scratch, "r2", 0, 100, 1);
	for (uint32_t round = 2; round < 5; round++) {
		levels_put(scratch, &expected, UINT64_C(10) * round, 300, round);
		scratch_put(scratch, "r2", (struct scratch_rows){0, 50, round});
		scratch_must(merge(scratch, "r1", round == 2 ? NULL : "t", round == 4, &err), &err);
		assert_true(is_merged(scratch, "r1"));
		assert_false(is_merged(scratch, "r2"));
		assert_int_equal(levels_count_levels(scratch), round == 4 ? 1 : round);
		levels_expect(scratch, &expected);
		scratch_reopen(scratch); /* the log has what was not merged */
		levels_expect(scratch, &expected);
		scratch_expect(scratch, "r2", 0, 50, round);
		assert_false(is_merged(scratch, "r2"));
	}
	(void)levels_merge(scratch);
	assert_true(is_merged(scratch, "r2"));
	scratch_expect(scratch, "r2", 0, 50, 4);
	scratch_expect(scratch, "r2", 50, 50, 1);
}

static void what_there_is_not_is_said(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	struct error err = {0};
	levels_make(scratch, &expected);
	assert_int_equal(merge(scratch, "r1", "u", false, &err), STATUS_NOT_FOUND);
	assert_string_equal(err.text, "table: 'u' is not in release 'r1', which has 't'");
	assert_int_equal(merge(scratch, "r3", "t", false, &err), STATUS_NOT_FOUND);
	assert_non_null(strstr(err.text, "'r3'"));
	scratch_release(scratch, "r2");
	assert_int_equal(merge(scratch, "r2", NULL, false, &err), STATUS_NOT_SEALED);
}

/* ---- in which order ---- */

/* What a merge that writes for table "t" of both releases has met. */
struct watch {
	struct scratch *scratch;
	unsigned
		of_second; /* segments that were written when only the second release had frozen rows */
	bool took_in;      /* the first had taken in its delta by then */
};

static bool look(struct scratch *scratch, const char *id, size_t *levels)
{
	struct error err = {0};
	const struct release *release = NULL;
	const struct table *table = NULL;
	const struct snapshot *snapshot = snapshot_begin(scratch->store);
	scratch_must(snapshot_release(snapshot, id, &release, &err), &err);
	scratch_must(release_table(release, "t", &table, &err), &err);
	const bool frozen = memtable_is_frozen(table->memtable);
	*levels = table->level_count;
	snapshot_end(scratch->store);
	return frozen;
}

static enum status on_segment(void *arg, uint64_t bytes, struct error *err)
{
	struct watch *watch = arg;
	size_t first_levels;
	size_t second_levels;
	const bool first = look(watch->scratch, "r1", &first_levels);
	const bool second = look(watch->scratch, "r2", &second_levels);
	(void)bytes;
	(void)err;
	watch->of_second += second && !first;
	watch->took_in = watch->took_in || (second && !first && first_levels == 1);
	return STATUS_OK;
}

static void freeze_all(struct scratch *scratch)
{
	struct store *store = scratch->store;
	writer_halt(store->writer);
	const struct snapshot *snapshot = snapshot_begin(store);
	for (size_t i = 0; i < snapshot->release_count; i++) {
		assert_true(memtable_freeze(snapshot->releases[i]->tables[0]->memtable,
			atomic_load(&store->visible)));
	}
	snapshot_end(store);
	writer_resume(store->writer);
}

static void what_was_written_comes_before_ranges(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	struct error err = {0};
	struct watch watch = {.scratch = scratch};
	struct merge_result result = {0};
	const struct merge_scope all = {0};
	bool left = false;
	levels_make_one_range(scratch, &expected);
	scratch_sealed(scratch, "r2", 0, 100, 1);
	levels_put(scratch, &expected, 10, 300, 2);
	scratch_put(scratch, "r2", (struct scratch_rows){0, 50, 2});
	freeze_all(scratch);
	const struct merge_job model = {
		.store = scratch->store,
		.cut = atomic_load(&scratch->store->visible),
		.clock_ms = INT64_MIN,
		.pace = on_segment,
		.hurry = on_segment,
		.pace_arg = &watch,
	};
	scratch_must(merge_tables(&model, &all, MERGE_FULL, &result, &left, &err), &err);
	assert_false(left);
	assert_true(watch.of_second > 0);
	assert_false(watch.took_in);
	assert_int_equal(result.tables, 2);
	assert_int_equal(levels_count_levels(scratch), 1);
	levels_expect(scratch, &expected);
	scratch_expect(scratch, "r2", 0, 50, 2);
	scratch_expect(scratch, "r2", 50, 50, 1);
}

/* ---- what is let in between ranges ---- */

/* A base of several ranges, with deltas above it. */
static size_t make_ranges(struct scratch *scratch, struct expected *expected)
{
	scratch_close(scratch);
	scratch->sizes.segment_bytes = 4096;
	scratch->sizes.range_bytes = 8192;
	scratch_open(scratch);
	levels_make(scratch, expected);
	levels_add_deltas(scratch, expected, 4);
	const size_t ranges = scratch_table(scratch, "t")->levels[0]->file_count;
	snapshot_end(scratch->store);
	assert_true(ranges >= 8);
	return ranges;
}

static uint64_t ranges_written(const struct scratch *scratch)
{
	return atomic_load(&scratch->store->merge_steps.of[MERGE_STEP_RANGE].count);
}

/* A merge of all ranges, which lets others in. */
struct host {
	struct scratch *scratch;
	struct expected *expected;
	struct merge_job model;
	unsigned asked; /* how often */
	bool drops;     /* the release goes then, too */
};

static enum status on_piece(void *arg, uint64_t bytes, struct error *err)
{
	(void)arg;
	(void)bytes;
	(void)err;
	return STATUS_OK;
}

static enum status merge_model(const struct host *host, enum merge_reason reason,
	struct merge_result *result, struct error *err)
{
	const struct merge_scope all = {0};
	struct merge_job model = host->model;
	bool left = false;
	freeze_all(host->scratch);
	model.cut = atomic_load(&host->scratch->store->visible);
	model.let_in = reason == MERGE_DUE ? NULL : model.let_in;
	const enum status status = merge_tables(&model, &all, reason, result, &left, err);
	assert_false(left);
	return status;
}

static void on_range(void *arg)
{
	enum { GUEST = 4 };
	struct host *host = arg;
	struct error err = {0};
	struct merge_result result = {0};
	if (++host->asked != GUEST) {
		return;
	}
	levels_put(host->scratch, host->expected, 0, 700, 9);
	levels_put(host->scratch, host->expected, 300, 50, 0);
	scratch_must(merge_model(host, MERGE_DUE, &result, &err), &err);
	assert_int_equal(result.tables, 1);
	assert_true(is_merged(host->scratch, "r1"));
	if (host->drops) {
		scratch_must(store_release_drop(host->scratch->store, "r1", &err), &err);
	}
}

static struct host host_of(struct scratch *scratch, struct expected *expected)
{
	return (struct host){.scratch = scratch,
		.expected = expected,
		.model = {.store = scratch->store,
			.clock_ms = INT64_MIN,
			.pace = on_piece,
			.hurry = on_piece,
			.let_in = on_range}};
}

static void each_range_is_written_once_whatever_is_let_in(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	struct error err = {0};
	struct merge_result result = {0};
	const size_t ranges = make_ranges(scratch, &expected);
	struct host host = host_of(scratch, &expected);
	const uint64_t before = ranges_written(scratch);
	host.model.pace_arg = &host;
	levels_put(scratch, &expected, 0, 1, 5);
	scratch_must(merge_model(&host, MERGE_FULL, &result, &err), &err);
	assert_int_equal(host.asked, ranges + 1);
	assert_int_equal(ranges_written(scratch) - before, ranges);
	assert_int_equal(result.tables, 1);
	assert_int_equal(levels_count_levels(scratch), 2); /* what came in between */
	levels_expect(scratch, &expected);
	scratch_reopen(scratch);
	levels_expect(scratch, &expected);
}

static void a_release_may_be_dropped_between_ranges(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	struct error err = {0};
	struct merge_result result = {0};
	(void)make_ranges(scratch, &expected);
	struct host host = host_of(scratch, &expected);
	host.model.pace_arg = &host;
	host.drops = true;
	levels_put(scratch, &expected, 0, 1, 5);
	scratch_must(merge_model(&host, MERGE_FULL, &result, &err), &err);
	assert_int_equal(result.tables, 0);
	assert_string_equal(scratch->events, "");
}

static void *merge_all(void *arg)
{
	struct scratch *scratch = arg;
	(void)levels_merge_full(scratch);
	return NULL;
}

/* More rows than a memtable may hold are put while a merge of all ranges writes as slowly as it may. */
static void writers_do_not_wait_for_a_merge_of_all_ranges(void **state)
{
	enum { ROUNDS = 4, BOUND = 800 };
	struct scratch *scratch = *state;
	struct expected expected;
	struct wait wait = {0};
	pthread_t thread;
	(void)make_ranges(scratch, &expected);
	scratch_close(scratch);
	scratch->write.merge_rate = 1;
	scratch->write.memtable_rows = BOUND;
	scratch_open(scratch);
	assert_int_equal(pthread_create(&thread, NULL, merge_all, scratch), 0);
	while (atomic_load(&scratch->store->merge_steps.of[MERGE_STEP_RANGE].bytes) == 0) {
		wait_a_moment(&wait);
	}
	for (uint32_t round = 0; round < ROUNDS; round++) {
		levels_put(scratch, &expected, UINT64_C(100) * round, BOUND / 2, 10 + round);
	}
	(void)levels_merge(scratch); /* the other one must hurry for it */
	(void)pthread_join(thread, NULL);
	/* What was written came before the last range. */
	const struct table *table = scratch_table(scratch, "t");
	uint64_t last = 0;
	for (size_t i = 0; i < table->levels[0]->file_count; i++) {
		const uint64_t number = table->levels[0]->files[i].number;
		last = number > last ? number : last;
	}
	const bool came_before = table->level_count > 1 && table->levels[1]->files[0].number < last;
	snapshot_end(scratch->store);
	assert_true(came_before);
	levels_expect(scratch, &expected);
}

/* ---- merges that do not keep up ---- */

/* What is left to write of table "t". */
static void look_at_left(struct scratch *scratch, uint64_t left[MERGE_STEPS])
{
	struct store *store = scratch->store;
	memset(left, 0, MERGE_STEPS * sizeof *left);
	store_lock_admin(store);
	const struct merge_job job = {
		.store = store,
		.table = store_current(store)->releases[0]->tables[0],
	};
	merge_expect(&job, scratch->sizes.deltas_share, left);
	store_unlock_admin(store);
}

static uint64_t bytes_written(const struct scratch *scratch, enum merge_step step)
{
	return atomic_load(&scratch->store->merge_steps.of[step].bytes);
}

static void what_is_left_to_write_is_known(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	struct error err = {0};
	uint64_t left[MERGE_STEPS];
	bool merged = true;
	const size_t count = make_ranges(scratch, &expected);
	scratch->sizes.deltas_share = 500;
	scratch_reopen(scratch);
	struct host host = host_of(scratch, &expected);
	const struct table *table = scratch_table(scratch, "t");
	const uint64_t of_range = table_range_bytes(table, 0, &hash_range_all) / count;
	snapshot_end(scratch->store);
	look_at_left(scratch, left);
	const uint64_t expected_count = left[MERGE_STEP_RANGE] / of_range;
	assert_int_equal(left[MERGE_STEP_DELTA], 0);
	assert_int_equal(left[MERGE_STEP_TIER], 0);
	while (merged) {
		scratch_must(merge_next_range(&host.model, &merged, &err), &err);
	}
	assert_true(ranges_written(scratch) > 1);
	assert_true(ranges_written(scratch) < count - 1);
	assert_in_range(expected_count, ranges_written(scratch) - 1, ranges_written(scratch) + 1);
	look_at_left(scratch, left);
	assert_int_equal(left[MERGE_STEP_RANGE], 0);
	/* Frozen rows are written first, and with them there is more for ranges. */
	levels_put(scratch, &expected, 0, 700, 5);
	freeze_all(scratch);
	look_at_left(scratch, left);
	assert_true(left[MERGE_STEP_DELTA] > 0);
	assert_true(left[MERGE_STEP_RANGE] > 0);
	assert_int_equal(left[MERGE_STEP_BASE], 0);
}

static uint64_t count_merges(const struct scratch *scratch)
{
	struct write_figures figures = {0};
	merger_figures(scratch->store->merger, &figures);
	return figures.merges;
}

/* More is put at once than a merge that keeps up would find. */
static void a_merge_that_is_late_hurries_and_leaves_room_for_the_next(void **state)
{
	enum { BOUND = 1000, LATE = BOUND * SLOWING_LATE / 1000 };
	struct scratch *scratch = *state;
	struct expected expected;
	struct wait wait = {0};
	(void)make_ranges(scratch, &expected);
	scratch_close(scratch);
	scratch->write.merge_rate = 1;
	scratch->write.memtable_rows = BOUND;
	scratch_open(scratch);
	const uint64_t deltas_max = scratch->store->options.sizes.deltas_max;
	assert_true(levels_count_levels(scratch) < deltas_max);
	for (uint32_t round = 0; round <= deltas_max; round++) {
		const uint64_t merges = count_merges(scratch);
		levels_put(scratch, &expected, UINT64_C(50) * round, LATE, 10 + round);
		while (count_merges(scratch) == merges) {
			wait_a_moment(&wait);
		}
		assert_true(levels_count_levels(scratch) <= deltas_max);
	}
	assert_true(bytes_written(scratch, MERGE_STEP_TIER) > 0);
	levels_expect(scratch, &expected);
}

static void *put_much(void *arg)
{
	struct host *host = arg;
	grace_register();
	levels_put(host->scratch, host->expected, 0, 800, 9);
	grace_unregister();
	return NULL;
}

static void who_fills_the_memtables_is_slowed_until_they_are_merged(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	struct wait wait = {0};
	pthread_t thread;
	levels_make(scratch, &expected);
	scratch_close(scratch);
	scratch->write.memtable_rows = 1000;
	scratch_open(scratch);
	struct store *store = scratch->store;
	struct host host = host_of(scratch, &expected);
	levels_put(scratch, &expected, 0, 100, 8);
	assert_int_equal(atomic_load(&store->writer->slowed), 0);
	store_lock_admin(store); /* no merge goes on */
	assert_int_equal(pthread_create(&thread, NULL, put_much, &host), 0);
	while (atomic_load(&store->writer->slowed) == 0) {
		wait_a_moment(&wait);
	}
	store_unlock_admin(store);
	(void)pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&store->writer->room_waits), 0);
	levels_expect(scratch, &expected);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, levels_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(others_stay_as_they_are),
		TEST(what_there_is_not_is_said),
		TEST(what_was_written_comes_before_ranges),
		TEST(each_range_is_written_once_whatever_is_let_in),
		TEST(a_release_may_be_dropped_between_ranges),
		TEST(writers_do_not_wait_for_a_merge_of_all_ranges),
		TEST(what_is_left_to_write_is_known),
		TEST(a_merge_that_is_late_hurries_and_leaves_room_for_the_next),
		TEST(who_fills_the_memtables_is_slowed_until_they_are_merged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
