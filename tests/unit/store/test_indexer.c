/* test_indexer.c - an index whose build has failed is tried again. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/figures.h"
#include "daemon/store/indexing/index_figures.h"
#include "daemon/store/indexing/indexer.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/retrieval/balls/balls_recall.h"
#include "daemon/store/index/index.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/state/state.h"
#include "daemon/store/write/write.h"
#include "tests/unit/store/scratch.h"
#include "tests/unit/wait.h"

enum {
	ROWS = 1000,         /* that want an index */
	ROWS_LONG = 40000,   /* for which it takes tenths of a second */
	BASE_FILES_MAX = 64, /* of a table, at most */
};

/* A table has one base file, and so one index file. */
static int setup(void **state)
{
	(void)scratch_setup_small(state);
	struct scratch *scratch = *state;
	scratch->sizes.file_bytes = 1 << 30;
	return 0;
}

static int setup_store(void **state)
{
	(void)setup(state);
	scratch_open(*state);
	return 0;
}

/* A release with a table "t" that wants an index; its rows are loaded. */
static void load(struct scratch *scratch, const char *id, uint32_t rows)
{
	struct error err = {0};
	struct name name = {0};
	uint64_t number;
	const struct release_labels labels = {.model = "m", .checkpoint = "c"};
	struct table_spec spec = scratch_spec("t", DTYPE_F32, KEY_U64, SCRATCH_DIM);
	spec.index = INDEX_BALLS;
	(void)snprintf(name.text, sizeof name.text, "%s", id);
	scratch_must(store_release_create(scratch->store, &name, &labels, &number, &err), &err);
	scratch_must(store_table_create(scratch->store, id, &spec, NULL, &err), &err);
	scratch_chunk(scratch, id, "all", 0, (struct scratch_rows){1, rows, 1});
	scratch_end(scratch, id, "all", 1, rows);
}

/* Folders stand where the files of indexes would be written, or stand there no more. */
static void stand_in_the_way(const struct scratch *scratch, bool stand)
{
	for (uint64_t newest = 0; newest < BASE_FILES_MAX; newest++) {
		char name[64];
		char in[96];
		char path[PATH_MAX];
		index_file_name(name, sizeof name, 1, newest);
		(void)snprintf(in, sizeof in, "releases/1/%s", name);
		scratch_path(scratch, path, in);
		assert_int_equal(stand ? mkdir(path, 0700) : rmdir(path), 0);
	}
}

static struct index_figures figures_of(struct scratch *scratch)
{
	struct store_figures figures;
	store_figures(scratch->store, &figures);
	return figures.index;
}

/* Until so many builds have failed, and so many have not. */
static struct index_figures wait_for(struct scratch *scratch, uint64_t failed, uint64_t builds)
{
	struct wait wait = {0};
	struct index_figures figures = figures_of(scratch);
	while (figures.failed < failed || figures.builds < builds) {
		wait_a_moment(&wait);
		figures = figures_of(scratch);
	}
	return figures;
}

static void a_build_that_failed_is_tried_again(void **state)
{
	struct scratch *scratch = *state;
	load(scratch, "r", ROWS);
	stand_in_the_way(scratch, true);
	scratch_seal(scratch, "r");
	/* Nobody wakes it. */
	assert_int_equal(wait_for(scratch, 3, 0).builds, 0);
	assert_true(scratch_heard(scratch, "event=index_failed release=1 table=t reason="));
	stand_in_the_way(scratch, false);
	const struct index_figures figures = wait_for(scratch, 0, 1);
	assert_int_equal(figures.builds, 1);
	assert_true(figures.bytes > 0);
}

static void a_store_closes_while_an_index_waits_to_be_tried_again(void **state)
{
	struct scratch *scratch = *state;
	load(scratch, "r", ROWS);
	stand_in_the_way(scratch, true);
	scratch_seal(scratch, "r");
	assert_int_equal(wait_for(scratch, 1, 0).builds, 0);
	scratch_close(scratch);
	/* The index is still due: another store finds that out, and builds it. */
	stand_in_the_way(scratch, false);
	scratch_open(scratch);
	const struct index_figures figures = wait_for(scratch, 0, 1);
	assert_int_equal(figures.builds, 1);
	assert_int_equal(figures.failed, 0);
	assert_true(figures.bytes > 0);
}

/* ---- what becomes of an index ---- */

/* The index of the table; the test's thread is inside. */
static struct index *index_in(const struct snapshot *snapshot)
{
	const struct indexes *indexes = atomic_load(&snapshot->releases[0]->tables[0]->index);
	return indexes == NULL ? NULL : indexes->of[0];
}

