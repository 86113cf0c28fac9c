/* test_search_ranges.c - a table with an index whose base has several files: each has an index of its own, on axes that all share. When
 * the base takes a range in, that file and its index are others, and the rest stay; searches find what the model has all the time. */
#include "daemon/store/index/indexes.h"
#include "daemon/store/indexing/index_figures.h"
#include "daemon/store/indexing/indexer.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/merge/merge_range.h"
#include "daemon/store/merge/merger.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/level_range.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/grace.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/search/search_fixture.h"
#include "tests/unit/store/scratch.h"
#include "tests/unit/wait.h"

enum {
	EVER = 1000000, /* thousandths of the base */
	RANGES = 8,
	HALVES = 2,
	/* At random they leave a delta of two files that both have an image. */
	IMAGED_ROWS = 9000,
};

static void open_ranges(struct scratch *scratch, uint64_t ranges)
{
	scratch->sizes.file_bytes = 1 << 30;
	scratch->sizes.range_bytes = 16384;
	scratch->sizes.range_rows = SEARCH_LOADED / ranges;
	scratch->sizes.delta_base_min = 1;
	scratch->sizes.delta_share = EVER;
	scratch->sizes.deltas_share = EVER;
	scratch_open(scratch);
}

static int setup(void **state)
{
	(void)scratch_setup_small(state);
	open_ranges(*state, RANGES);
	return 0;
}

static int setup_halves(void **state)
{
	(void)scratch_setup_small(state);
	open_ranges(*state, HALVES);
	return 0;
}

static void merge(struct scratch *scratch)
{
	struct error err = {0};
	struct merge_result result;
	scratch_must(store_merge(scratch->store, NULL, &result, &err), &err);
}

static enum status no_pace(void *arg, uint64_t bytes, struct error *err)
{
	(void)arg;
	(void)bytes;
	(void)err;
	return STATUS_OK;
}

/* Lets the base take in what deltas have for the range that has waited longest; returns the bytes that this wrote. */
static uint64_t take_one_in(struct scratch *scratch)
{
	struct store *store = scratch->store;
	struct error err = {0};
	const struct range_wish wish = {.most = 1};
	struct merge_job job = {.store = store,
		.release = 1,
		.clock_ms = INT64_MIN,
		.pace = no_pace};
	store_lock_admin(store);
	job.table = release_find(snapshot_find(store_current(store), 1), 1);
	assert_non_null(job.table);
	if (job.table == NULL) {
		abort(); /* the assertion does not return, which its declaration leaves out */
	}
	job.table->refs++;
	store_unlock_admin(store);
	scratch_must(merge_ranges(&job, &wish, &err), &err);
	assert_int_equal(job.ranges, 1);
	store_lock_admin(store);
	table_drop(job.table);
	store_unlock_admin(store);
	return job.bytes;
}

/* ---- what there is ---- */

/* The files of the base, and their indexes. */
struct base {
	size_t count;
	uint64_t numbers[RANGES];
	uint64_t inodes[RANGES]; /* of index files; 0: none */
	uint64_t axes[RANGES];
	uint64_t rows;
	uint64_t bytes;
	uint64_t changed;
	size_t levels;
};

static struct base base_of(struct scratch *scratch)
{
	const struct table *table = search_table(snapshot_begin(scratch->store));
	const struct indexes *indexes = atomic_load(&((struct table *)table)->index);
	const struct level *level = table->levels[0];
	struct base base = {.count = level->file_count,
		.bytes = level->bytes,
		.changed = indexes_sum(indexes).changed,
		.levels = table->level_count};
	assert_true(base.count <= RANGES);
	for (size_t i = 0; i < base.count; i++) {
		const struct index *index = indexes_of(indexes, i);
		base.numbers[i] = level->files[i].number;
		if (index != NULL) {
			base.inodes[i] = index->inode;
			base.axes[i] = index->axes;
			base.rows += index->balls.rows;
		}
	}
	snapshot_end(scratch->store);
	return base;
}

