/* test_merge.c - what a merge does when its files cannot be read, and a log that lost its head. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/figures.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/system/mapfault.h"
#include "daemon/store/write/write.h"
#include "daemon/store/write/write_figures.h"
#include "tests/unit/store/scratch.h"
#include "tests/unit/wait.h"

#include <sched.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROWS = 300 };

static enum status try_put(struct scratch *scratch, const char *release, uint64_t key,
	uint32_t version, struct error *err)
{
	float row[SCRATCH_DIM];
	struct write_result result;
	struct write_ticket *ticket;
	scratch_row(key, version, row);
	const struct table_write part = {
		.table = "t",
		.batch = {.keys = {KEY_U64, 1, (const uint8_t *)&key, NULL},
			.dtype = DTYPE_F32,
			.rows = (const uint8_t *)row,
			.rows_bytes = sizeof row},
	};
	const struct row_write put = {
		.release = release,
		.parts = &part,
		.part_count = 1,
		.now_ms = SCRATCH_NOW_MS,
	};
	const enum status status = store_put(scratch->store, &put, &result, &ticket, err);
	return status == STATUS_OK ? store_write_wait(ticket, err) : status;
}

static void put_into(struct scratch *scratch, const char *release, uint64_t key, uint32_t version)
{
	struct error err = {0};
	scratch_must(try_put(scratch, release, key, version, &err), &err);
}

static void put_one(struct scratch *scratch, uint64_t key, uint32_t version)
{
	put_into(scratch, "r1", key, version);
}

static struct write_figures figures_of(struct scratch *scratch)
{
	struct store_figures figures;
	store_figures(scratch->store, &figures);
	return figures.write;
}

static void pages_that_cannot_be_read_are_not_merged_as_zeros(void **state)
{
	struct scratch *scratch = *state;
	char path[PATH_MAX];
	struct merge_result result;
	struct error err = {0};
	scratch_sealed(scratch, "r1", 0, ROWS, 1);
	scratch_expect(scratch, "r1", 0, ROWS, 1);
	put_one(scratch, 1, 2);
	scratch_path(scratch, path, "releases/1/base-1-0.mdb");
	struct scratch_file whole = scratch_read(path);
	assert_int_equal(mapfault_install(), STATUS_OK); /* cmocka took the signal */
	scratch_cut(path, 8192);
	/* OK: the check of all pages came to them first, so that the row went into a delta. */
	const enum status merged = store_merge(scratch->store, NULL, &result, &err);
	assert_true(merged == STATUS_CORRUPT || merged == STATUS_OK);
	scratch_close(scratch);
	/* Nothing took the file's place, and the write waits in the log or stands in the delta. */
	scratch_write(path, whole.data, whole.len);
	free(whole.data);
	scratch_open(scratch);
	scratch_expect(scratch, "r1", 2, ROWS - 2, 1);
	assert_int_equal(scratch_version(scratch, "r1", 1), 2);
}

static void a_log_that_lost_its_head_is_damage(void **state)
{
	struct scratch *scratch = *state;
	char path[PATH_MAX];
	scratch_sealed(scratch, "r1", 0, ROWS, 1);
	put_one(scratch, 1, 2);
	scratch_close(scratch);
	scratch_path(scratch, path, "log/1.log");
	struct scratch_file whole = scratch_read(path);
	for (size_t len = 0; len <= 64; len += 16) {
		struct error err = {0};
		scratch_cut(path, 0);
		scratch_write(path, whole.data, len < 64 ? len : 63);
		assert_int_equal(scratch_try_open(scratch, &err), STATUS_CORRUPT);
	}
	scratch_write(path, whole.data, whole.len);
	free(whole.data);
	scratch_open(scratch);
	assert_int_equal(scratch_version(scratch, "r1", 1), 2);
}

/* A merge that was asked for, in a thread of its own. */
struct asked {
	struct store *store;
	pthread_t thread;
	enum status status;
	struct merge_result result;
	struct error err;
};

static void *ask(void *arg)
{
	struct asked *asked = arg;
	asked->status = store_merge(asked->store, NULL, &asked->result, &asked->err);
	return NULL;
}

static void ask_for_merge(struct scratch *scratch, struct asked *asked)
{
	*asked = (struct asked){.store = scratch->store};
	assert_int_equal(pthread_create(&asked->thread, NULL, ask, asked), 0);
}

/* Asks for a merge of r1, and drops r1 while that writes. */
static void drop_while_it_merges(struct scratch *scratch, struct asked *asked)
{
	struct error err = {0};
	struct wait wait = {0};
	ask_for_merge(scratch, asked);
	while (figures_of(scratch).merge_bytes == 0) {
		wait_a_moment(&wait);
	}
	put_into(scratch, "r2", 1, 2);
	scratch_must(store_release_drop(scratch->store, "r1", &err), &err);
	(void)pthread_join(asked->thread, NULL);
}

