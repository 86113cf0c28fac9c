/* test_pins.c - a reader that needs long: what it sees stays, and nobody waits for it. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/figures.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/read/lookup.h"
#include "daemon/store/read/rows.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/write/write.h"
#include "tests/unit/store/scratch.h"
#include "tests/unit/store/tensor_fixture.h"
#include "tests/unit/wait.h"

#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 6000, WRITTEN = 50 };

/* ---- the others: a thread of their own, since this one is a reader ---- */

enum deed { PUT, PUT_AND_MERGE, DROP };

struct others {
	struct scratch *scratch;
	enum deed deed;
	uint32_t version; /* of the first keys */
	struct error err;
	struct store_figures figures; /* when they are done */
	_Atomic bool done;
};

static enum status put_some(struct others *others)
{
	uint64_t keys[WRITTEN];
	for (uint64_t i = 0; i < WRITTEN; i++) {
		keys[i] = i;
	}
	return scratch_try_put(others->scratch, "a", keys, WRITTEN, others->version, &others->err);
}

static void *work(void *arg)
{
	struct others *others = arg;
	struct merge_result result;
	struct store *store = others->scratch->store;
	grace_register();
	others->err.status = others->deed == DROP ? store_release_drop(store, "a", &others->err)
						  : put_some(others);
	if (others->err.status == STATUS_OK && others->deed == PUT_AND_MERGE) {
		others->err.status = store_merge(store, NULL, &result, &others->err);
	}
	store_figures(store, &others->figures);
	grace_unregister();
	atomic_store(&others->done, true);
	return NULL;
}