/* Each file has an index, and all have the same axes. */
static struct base whole_base(struct scratch *scratch)
{
	const struct base base = base_of(scratch);
	for (size_t i = 0; i < base.count; i++) {
		assert_true(base.inodes[i] != 0);
		assert_true(base.axes[i] == base.axes[0]);
	}
	return base;
}

static struct index_figures made_by(struct scratch *scratch)
{
	struct index_figures figures = {0};
	indexer_figures(scratch->store->indexer, &figures);
	return figures;
}

static void await_builds(struct scratch *scratch, uint64_t builds)
{
	struct wait wait = {0};
	while (made_by(scratch).builds < builds) {
		wait_a_moment(&wait);
	}
	assert_int_equal(made_by(scratch).builds, builds);
}

/* ---- ranges ---- */

/* Of two bases: exactly one file is another, with another index. */
static void expect_one_other(const struct base *before, const struct base *after)
{
	size_t others = 0;
	assert_int_equal(before->count, after->count);
	for (size_t i = 0; i < before->count; i++) {
		const bool is_other = before->numbers[i] != after->numbers[i];
		assert_true((before->inodes[i] != after->inodes[i]) == is_other);
		assert_true(before->axes[i] == after->axes[i]);
		others += is_other;
	}
	assert_int_equal(others, 1);
}

static void a_range_is_taken_in_and_the_others_keep_their_indexes(void **state)
{
	struct scratch *scratch = *state;
	struct search_model *model = search_model_begin(scratch);
	struct base before = whole_base(scratch);
	assert_int_equal(before.count, RANGES);
	assert_int_equal(before.rows, SEARCH_LOADED);
	await_builds(scratch, RANGES);
	search_change(scratch, model, SEARCH_LOADED / 8, 0, SEARCH_KEYS);
	merge(scratch);
	search_change(scratch, model, SEARCH_LOADED / 8, 0, SEARCH_KEYS);
	merge(scratch);
	assert_int_equal(base_of(scratch).levels, 3);
	search_expect(scratch, model);
	for (size_t i = 0; i < RANGES; i++) {
		const uint64_t bytes = take_one_in(scratch);
		assert_true(bytes < before.bytes / 4); /* never the whole table */
		const struct base after = whole_base(scratch);
		expect_one_other(&before, &after);
		assert_true(after.changed > before.changed);
		search_expect(scratch, model);
		before = after;
	}
	/* A merge has kept each, so that none was ever missing. */
	assert_int_equal(made_by(scratch).builds, 2 * RANGES);
	assert_int_equal(before.levels, 1);
	free(model);
}

/* The merges that the store makes by itself do the same: more than a share of the base is in deltas, and goes into it range by
 * range. */
static void a_store_takes_ranges_in_by_itself(void **state)
{
	struct scratch *scratch = *state;
	scratch->sizes.deltas_share = 300;
	scratch_reopen(scratch);
	struct search_model *model = search_model_begin(scratch);
	const struct base first = whole_base(scratch);
	for (size_t i = 0; i < 12; i++) {
		search_change(scratch, model, SEARCH_PUT_ROWS, 0, SEARCH_KEYS);
		merge(scratch);
		search_await_index(scratch);
		search_expect(scratch, model);
	}
	const struct base last = base_of(scratch);
	for (size_t i = 0; i < last.count && first.count == last.count; i++) {
		assert_true(first.numbers[i] != last.numbers[i]);
	}
	scratch_reopen(scratch);
	search_await_index(scratch);
	search_expect(scratch, model);
	free(model);
}

static size_t count_files(struct scratch *scratch)
{
	char path[PATH_MAX];
	scratch_path(scratch, path, "releases/1");
	return scratch_count(path, "index-");
}