static struct index *hold_index(struct scratch *scratch)
{
	const struct snapshot *snapshot = snapshot_begin(scratch->store);
	struct index *index = index_in(snapshot);
	index_hold(index);
	snapshot_end(scratch->store);
	return index;
}

static void put(struct scratch *scratch, uint64_t from, uint32_t count, uint32_t version)
{
	struct error err = {0};
	scratch_put(scratch, "r", (struct scratch_rows){from, count, version});
	struct merge_result merged;
	scratch_must(store_merge(scratch->store, NULL, &merged, &err), &err);
}

static void make(struct scratch *scratch)
{
	load(scratch, "r", ROWS);
	scratch_seal(scratch, "r");
	(void)wait_for(scratch, 0, 1);
}

/* A reader that needs long keeps the one that it began with. */
static void an_index_that_fails_is_built_anew(void **state)
{
	struct scratch *scratch = *state;
	struct wait wait = {0};
	struct index_figures figures;
	make(scratch);
	const struct snapshot *snapshot = snapshot_begin_long(scratch->store, "r");
	struct index *index = index_in(snapshot);
	assert_non_null(index);
	atomic_store(&index->state, INDEX_DAMAGED);
	do {
		wait_a_moment(&wait);
		indexer_figures(scratch->store->indexer, &figures);
	} while (figures.builds < 2);
	assert_ptr_equal(index_in(snapshot), index);
	assert_int_equal(index->balls.rows, ROWS);
	snapshot_end(scratch->store);
	assert_true(scratch_heard(scratch, "event=index_renewed release=1 table=t"));
	struct index *renewed = hold_index(scratch);
	assert_ptr_not_equal(renewed, NULL);
	assert_true(index_is_sound(renewed));
	index_close(renewed);
}

/* It is there as soon as the merge is, with the axes and the recalls of before. */
static void a_merge_keeps_axes_and_recalls(void **state)
{
	struct scratch *scratch = *state;
	make(scratch);
	struct index *before = hold_index(scratch);
	put(scratch, 1, 10, 2);
	put(scratch, ROWS + 1, 5, 2);
	struct index *after = hold_index(scratch);
	assert_non_null(after);
	assert_int_equal(after->balls.rows, ROWS + 5);
	assert_int_equal(after->changed, 15);
	assert_int_equal(after->balls.balls, before->balls.balls);
	assert_memory_equal(after->balls.axes, before->balls.axes,
		(size_t)before->balls.balls * SCRATCH_DIM * sizeof(float));
	assert_memory_equal(after->balls.recalls, before->balls.recalls,
		sizeof(float[BALLS_METRICS][BALLS_KS][BALLS_FACTORS]));
	assert_int_equal(figures_of(scratch).builds, 3);
	index_close(before);
	index_close(after);
}

/* ---- the names in `current` ---- */

static const uint64_t any = UINT64_MAX;

/* Whether `current` names the index of the base file `newest`; `any`: some index. */
static bool is_named(const struct scratch *scratch, uint64_t newest)
{
	char name[64] = "index-";
	char path[PATH_MAX];
	if (newest != any) {
		index_file_name(name, sizeof name, 1, newest);
	}
	scratch_path(scratch, path, "current");
	struct scratch_file file = scratch_read(path);
	const bool found = memmem(file.data, file.len, name, strlen(name)) != NULL;
	free(file.data);
	return found;
}

/* Number of the newest base file. */
static uint64_t newest_of(struct scratch *scratch)
{
	const struct snapshot *snapshot = snapshot_begin(scratch->store);
	const uint64_t newest = snapshot->releases[0]->tables[0]->next_file - 1;
	snapshot_end(scratch->store);
	return newest;
}

/* So a reader without the daemon knows of an index as soon as searches over the socket use it. */
static void current_names_the_indexes_that_there_are(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct wait wait = {0};
	load(scratch, "r", ROWS);
	assert_false(is_named(scratch, any));
	scratch_seal(scratch, "r");
	(void)wait_for(scratch, 0, 1);
	const uint64_t first = newest_of(scratch);
	assert_true(is_named(scratch, first));
	/* Another name: that of the new base files. */
	put(scratch, 1, 10, 2);
	const uint64_t second = newest_of(scratch);
	assert_true(second > first);
	assert_true(is_named(scratch, second));
	assert_false(is_named(scratch, first));
	/* A start knows of none before it has opened it. */
	scratch_reopen(scratch);
	while (!is_named(scratch, second)) {
		wait_a_moment(&wait);
	}
	/* And what has too few rows has none. */
	uint64_t keys[ROWS];
	for (uint32_t i = 0; i < ROWS; i++) {
		keys[i] = 1 + i;
	}
	scratch_must(scratch_try_put(scratch, "r", keys, ROWS, 0, &err), &err);
	struct merge_result merged;
	scratch_must(store_merge(scratch->store, NULL, &merged, &err), &err);
	assert_false(is_named(scratch, any));
}