/* All that the others do ends while this thread reads. */
static struct store_figures let_others(struct scratch *scratch, enum deed deed, uint32_t version)
{
	pthread_t thread;
	struct wait wait = {0};
	struct others others = {.scratch = scratch, .deed = deed, .version = version};
	assert_int_equal(pthread_create(&thread, NULL, work, &others), 0);
	while (!atomic_load(&others.done)) {
		wait_a_moment(&wait);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	scratch_must(others.err.status, &others.err);
	return others.figures;
}

/* ---- the reader ---- */

static const struct table *table_of(const struct snapshot *snapshot)
{
	struct error err = {0};
	const struct release *release;
	const struct table *table;
	scratch_must(snapshot_release(snapshot, "a", &release, &err), &err);
	scratch_must(release_table(release, "t", &table, &err), &err);
	return table;
}

/* The first keys have this version, the others the first one; by look-ups and by a walk. */
static void expect(struct scratch *scratch, const struct snapshot *snapshot, uint32_t version)
{
	const struct table *table = table_of(snapshot);
	for (uint64_t key = 0; key < UINT64_C(2) * WRITTEN; key++) {
		assert_int_equal(scratch_version_in(scratch, table, key),
			key < WRITTEN ? version : 1);
	}
	struct rows rows;
	uint64_t seen = 0;
	uint64_t sum = 0;
	assert_int_equal(rows_begin(&rows, table, store_visible(scratch->store), 64), STATUS_OK);
	do {
		assert_int_equal(rows_next(&rows), STATUS_OK);
		for (uint32_t i = 0; i < rows.block.count; i++) {
			struct frame_row row;
			float values[SCRATCH_DIM];
			const uint64_t id = row_block_id(&rows.block, i);
			assert_int_equal(rows_get(&rows, id, &row), STATUS_OK);
			memcpy(values, row.data, sizeof values);
			const bool counts = !rows_is_superseded(&rows, id, row.key, row.key_len);
			seen += counts;
			sum += counts ? (uint64_t)values[1] : 0;
		}
	} while (rows.block.count > 0);
	rows_end(&rows);
	assert_int_equal(seen, ROWS);
	assert_int_equal(sum, ROWS - WRITTEN + WRITTEN * version);
}

static struct store_figures figures_of(struct scratch *scratch)
{
	struct store_figures figures;
	store_figures(scratch->store, &figures);
	return figures;
}

/* What a reader has held goes when it has left. */
static void await_nothing_waits(struct scratch *scratch)
{
	struct wait wait = {0};
	struct store_figures figures;
	do {
		wait_a_moment(&wait);
		figures = figures_of(scratch);
	} while (figures.files_waiting > 0);
	assert_int_equal(figures.readers_pinned, 0);
	assert_int_equal(figures.write.memtable_pinned, 0);
}

static void merges_and_writes_pass_a_long_reader(void **state)
{
	struct scratch *scratch = *state;
	scratch_sealed(scratch, "a", 0, ROWS, 1);
	(void)let_others(scratch, PUT, 2);
	const struct snapshot *snapshot = snapshot_begin_long(scratch->store, "a");
	expect(scratch, snapshot, 2);
	for (uint32_t version = 3; version < 7; version++) {
		(void)let_others(scratch, PUT_AND_MERGE, version);
		expect(scratch, snapshot, 2);
	}
	(void)let_others(scratch, PUT, 7);
	expect(scratch, snapshot, 2);
	snapshot_end(scratch->store);
	expect(scratch, snapshot_begin(scratch->store), 7);
	snapshot_end(scratch->store);
	await_nothing_waits(scratch);
}

/* What it has pinned counts to no bound of the memtables, but is told. Of several merges beside it only
 * the files that it reads stay. */
static void what_is_pinned_is_off_the_bounds(void **state)
{
	struct scratch *scratch = *state;
	char folder[PATH_MAX];
	struct wait wait = {0};
	scratch_sealed(scratch, "a", 0, ROWS, 1);
	scratch_path(scratch, folder, "releases/1");
	(void)let_others(scratch, PUT, 2);
	const struct snapshot *snapshot = snapshot_begin_long(scratch->store, "a");
	struct store_figures figures;
	size_t files = 0; /* those that are read, and those of one merge */
	for (uint32_t version = 3; version < 6; version++) {
		figures = let_others(scratch, PUT_AND_MERGE, version);
		assert_int_equal(figures.readers_pinned, 1);
		assert_int_equal(figures.write.memtable_rows, 0);
		assert_int_equal(figures.write.memtable_bytes, 0);
		assert_true(figures.write.memtable_pinned > 0);
		files = files == 0 ? scratch_count(folder, "base-") : files;
		while (scratch_count(folder, "base-") != files) {
			wait_a_moment(&wait);
		}
	}
	expect(scratch, snapshot, 2);
	snapshot_end(scratch->store);
	await_nothing_waits(scratch);
	assert_true(scratch_count(folder, "base-") < files);
}

static void a_dropped_release_stays_until_its_reader_has_left(void **state)
{
	struct scratch *scratch = *state;
	char folder[PATH_MAX];
	struct wait wait = {0};
	scratch_sealed(scratch, "a", 0, ROWS, 1);
	scratch_path(scratch, folder, "releases/1");
	const struct snapshot *snapshot = snapshot_begin_long(scratch->store, "a");
	assert_true(let_others(scratch, DROP, 0).files_waiting > 0);
	expect(scratch, snapshot, 1);
	snapshot_end(scratch->store);
	while (scratch_exists(folder)) {
		wait_a_moment(&wait);
	}
	await_nothing_waits(scratch);
}

/* A tensor is opened when it is first used, so its file must still be there then. */
static void a_tensor_that_was_replaced_can_still_be_opened(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	const struct release *release;
	struct tensor *tensor;
	scratch_sealed(scratch, "a", 0, ROWS, 1);
	tensor_fixture_put(scratch, "a", "w", 1);
	scratch_reopen(scratch); /* so that it is not open */
	const struct snapshot *snapshot = snapshot_begin_long(scratch->store, "a");
	scratch_must(snapshot_release(snapshot, "a", &release, &err), &err);
	scratch_must(release_tensor(release, "w", &tensor, &err), &err);
	(void)let_others(scratch, DROP, 0);
	scratch_must(store_tensor_use(scratch->store, release, tensor, true, &err), &err);
	snapshot_end(scratch->store);
	await_nothing_waits(scratch);
}

/* Its snapshot has the one release; what is not there is not found, as in any snapshot. */
static void a_release_that_is_not_there_is_not_found(void **state)
{
	struct scratch *scratch = *state;
	const struct release *release;
	scratch_sealed(scratch, "a", 0, ROWS, 1);
	const struct snapshot *snapshot = snapshot_begin_long(scratch->store, NULL);
	assert_int_equal(snapshot_release(snapshot, NULL, &release, NULL), STATUS_NOT_FOUND);
	snapshot_end(scratch->store);
	scratch_publish(scratch, "a");
	snapshot = snapshot_begin_long(scratch->store, NULL);
	assert_int_equal(snapshot_release(snapshot, NULL, &release, NULL), STATUS_OK);
	expect(scratch, snapshot, 1);
	snapshot_end(scratch->store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(merges_and_writes_pass_a_long_reader,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(what_is_pinned_is_off_the_bounds,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_dropped_release_stays_until_its_reader_has_left,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_tensor_that_was_replaced_can_still_be_opened,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_release_that_is_not_there_is_not_found,
			scratch_setup_small_store, scratch_teardown),
	};
	return cmocka_run_group_tests_name("pins", tests, NULL, NULL);
}