/* What is on the disk suffices for a start, and the janitor leaves nothing behind. */
static void a_start_finds_the_indexes_of_all_ranges(void **state)
{
	struct scratch *scratch = *state;
	struct wait wait = {0};
	struct search_model *model = search_model_begin(scratch);
	search_change(scratch, model, SEARCH_PUT_ROWS, 0, SEARCH_KEYS);
	merge(scratch);
	(void)take_one_in(scratch);
	(void)take_one_in(scratch);
	const struct base before = whole_base(scratch);
	while (count_files(scratch) != RANGES) {
		wait_a_moment(&wait);
	}
	scratch_reopen(scratch);
	search_await_index(scratch);
	const struct base after = whole_base(scratch);
	assert_memory_equal(after.inodes, before.inodes, sizeof after.inodes);
	assert_int_equal(after.changed, before.changed);
	assert_int_equal(made_by(scratch).builds, 0);
	assert_int_equal(count_files(scratch), RANGES);
	search_expect(scratch, model);
	free(model);
}

/* A file of one index is gone, and one is damaged: these two are built again, on the axes of the others. */
static void what_a_range_lacks_is_built_for_it_alone(void **state)
{
	enum { GONE = 2, DAMAGED = 5 };
	struct scratch *scratch = *state;
	struct search_model *model = search_model_begin(scratch);
	const struct base before = whole_base(scratch);
	const size_t which[] = {GONE, DAMAGED};
	char paths[2][PATH_MAX];
	for (size_t i = 0; i < 2; i++) {
		char name[64];
		char below[96];
		index_file_name(name, sizeof name, 1, before.numbers[which[i]]);
		(void)snprintf(below, sizeof below, "releases/1/%s", name);
		scratch_path(scratch, paths[i], below);
	}
	scratch_close(scratch);
	assert_int_equal(unlink(paths[0]), 0);
	scratch_flip(paths[1], 5000);
	scratch_open(scratch);
	search_expect(scratch, model); /* whatever there is by now */
	search_await_index(scratch);
	await_builds(scratch, 2);
	const struct base after = whole_base(scratch);
	for (size_t i = 0; i < RANGES; i++) {
		assert_true(after.axes[i] == before.axes[i]);
		assert_true((after.inodes[i] == before.inodes[i]) == (i != GONE && i != DAMAGED));
	}
	assert_true(scratch_heard(scratch, "event=index_renewed"));
	search_expect(scratch, model);
	/* So is one that fails while it is used. */
	const struct table *table = search_table(snapshot_begin(scratch->store));
	struct index *index = indexes_of(atomic_load(&((struct table *)table)->index), 0);
	atomic_store(&index->state, INDEX_DAMAGED);
	snapshot_end(scratch->store);
	search_expect(scratch, model);
	bell_ring(&scratch->store->index_bell); /* as the janitor does when it next looks */
	search_await_index(scratch);
	await_builds(scratch, 3);
	(void)whole_base(scratch);
	search_expect(scratch, model);
	free(model);
}

static void *take_some_in(void *arg)
{
	grace_register();
	for (size_t i = 0; i < RANGES / 2; i++) {
		(void)take_one_in(arg);
	}
	grace_unregister();
	return NULL;
}

/* A reader that needs long sees what it began with, whatever ranges are taken in meanwhile. */
static void a_long_reader_keeps_the_indexes_of_all_ranges(void **state)
{
	struct scratch *scratch = *state;
	struct search_model *model = search_model_begin(scratch);
	search_change(scratch, model, SEARCH_PUT_ROWS, 0, SEARCH_KEYS);
	merge(scratch);
	struct search_model *now = malloc(sizeof *now);
	assert_non_null(now);
	memcpy(now, model, sizeof *now);
	const struct snapshot *snapshot = snapshot_begin_long(scratch->store, "r");
	assert_non_null(snapshot);
	const struct indexes *held = atomic_load(&((struct table *)search_table(snapshot))->index);
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, take_some_in, scratch), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_ptr_equal(atomic_load(&((struct table *)search_table(snapshot))->index), held);
	search_expect_in(scratch, snapshot, model);
	snapshot_end(scratch->store);
	(void)whole_base(scratch);
	search_expect(scratch, now);
	free(model);
	free(now);
}

