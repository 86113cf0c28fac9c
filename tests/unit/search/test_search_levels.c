/* test_search_levels.c - searches of a table with an index that has deltas: its base keeps the index, deltas have images
 * or are scanned, and nothing is found that a newer level, or the memtable, has replaced. */
#include "daemon/store/index/index.h"
#include "daemon/store/indexing/index_figures.h"
#include "daemon/store/indexing/indexer.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/merge/repair.h"
#include "daemon/store/read/lookup.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/state/state.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/search/search_fixture.h"
#include "tests/unit/store/scratch.h"
#include "tests/unit/wait.h"

enum {
	EVER = 1000000, /* thousandths of the base */
	IMAGED_ROWS =
		5000, /* written at random, they leave more distinct rows than a delta without an image has */
};

/* Merges make deltas, whatever the size of a table. Each level has one file. */
static int setup(void **state)
{
	(void)scratch_setup_small(state);
	struct scratch *scratch = *state;
	scratch->sizes.file_bytes = 1 << 30;
	scratch->sizes.delta_base_min = 1;
	scratch->sizes.delta_share = EVER;
	scratch->sizes.deltas_share = EVER;
	scratch_open(scratch);
	return 0;
}

static void merge(struct scratch *scratch)
{
	struct error err = {0};
	struct merge_result result;
	scratch_must(store_merge(scratch->store, NULL, &result, &err), &err);
}

static void merge_full(struct scratch *scratch)
{
	struct error err = {0};
	struct merge_result result;
	scratch_must(store_merge_full(scratch->store, NULL, &result, &err), &err);
}

/* How many levels the table has, and how many of its deltas have images. */
struct levels {
	size_t count;
	size_t images;
	const struct indexes *index; /* for comparison only */
};

static struct levels levels_of(struct scratch *scratch)
{
	const struct table *table = search_table(snapshot_begin(scratch->store));
	struct levels levels = {
		.count = table->level_count,
		.index = atomic_load(&((struct table *)table)->index),
	};
	for (size_t i = 1; i < table->level_count; i++) {
		levels.images += indexes_of(table_images(table, i), 0) != NULL;
	}
	snapshot_end(scratch->store);
	return levels;
}

static void await_images(struct scratch *scratch, size_t count)
{
	struct wait wait = {0};
	while (levels_of(scratch).images != count) {
		wait_a_moment(&wait);
	}
}

static struct index_figures made_by(struct scratch *scratch)
{
	struct index_figures figures = {0};
	indexer_figures(scratch->store->indexer, &figures);
	return figures;
}

/* They are counted behind the moment in which searches find them. */
static void await_made(struct scratch *scratch, uint64_t builds, uint64_t images)
{
	struct wait wait = {0};
	while (made_by(scratch).builds < builds || made_by(scratch).images < images) {
		wait_a_moment(&wait);
	}
	assert_int_equal(made_by(scratch).builds, builds);
	assert_int_equal(made_by(scratch).images, images);
}

static size_t count_files(struct scratch *scratch)
{
	char path[PATH_MAX];
	scratch_path(scratch, path, "releases/1");
	return scratch_count(path, "index-");
}

static void a_delta_leaves_the_index_as_it_is(void **state)
{
	struct scratch *scratch = *state;
	struct search_model *model = search_model_begin(scratch);
	const struct indexes *index = levels_of(scratch).index;
	search_change(scratch, model, 2 * SEARCH_PUT_ROWS, 0, SEARCH_KEYS);
	merge(scratch);
	const struct levels levels = levels_of(scratch);
	assert_int_equal(levels.count, 2);
	assert_int_equal(levels.images, 0); /* so few rows are scanned */
	assert_ptr_equal(levels.index, index);
	await_made(scratch, 1, 0);
	search_expect(scratch, model);
	free(model);
}

