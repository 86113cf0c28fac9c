/* test_merge_expired.c - which rows a merge removes for good, and that it does nothing for nobody. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/write/write.h"
#include "tests/unit/store/scratch.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS };
static const int64_t month_ms = INT64_C(30) * 24 * HOUR_MS;

/* A sealed release with table "ttl", whose rows expire after an hour. */
static void make(struct scratch *scratch)
{
	struct error err = {0};
	struct table_spec spec = scratch_spec("ttl", DTYPE_F32, KEY_U64, SCRATCH_DIM);
	spec.ttl_ms = HOUR_MS;
	scratch_release(scratch, "r1");
	scratch_must(store_table_create(scratch->store, "r1", &spec, NULL, &err), &err);
	scratch_seal(scratch, "r1");
}

/* Puts a row of so many minutes of age, by a request whose clock is now_ms. */
static void put(struct scratch *scratch, const char *table, uint64_t key, int64_t age_minutes,
	int64_t now_ms)
{
	float row[SCRATCH_DIM];
	struct error err = {0};
	struct write_result result;
	struct write_ticket *ticket;
	const int64_t time_ms = clock_unix_ms() - age_minutes * MINUTE_MS;
	scratch_row(key, 1, row);
	const struct table_write part = {
		.table = table,
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

static void expect_merge(struct scratch *scratch, uint64_t tables, uint64_t rows)
{
	struct merge_result result;
	struct error err = {0};
	scratch_must(store_merge(scratch->store, NULL, &result, &err), &err);
	assert_int_equal(result.tables, tables);
	assert_int_equal(result.rows, rows);
}

static void what_expired_an_hour_ago_is_removed(void **state)
{
	struct scratch *scratch = *state;
	make(scratch);
	put(scratch, "ttl", 1, 0, clock_unix_ms());
	put(scratch, "ttl", 2, 90, clock_unix_ms()); /* half an hour ago */
	put(scratch, "ttl", 3, 180, clock_unix_ms());
	expect_merge(scratch, 1, 2);
}

/* All three are months old by the clock of the merge; but that of the last write is what counts. */
static void the_clock_of_what_was_written_counts(void **state)
{
	struct scratch *scratch = *state;
	const int64_t then_ms = clock_unix_ms() - month_ms;
	const int64_t month_minutes = month_ms / MINUTE_MS;
	make(scratch);
	put(scratch, "ttl", 1, month_minutes, then_ms);
	put(scratch, "ttl", 2, month_minutes + 90, then_ms);
	put(scratch, "ttl", 3, month_minutes + 180, then_ms);
	expect_merge(scratch, 1, 2);
	expect_merge(scratch, 0, 0);
	scratch_reopen(scratch);
	expect_merge(scratch, 0, 0);
}

/* Somebody sets the clock two months ahead, and writes and merges. */
static void a_clock_that_was_set_forward_removes_nothing(void **state)
{
	struct scratch *scratch = *state;
	make(scratch);
	put(scratch, "ttl", 1, 0, clock_unix_ms());
	put(scratch, "ttl", 2, 0, clock_unix_ms());
	expect_merge(scratch, 1, 2);
	put(scratch, "ttl", 3, 0, clock_unix_ms() + 2 * month_ms);
	assert_true(scratch_heard(scratch, "event=clock_jumped"));
	expect_merge(scratch, 1, 3);
	/* The same from the log, when the clock is right again. */
	put(scratch, "ttl", 4, 0, clock_unix_ms() + 2 * month_ms);
	scratch_reopen(scratch);
	expect_merge(scratch, 1, 4);
	put(scratch, "ttl", 5, 180, clock_unix_ms());
	expect_merge(scratch, 1, 4);
}

/* A merge that is asked for writes nothing while nothing has expired since. */
static void a_merge_that_nobody_needs_writes_nothing(void **state)
{
	struct scratch *scratch = *state;
	const int64_t now_ms = clock_unix_ms();
	make(scratch);
	put(scratch, "ttl", 1, 0, now_ms);
	put(scratch, "ttl", 2, 60, now_ms);
	expect_merge(scratch, 1, 2);
	for (int i = 0; i < 3; i++) {
		expect_merge(scratch, 0, 0);
	}
	scratch_reopen(scratch);
	expect_merge(scratch, 0, 0);
}

/* Another table is written to later: by that write's clock the row of this one has expired. */
static void what_expires_later_goes_when_a_merge_is_asked_for(void **state)
{
	struct scratch *scratch = *state;
	const int64_t then_ms = clock_unix_ms() - 3 * (int64_t)HOUR_MS;
	make(scratch);
	put(scratch, "ttl", 1, 180, then_ms);
	expect_merge(scratch, 1, 1);
	expect_merge(scratch, 0, 0);
	scratch_reopen(scratch); /* so that a clock of three hours later is believed */
	put(scratch, "t", 1, 0, clock_unix_ms());
	expect_merge(scratch, 2, 1);
	expect_merge(scratch, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_expired_an_hour_ago_is_removed,
			scratch_setup_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(the_clock_of_what_was_written_counts,
			scratch_setup_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_clock_that_was_set_forward_removes_nothing,
			scratch_setup_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_merge_that_nobody_needs_writes_nothing,
			scratch_setup_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(what_expires_later_goes_when_a_merge_is_asked_for,
			scratch_setup_store, scratch_teardown),
	};
	return cmocka_run_group_tests_name("merge_expired", tests, NULL, NULL);
}