static void a_release_that_is_dropped_while_it_is_merged_leaves_nothing_to_merge(void **state)
{
	struct scratch *scratch = *state;
	struct asked asked;
	char folder[PATH_MAX];
	scratch->write.merge_rate = 50000; /* a segment of 300 rows takes some 400 ms */
	scratch_open(scratch);
	scratch_sealed(scratch, "r1", 0, ROWS, 1);
	scratch_sealed(scratch, "r2", 0, ROWS, 1);
	put_one(scratch, 1, 2);
	drop_while_it_merges(scratch, &asked);
	scratch_must(asked.status, &asked.err);
	assert_int_equal(asked.result.tables, 0);
	/* The other table's row came after the cut: nothing had to be done a second time. */
	assert_int_equal(figures_of(scratch).memtable_rows, 1);
	assert_int_equal(figures_of(scratch).log_files, 1);
	scratch_close(scratch);
	/* Nor anything else: no file, and no alarm that its files were missing. */
	assert_string_equal(scratch->events, "");
	scratch_path(scratch, folder, "releases/1");
	assert_false(scratch_exists(folder));
	scratch_open(scratch);
	scratch_expect(scratch, "r2", 2, ROWS - 2, 1);
	assert_int_equal(scratch_version(scratch, "r2", 1), 2);
}

/* Each round a little later in the merge: by how often the processor was given away. */
static void a_drop_at_any_moment_of_a_merge_raises_no_alarm(void **state)
{
	enum { ROUNDS = 200, STEP = 40 };
	struct scratch *scratch = *state;
	char folder[PATH_MAX];
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct asked asked;
		struct error err = {0};
		scratch_sealed(scratch, "r1", 0, ROWS, 1);
		put_one(scratch, 1, 2);
		ask_for_merge(scratch, &asked);
		for (unsigned i = 0; i < round * STEP; i++) {
			(void)sched_yield();
		}
		scratch_must(store_release_drop(scratch->store, "r1", &err), &err);
		(void)pthread_join(asked.thread, NULL);
		scratch_must(asked.status, &asked.err);
	}
	scratch_close(scratch);
	assert_string_equal(scratch->events, "");
	scratch_path(scratch, folder, "releases");
	assert_int_equal(scratch_count(folder, ""), 0);
}

static void a_merge_whose_folder_is_missing_fails(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct merge_result result;
	char folder[PATH_MAX];
	char away[PATH_MAX];
	scratch_sealed(scratch, "r1", 0, ROWS, 1);
	put_one(scratch, 1, 2);
	scratch_path(scratch, folder, "releases/1");
	scratch_path(scratch, away, "away");
	assert_int_equal(rename(folder, away), 0);
	assert_int_equal(store_merge(scratch->store, NULL, &result, &err), STATUS_IO);
	assert_non_null(strstr(err.text, "releases/1"));
	assert_int_equal(rename(away, folder), 0);
	scratch_must(store_merge(scratch->store, NULL, &result, &err), &err);
	assert_int_equal(result.tables, 1);
	assert_int_equal(scratch_version(scratch, "r1", 1), 2);
}

/* Puts a row once the store is not busy any more, which it may be for a moment. */
static void put_soon(struct scratch *scratch, const char *release, uint64_t key)
{
	struct error err = {0};
	struct wait wait = {0};
	enum status status;
	while ((status = try_put(scratch, release, key, 2, &err)) == STATUS_BUSY) {
		wait_a_moment(&wait);
	}
	scratch_must(status, &err);
}

/* The folder of r1 goes away, so r1 cannot be merged, or it comes back. */
static void move_r1(struct scratch *scratch, bool away)
{
	char here[PATH_MAX];
	char there[PATH_MAX];
	scratch_path(scratch, here, "releases/1");
	scratch_path(scratch, there, "away");
	assert_int_equal(away ? rename(here, there) : rename(there, here), 0);
}

/* Merges of r2 make the log grow until nothing is taken any more: r1 has a row in it. */
static void fill_the_log_beside_a_stuck_table(struct scratch *scratch)
{
	struct error err = {0};
	struct merge_result result;
	put_one(scratch, 1, 2);
	move_r1(scratch, true);
	uint64_t key = 0;
	while (try_put(scratch, "r2", ++key, 2, &err) == STATUS_OK) {
		assert_true(key < 10000);
		if (key % 64 == 0) {
			assert_int_equal(store_merge(scratch->store, NULL, &result, &err),
				STATUS_IO);
		}
	}
	assert_int_equal(err.status, STATUS_BUSY);
	assert_non_null(strstr(err.text, "cannot be merged"));
}