/* Small deltas and large ones, keys that are in several of them, tombstones, and what came since. */
static void levels_and_the_memtable_are_searched_together(void **state)
{
	static const uint32_t counts[] = {IMAGED_ROWS, SEARCH_PUT_ROWS, IMAGED_ROWS,
		SEARCH_PUT_ROWS};
	struct scratch *scratch = *state;
	struct search_model *model = search_model_begin(scratch);
	const struct indexes *index = levels_of(scratch).index;
	for (size_t i = 0; i < 4; i++) {
		search_change(scratch, model, counts[i], i * 1000, SEARCH_KEYS - 3000);
		search_expect(scratch, model);
		merge(scratch);
		search_expect(scratch, model);
		const struct levels levels = levels_of(scratch);
		assert_int_equal(levels.count, 2 + i);
		assert_int_equal(levels.images, 1 + i / 2); /* a merge makes them itself */
		assert_ptr_equal(levels.index, index);
	}
	assert_int_equal(count_files(scratch), 3);
	search_change(scratch, model, SEARCH_PUT_ROWS, 0, SEARCH_KEYS);
	search_expect(scratch, model);
	free(model);
}

/* A start finds the images where they were left, and the indexer makes those that are gone. */
static void images_are_there_after_a_start(void **state)
{
	struct scratch *scratch = *state;
	struct search_model *model = search_model_begin(scratch);
	for (size_t i = 0; i < 2; i++) {
		search_change(scratch, model, IMAGED_ROWS, 0, SEARCH_KEYS);
		merge(scratch);
	}
	scratch_reopen(scratch);
	search_await_index(scratch);
	await_images(scratch, 2);
	await_made(scratch, 0, 0);
	search_expect(scratch, model);
	/* Without the file of an image, and with a damaged one. */
	char names[2][64];
	const struct table *table = search_table(snapshot_begin(scratch->store));
	for (size_t i = 0; i < 2; i++) {
		char name[40];
		table_index_file_name(name, sizeof name, table,
			table->levels[i + 1]->files[0].number);
		(void)snprintf(names[i], sizeof names[i], "releases/1/%s", name);
	}
	snapshot_end(scratch->store);
	scratch_close(scratch);
	char path[PATH_MAX];
	scratch_path(scratch, path, names[0]);
	assert_int_equal(unlink(path), 0);
	scratch_path(scratch, path, names[1]);
	scratch_flip(path, 5000);
	scratch_open(scratch);
	search_await_index(scratch);
	search_expect(scratch, model);
	await_images(scratch, 2);
	await_made(scratch, 0, 2);
	assert_true(made_by(scratch).image_bytes > 0);
	search_expect(scratch, model);
	free(model);
}

/* An image has all axes of the index, so that few rows may take much memory. */
static void an_image_keeps_to_the_memory_of_builds(void **state)
{
	enum { ROWS_A_BALL = 64, FEW_ROWS = 2600, EACH_ROW = 16 };
	struct scratch *scratch = *state;
	struct search_model *model = search_model_begin(scratch);
	char path[PATH_MAX];
	char name[40];
	char below[64];
	search_change(scratch, model, FEW_ROWS, 0, SEARCH_KEYS);
	merge(scratch);
	assert_int_equal(levels_of(scratch).images, 1);
	const struct table *table = search_table(snapshot_begin(scratch->store));
	const uint64_t rows = level_file_rows(table->levels[1]);
	const uint64_t axes =
		indexes_lead(atomic_load(&((struct table *)table)->index))->balls.balls;
	table_index_file_name(name, sizeof name, table, table->levels[1]->files[0].number);
	snapshot_end(scratch->store);
	assert_true(axes > rows / ROWS_A_BALL + 1);
	(void)snprintf(below, sizeof below, "releases/1/%s", name);
	scratch_path(scratch, path, below);
	scratch_close(scratch);
	assert_int_equal(unlink(path), 0);
	/* A quarter of it is for a sample. */
	const uint64_t takes = rows * EACH_ROW + axes * SEARCH_DIM * 2 * sizeof(float);
	scratch->sizes.index_memory = takes / 3 * 4 - 4;
	scratch_open(scratch);
	struct wait wait = {0};
	while (made_by(scratch).failed == 0) {
		assert_int_equal(levels_of(scratch).images, 0);
		wait_a_moment(&wait);
	}
	assert_true(scratch_heard(scratch, "index_memory leaves"));
	search_expect(scratch, model);
	free(model);
}

/* An image that cannot be read any more is no more used, and its rows are scanned. */
static void the_rows_of_a_damaged_image_are_scanned(void **state)
{
	struct scratch *scratch = *state;
	struct search_model *model = search_model_begin(scratch);
	search_change(scratch, model, IMAGED_ROWS, 0, SEARCH_KEYS);
	merge(scratch);
	const struct table *table = search_table(snapshot_begin(scratch->store));
	struct index *image = indexes_of(table_images(table, 1), 0);
	assert_non_null(image);
	atomic_store(&image->state, INDEX_DAMAGED);
	snapshot_end(scratch->store);
	assert_int_equal(levels_of(scratch).images, 0);
	search_expect(scratch, model);
	free(model);
}