/* ---- images of deltas ---- */

static size_t count_images(struct scratch *scratch, size_t level)
{
	const struct table *table = search_table(snapshot_begin(scratch->store));
	const struct indexes *images = table_images(table, level);
	const size_t count = indexes_sum(images).count;
	snapshot_end(scratch->store);
	return count;
}

/* A delta goes on with its other files, and these with their images. */
static void a_delta_keeps_the_images_of_the_ranges_that_it_has(void **state)
{
	struct scratch *scratch = *state;
	struct wait wait = {0};
	struct search_model *model = search_model_begin(scratch);
	assert_int_equal(whole_base(scratch).count, HALVES);
	search_change(scratch, model, IMAGED_ROWS, 0, SEARCH_KEYS);
	merge(scratch);
	assert_int_equal(count_images(scratch, 1), HALVES);
	search_expect(scratch, model);
	const uint64_t images = made_by(scratch).images;
	assert_int_equal(images, HALVES);
	(void)take_one_in(scratch);
	assert_int_equal(count_images(scratch, 1), HALVES - 1);
	search_expect(scratch, model);
	assert_int_equal(made_by(scratch).images, images);
	scratch_reopen(scratch);
	search_await_index(scratch);
	while (count_images(scratch, 1) != HALVES - 1) {
		wait_a_moment(&wait);
	}
	assert_int_equal(made_by(scratch).images, 0);
	search_expect(scratch, model);
	free(model);
}

/* ---- files that were cut otherwise ---- */

/* A base that was cut into so many ranges, in a store that cuts into others, with a delta for all of them. */
static struct search_model *begin_cut_otherwise(struct scratch *scratch, uint64_t was, uint64_t is)
{
	struct search_model *model = search_model_begin(scratch);
	assert_int_equal(whole_base(scratch).count, was);
	scratch->sizes.range_rows = SEARCH_LOADED / is;
	scratch_reopen(scratch);
	search_await_index(scratch);
	search_change(scratch, model, SEARCH_PUT_ROWS, 0, SEARCH_KEYS);
	merge(scratch);
	return model;
}

/* A base of an older build has smaller files: neighbours become one when they are taken in. */
static void ranges_that_were_cut_smaller_become_one(void **state)
{
	struct scratch *scratch = *state;
	struct search_model *model = begin_cut_otherwise(scratch, RANGES, HALVES);
	(void)take_one_in(scratch);
	assert_int_equal(whole_base(scratch).count, RANGES / 2 + 1);
	search_expect(scratch, model);
	(void)take_one_in(scratch);
	assert_int_equal(whole_base(scratch).count, HALVES);
	search_expect(scratch, model);
	free(model);
}

/* And those that have grown become several. */
static void a_range_that_has_grown_is_cut(void **state)
{
	struct scratch *scratch = *state;
	struct search_model *model = begin_cut_otherwise(scratch, HALVES, RANGES);
	const struct base before = whole_base(scratch);
	(void)take_one_in(scratch);
	const struct base after = whole_base(scratch);
	assert_int_equal(after.count, RANGES / 2 + 1);
	assert_true(after.axes[0] == before.axes[0]);
	assert_true(after.changed - before.changed < SEARCH_LOADED / 4);
	search_expect(scratch, model);
	free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_range_is_taken_in_and_the_others_keep_their_indexes, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(a_store_takes_ranges_in_by_itself, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(a_start_finds_the_indexes_of_all_ranges, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(what_a_range_lacks_is_built_for_it_alone, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(a_long_reader_keeps_the_indexes_of_all_ranges,
			setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_delta_keeps_the_images_of_the_ranges_that_it_has,
			setup_halves, scratch_teardown),
		cmocka_unit_test_setup_teardown(ranges_that_were_cut_smaller_become_one, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(a_range_that_has_grown_is_cut, setup_halves,
			scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