static void dropping_the_stuck_release_frees_the_log(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	scratch->write.log_bytes = 20000;
	scratch_open(scratch);
	scratch_sealed(scratch, "r1", 0, ROWS, 1);
	scratch_sealed(scratch, "r2", 0, ROWS, 1);
	fill_the_log_beside_a_stuck_table(scratch);
	move_r1(scratch, false);
	scratch_must(store_release_drop(scratch->store, "r1", &err), &err);
	put_soon(scratch, "r2", 1);
	scratch_reopen(scratch);
	put_soon(scratch, "r2", 1);
	assert_int_equal(scratch_version(scratch, "r2", 1), 2);
}

static void a_stuck_table_does_not_hold_up_the_others(void **state)
{
	struct scratch *scratch = *state;
	scratch->write.memtable_rows = 200;
	scratch_open(scratch);
	scratch_sealed(scratch, "r1", 0, ROWS, 1);
	scratch_sealed(scratch, "r2", 0, ROWS, 1);
	put_one(scratch, 1, 2);
	move_r1(scratch, true);
	for (uint64_t key = 0; key < 4000; key++) {
		put_into(scratch, "r2", key, 2);
	}
	assert_true(figures_of(scratch).merges_failed > 0);
	assert_int_equal(figures_of(scratch).merges, 0);
	move_r1(scratch, false);
}

/* What was written to a release is in the log still when that is dropped. */
static void a_log_of_dropped_releases_is_cut(void **state)
{
	enum { ROUNDS = 60, PUTS = 40 };
	struct scratch *scratch = *state;
	struct error err = {0};
	scratch->write.log_bytes = 20000; /* some 170 puts of a row */
	scratch_open(scratch);
	scratch_sealed(scratch, "r2", 0, 1, 1);
	put_into(scratch, "r2", 2, 2); /* waits for a merge all the time */
	for (unsigned round = 0; round < ROUNDS; round++) {
		scratch_sealed(scratch, "r1", 0, 1, 1);
		for (uint64_t i = 0; i < PUTS; i++) {
			put_soon(scratch, "r1", i);
		}
		scratch_must(store_release_drop(scratch->store, "r1", &err), &err);
	}
	assert_int_equal(scratch_version(scratch, "r2", 2), 2);
}

/* What is written to dropped releases while a merge runs stands in the file that the cut began, which
 * only the next cut lets go. */
static void a_log_that_dropped_releases_filled_during_a_merge_is_cut_after_it(void **state)
{
	enum { PUTS = 10, WAITING = 45, RATE = 4000, ROUNDS = 30 };
	struct scratch *scratch = *state;
	struct error err = {0};
	scratch->write.log_bytes = 20000;
	scratch->write.merge_rate = RATE; /* so that a merge of r2 takes some seconds */
	scratch_open(scratch);
	scratch_sealed(scratch, "r2", 0, ROWS, 1);
	enum status status = STATUS_OK;
	struct wait wait = {0};
	while (status == STATUS_OK) {
		for (uint64_t i = 0; i < WAITING && !figures_of(scratch).merge_running; i++) {
			put_soon(scratch, "r2", i);
		}
		scratch_sealed(scratch, "r1", 0, 1, 1);
		for (uint64_t i = 0; status == STATUS_OK && i < PUTS; i++) {
			status = try_put(scratch, "r1", i, 2, &err);
		}
		scratch_must(store_release_drop(scratch->store, "r1", &err), &err);
		wait_busily(&wait);
	}
	assert_int_equal(status, STATUS_BUSY);
	for (unsigned round = 0; round < ROUNDS; round++) {
		scratch_sealed(scratch, "r1", 0, 1, 1);
		for (uint64_t i = 0; i < PUTS; i++) {
			put_soon(scratch, "r1", i);
		}
		scratch_must(store_release_drop(scratch->store, "r1", &err), &err);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pages_that_cannot_be_read_are_not_merged_as_zeros,
			scratch_setup_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_log_that_lost_its_head_is_damage,
			scratch_setup_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(
			a_release_that_is_dropped_while_it_is_merged_leaves_nothing_to_merge,
			scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_drop_at_any_moment_of_a_merge_raises_no_alarm,
			scratch_setup_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_merge_whose_folder_is_missing_fails,
			scratch_setup_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(dropping_the_stuck_release_frees_the_log,
			scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_stuck_table_does_not_hold_up_the_others,
			scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_log_of_dropped_releases_is_cut, scratch_setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(
			a_log_that_dropped_releases_filled_during_a_merge_is_cut_after_it,
			scratch_setup, scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