/* What was written to a table with a damaged base goes into a delta, and its log goes. */
static void a_damaged_base_stops_no_delta(void **state)
{
	struct scratch *scratch = *state;
	struct search_model *model = search_model_begin(scratch);
	search_change(scratch, model, SEARCH_PUT_ROWS, 0, SEARCH_KEYS);
	const struct table *table = search_table(snapshot_begin(scratch->store));
	scratch_mark(table->bases->segments[0], BASE_PAGE_DAMAGED, BASE_DAMAGED);
	snapshot_end(scratch->store);
	merge(scratch);
	table = search_table(snapshot_begin(scratch->store));
	assert_int_equal(table->level_count, 2);
	assert_true(memtable_is_empty(table->memtable));
	snapshot_end(scratch->store);
	free(model);
}

/* A full merge makes a base of all levels, whose index keeps the balls, and the files of the images go. */
static void a_full_merge_makes_one_index_of_all(void **state)
{
	struct scratch *scratch = *state;
	struct wait wait = {0};
	struct search_model *model = search_model_begin(scratch);
	search_change(scratch, model, IMAGED_ROWS, 0, SEARCH_KEYS);
	merge(scratch);
	search_change(scratch, model, SEARCH_PUT_ROWS, 0, SEARCH_KEYS);
	merge_full(scratch);
	assert_int_equal(levels_of(scratch).count, 1);
	search_expect(scratch, model);
	search_await_index(scratch);
	search_expect(scratch, model);
	while (count_files(scratch) != 1) {
		wait_a_moment(&wait);
	}
	free(model);
}

/* One more than there may be: those of about its size become one, with one image. */
static void deltas_become_fewer(void **state)
{
	struct scratch *scratch = *state;
	struct search_model *model = search_model_begin(scratch);
	const struct indexes *index = levels_of(scratch).index;
	bool fewer = false;
	size_t before = 1;
	for (size_t i = 0; i < TABLE_LEVELS_MAX + 2; i++) {
		search_change(scratch, model, IMAGED_ROWS, i * 100, SEARCH_KEYS - 3000);
		merge(scratch);
		const struct levels levels = levels_of(scratch);
		fewer = fewer || levels.count <= before;
		before = levels.count;
		await_images(scratch, levels.count - 1);
		search_expect(scratch, model);
	}
	assert_true(fewer && before > 1);
	assert_ptr_equal(levels_of(scratch).index, index);
	scratch_reopen(scratch);
	search_await_index(scratch);
	search_expect(scratch, model);
	free(model);
}

/* Deltas that hold more than their share go into the base. */
static void deltas_that_hold_much_go_into_the_base(void **state)
{
	struct scratch *scratch = *state;
	scratch->sizes.deltas_share = 800;
	scratch_reopen(scratch);
	struct search_model *model = search_model_begin(scratch);
	size_t most = 0;
	bool one = false;
	for (size_t i = 0; i < 8; i++) {
		search_change(scratch, model, 2 * SEARCH_PUT_ROWS, 0, SEARCH_KEYS);
		merge(scratch);
		const size_t count = levels_of(scratch).count;
		most = count > most ? count : most;
		one = one || count == 1;
		search_await_index(scratch);
		search_expect(scratch, model);
	}
	assert_true(most > 2 && one);
	free(model);
}

/* Damages rows of the base on the disk, and its index. */
static void damage_base(struct scratch *scratch, bool index)
{
	char name[64];
	char path[PATH_MAX];
	char below[80];
	const struct table *table = search_table(snapshot_begin(scratch->store));
	const struct base_segment *segment = table->bases->segments[0];
	const uint64_t at =
		segment->info->offset + (uint64_t)(segment->view.row_data - segment->data);
	const uint64_t number = table->levels[0]->files[0].number;
	table_index_file_name(name, sizeof name, table, number);
	snapshot_end(scratch->store);
	scratch_close(scratch);
	if (index) {
		(void)snprintf(below, sizeof below, "releases/1/%s", name);
		scratch_path(scratch, path, below);
		scratch_flip(path, 5000);
	}
	(void)snprintf(below, sizeof below, "releases/1/base-1-%" PRIu64 ".mdb", number);
	scratch_path(scratch, path, below);
	scratch_flip(path, at);
}

