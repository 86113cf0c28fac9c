/* test_observe_damage.c - samples whose states are on damaged pages: taken by nobody, lost by nobody, over restarts,
 * merges of other tables, and a repair. */
#include "daemon/store/merge/merge.h"
#include "daemon/store/merge/repair.h"
#include "daemon/store/observe/observe.h"
#include "tests/unit/fixture.h"
#include "tests/unit/store/observe_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void a_damaged_table_takes_no_samples(void **state)
{
	struct scratch *scratch = *state;
	static struct sample_batch batch;
	struct observe_result result;
	struct error err = {0};
	char path[PATH_MAX];
	samples_send(scratch, 0, 100, 100);
	samples_merge(scratch);
	scratch_close(scratch);
	scratch_path(scratch, path, "releases/1/base-2-1.mdb"); /* of one of the two */
	scratch_flip(path, 9000);
	scratch_open(scratch);
	assert_int_equal(samples_try(scratch, samples_make(&batch, 100, 50), &result, &err),
		STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "cr_item@fm"));
	assert_int_equal(samples_next(scratch, "s"), 100);
	scratch_close(scratch);
	scratch_flip(path, 9000);
	scratch_open(scratch);
	samples_expect(scratch, 0, 100);
	samples_send(scratch, 100, 50, 50);
	samples_expect(scratch, 0, 150);
}

/* The states that they are added to cannot be read: the start goes on without, and when the file is
 * whole again, so are they. */
static void samples_of_the_log_outlive_damage_below_them(void **state)
{
	struct scratch *scratch = *state;
	char path[PATH_MAX];
	samples_send(scratch, 0, 100, 100);
	samples_merge(scratch);
	samples_send(scratch, 100, 50, 50);
	scratch_close(scratch);
	scratch_path(scratch, path, "releases/1/base-2-1.mdb");
	scratch_flip(path, 9000);
	scratch_open(scratch);
	assert_int_equal(samples_next(scratch, "s"), 150);
	scratch_close(scratch);
	scratch_flip(path, 9000);
	scratch_open(scratch);
	samples_expect(scratch, 0, 150);
	samples_send(scratch, 150, 50, 50);
	samples_expect(scratch, 0, 200);
}

/* Nothing of the table can be read, and so nothing of its samples can be told. A merge of the others
 * leaves them in the log. */
static void samples_of_the_log_outlive_a_merge_beside_damage(void **state)
{
	struct scratch *scratch = *state;
	struct merge_result result;
	struct error err = {0};
	char path[PATH_MAX];
	samples_send(scratch, 0, 100, 100);
	samples_merge(scratch);
	samples_send(scratch, 100, 50, 50);
	scratch_close(scratch);
	scratch_path(scratch, path, "releases/1/base-2-1.mdb");
	struct scratch_file file = scratch_read(path);
	scratch_cut(path, 4096);
	scratch_open(scratch);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(store_merge(scratch->store, NULL, &result, &err), STATUS_CORRUPT);
		assert_non_null(strstr(err.text, "cr_item@fm"));
		scratch_reopen(scratch);
	}
	scratch_close(scratch);
	scratch_write(path, file.data, file.len);
	free(file.data);
	scratch_open(scratch);
	samples_expect(scratch, 0, 150);
	samples_send(scratch, 150, 50, 50);
	samples_expect(scratch, 0, 200);
	samples_merge(scratch);
	samples_expect(scratch, 0, 200);
}

static void repair(struct scratch *scratch, const char *table)
{
	struct repair_wish wish = {.release = "r1"};
	struct repair_report report;
	struct error err = {0};
	(void)snprintf(wish.table.text, sizeof wish.table.text, "%s", table);
	scratch_must(store_repair(scratch->store, &wish, NULL, &report, &err), &err);
	assert_int_equal(report.count, 1);
	assert_true(report.ranges[0].unreadable > 0);
	assert_true(report.needs_start);
	repair_report_fini(&report);
}

/* What could not be added to the states before these were lost is in the log alone, until a start adds it. */
static void samples_of_the_log_outlive_a_repair(void **state)
{
	struct scratch *scratch = *state;
	struct merge_result result;
	struct error err = {0};
	char path[PATH_MAX];
	samples_send(scratch, 0, 100, 100);
	samples_merge(scratch);
	samples_send(scratch, 100, 50, 50);
	scratch_close(scratch);
	for (int i = 0; i < 2; i++) {
		scratch_path(scratch, path,
			i == 0 ? "releases/1/base-1-1.mdb" : "releases/1/base-2-1.mdb");
		scratch_cut(path, 4096);
	}
	scratch_open(scratch);
	repair(scratch, "cr_user@fm");
	repair(scratch, "cr_item@fm");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(store_merge(scratch->store, NULL, &result, &err), STATUS_CORRUPT);
		assert_non_null(strstr(err.text, "in the log alone"));
	}
	scratch_reopen(scratch);
	assert_int_equal(samples_next(scratch, "s"), 150);
	samples_expect(scratch, 100, 150);
	samples_merge(scratch);
	scratch_reopen(scratch);
	samples_expect(scratch, 100, 150);
}

/* Samples that are too large without the state below them. */
static void samples_of_the_log_are_not_judged_without_their_states(void **state)
{
	struct scratch *scratch = *state;
	static struct sample_batch batch;
	struct observe_result result;
	struct error err = {0};
	char path[PATH_MAX];
	struct observation *given = samples_make(&batch, 0, 1);
	for (size_t j = 0; j < SAMPLE_DIM; j++) {
		batch.rows[0][j] = -3e38F;
	}
	scratch_must(samples_try(scratch, given, &result, &err), &err);
	samples_merge(scratch);
	given = samples_make(&batch, 1, 2);
	for (size_t i = 0; i < 2; i++) {
		batch.users[i] = 0; /* as of sample 0 */
		batch.times[i] = batch.times[0];
		for (size_t j = 0; j < SAMPLE_DIM; j++) {
			batch.rows[i][j] = 3e38F;
		}
	}
	scratch_must(samples_try(scratch, given, &result, &err), &err);
	scratch_close(scratch);
	scratch_path(scratch, path, "releases/1/base-1-1.mdb");
	scratch_cut(path, 4096);
	scratch_open(scratch);
	assert_int_equal(samples_next(scratch, "s"), 3);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(a_damaged_table_takes_no_samples),
		cmocka_unit_test(samples_of_the_log_outlive_damage_below_them),
		cmocka_unit_test(samples_of_the_log_outlive_a_merge_beside_damage),
		cmocka_unit_test(samples_of_the_log_outlive_a_repair),
		cmocka_unit_test(samples_of_the_log_are_not_judged_without_their_states),
	};
	return fixture_run(tests, sizeof tests / sizeof *tests, samples_setup, scratch_teardown);
}