static bool is_stale(struct scratch *scratch)
{
	const struct snapshot *snapshot = snapshot_begin(scratch->store);
	const bool stale =
		table_index_is_stale(atomic_load(&snapshot->releases[0]->tables[0]->index));
	snapshot_end(scratch->store);
	return stale;
}

/* No recall is promised by what was measured on other rows; then all is measured anew. */
static void an_index_of_which_much_has_changed_is_built_anew(void **state)
{
	struct scratch *scratch = *state;
	struct wait wait = {0};
	make(scratch);
	put(scratch, 1, ROWS / 2, 2);
	struct index *index = hold_index(scratch);
	assert_non_null(index);
	assert_true(index->changed == 0 || (index->changed == ROWS / 2 && is_stale(scratch)));
	while (index->changed != 0) {
		index_close(index);
		wait_a_moment(&wait);
		index = hold_index(scratch);
	}
	index_close(index);
	(void)wait_for(scratch, 0, 3); /* it is counted a moment later */
	put(scratch, 1, 3, 3);
	index = hold_index(scratch);
	assert_int_equal(index->changed, 3);
	index_close(index);
}

static void a_build_keeps_to_its_memory(void **state)
{
	struct scratch *scratch = *state;
	scratch->sizes.index_memory = 1000;
	scratch_open(scratch);
	load(scratch, "r", ROWS);
	scratch_seal(scratch, "r");
	(void)wait_for(scratch, 1, 0);
	assert_true(scratch_heard(scratch, "index_memory leaves 750"));
}

/* When the index of the table is tried again; 0: now. */
static uint64_t again_ms(struct scratch *scratch)
{
	store_lock_admin(scratch->store);
	const uint64_t when = store_current(scratch->store)->releases[0]->tables[0]->index_again_ms;
	store_unlock_admin(scratch->store);
	return when;
}

static void a_merge_does_not_bring_the_next_try_forward(void **state)
{
	struct scratch *scratch = *state;
	scratch->sizes.index_retry_ms = 3600000;
	scratch_open(scratch);
	load(scratch, "r", ROWS);
	stand_in_the_way(scratch, true);
	scratch_seal(scratch, "r");
	(void)wait_for(scratch, 1, 0);
	const uint64_t when = again_ms(scratch);
	assert_true(when > 0);
	put(scratch, 1, 3, 2);
	assert_true(again_ms(scratch) == when);
	assert_int_equal(figures_of(scratch).failed, 1);
	stand_in_the_way(scratch, false);
}

static void a_build_ends_in_its_time(void **state)
{
	struct scratch *scratch = *state;
	scratch->sizes.index_time_ms = 1;
	scratch_open(scratch);
	load(scratch, "r", ROWS_LONG);
	scratch_seal(scratch, "r");
	(void)wait_for(scratch, 1, 0);
	assert_true(scratch_heard(scratch, "not done in index_time, 1 ms"));
	assert_null(hold_index(scratch));
	/* Another store has time. */
	scratch->sizes.index_time_ms = 600000;
	scratch_reopen(scratch);
	(void)wait_for(scratch, 0, 1);
}

/* A build whose release is dropped meanwhile has failed nobody: there is nothing to tell an operator. */
static void a_build_of_a_dropped_release_is_no_failure(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct wait wait = {0};
	load(scratch, "r", ROWS_LONG);
	scratch_seal(scratch, "r");
	while (!figures_of(scratch).running) {
		wait_a_moment(&wait);
	}
	scratch_must(store_release_drop(scratch->store, "r", &err), &err);
	/* Its turn comes when the other one's is over. */
	load(scratch, "s", ROWS);
	scratch_seal(scratch, "s");
	while (!scratch_heard(scratch, "event=index_built release=2 ")) {
		wait_a_moment(&wait);
	}
	assert_int_equal(figures_of(scratch).failed, 0);
	assert_false(scratch_heard(scratch, "event=index_failed "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_build_that_failed_is_tried_again, setup_store,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(
			a_store_closes_while_an_index_waits_to_be_tried_again, setup_store,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(an_index_that_fails_is_built_anew, setup_store,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(a_merge_keeps_axes_and_recalls, setup_store,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(current_names_the_indexes_that_there_are,
			setup_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(an_index_of_which_much_has_changed_is_built_anew,
			setup_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_build_of_a_dropped_release_is_no_failure,
			setup_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_build_keeps_to_its_memory, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(a_merge_does_not_bring_the_next_try_forward, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(a_build_ends_in_its_time, setup, scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