/* Takes those keys out of the model that are not found any more; tells how many. */
static uint64_t forget_what_is_lost(struct scratch *scratch, struct search_model *model)
{
	static uint64_t keys[SEARCH_KEYS];
	static uint8_t found[(SEARCH_KEYS + 7) / 8]; /* bits */
	static uint8_t why[SEARCH_KEYS];
	static float rows[SEARCH_KEYS][SEARCH_DIM];
	struct error err = {0};
	uint64_t lost = 0;
	for (uint64_t i = 0; i < SEARCH_KEYS; i++) {
		keys[i] = i;
	}
	struct lookup lookup = {
		.table = search_table(snapshot_begin(scratch->store)),
		.keys = {KEY_U64, SEARCH_KEYS, (const uint8_t *)keys, NULL},
		.dtype = DTYPE_F32,
		.visible = store_visible(scratch->store),
		.now_ms = SCRATCH_NOW_MS,
		.may_block = true,
		.rows = (uint8_t *)rows,
		.found = found,
		.why = why,
	};
	scratch_must(table_lookup(&lookup, &err), &err);
	snapshot_end(scratch->store);
	for (uint64_t i = 0; i < SEARCH_KEYS; i++) {
		const bool is_there = why[i] == WHY_FOUND;
		assert_true(model->there[i] || !is_there);
		lost += model->there[i] && !is_there;
		model->there[i] = is_there;
	}
	return lost;
}

/* Index and images are of the files that a repair has left. */
static void a_repaired_base_is_searched(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct repair_report report;
	const struct repair_wish wish = {.release = "r", .table = {"t"}};
	struct search_model *model = search_model_begin(scratch);
	search_change(scratch, model, IMAGED_ROWS, 3000, SEARCH_KEYS - 3000);
	merge(scratch);
	search_change(scratch, model, SEARCH_PUT_ROWS, 0, SEARCH_KEYS);
	damage_base(scratch, false);
	scratch_open(scratch);
	scratch_must(store_repair(scratch->store, &wish, NULL, &report, &err), &err);
	assert_int_equal(report.count, 1);
	const uint64_t told = report.ranges[0].lost;
	repair_report_fini(&report);
	const uint64_t lost = forget_what_is_lost(scratch, model);
	assert_true(lost > 0 && lost <= told); /* rows in memory may be newer than the lost ones */
	search_expect(scratch, model);
	search_await_index(scratch);
	search_expect(scratch, model);
	search_change(scratch, model, IMAGED_ROWS, 0, SEARCH_KEYS);
	merge(scratch);
	search_expect(scratch, model);
	free(model);
}

/* The indexer finds the damage of the files that the repair has just replaced: those that it has left get an index. */
static void a_base_repaired_while_its_index_is_built_gets_another(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct wait wait = {0};
	struct repair_report report;
	const struct repair_wish wish = {.release = "r", .table = {"t"}};
	struct search_model *model = search_model_begin(scratch);
	damage_base(scratch, true);
	atomic_store(&scratch->held, "event=index_renewed");
	scratch_open(scratch);
	while (!scratch_heard(scratch, "event=index_renewed")) {
		wait_a_moment(&wait);
	}
	scratch_must(store_repair(scratch->store, &wish, NULL, &report, &err), &err);
	assert_int_equal(report.count, 1);
	repair_report_fini(&report);
	atomic_store(&scratch->held, NULL);
	search_await_index(scratch);
	assert_true(scratch_heard(scratch, "event=index_failed"));
	(void)forget_what_is_lost(scratch, model);
	search_expect(scratch, model);
	free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_delta_leaves_the_index_as_it_is, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(levels_and_the_memtable_are_searched_together,
			setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(images_are_there_after_a_start, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(an_image_keeps_to_the_memory_of_builds, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(the_rows_of_a_damaged_image_are_scanned, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(a_damaged_base_stops_no_delta, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(a_full_merge_makes_one_index_of_all, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(deltas_that_hold_much_go_into_the_base, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(deltas_become_fewer, setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_repaired_base_is_searched, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(
			a_base_repaired_while_its_index_is_built_gets_another, setup,
			scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
