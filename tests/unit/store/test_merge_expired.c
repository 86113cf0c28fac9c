/* test_merge_expired.c - which rows a merge removes for good, and that it does nothing for nobody. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/memtable/memtable_merge.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/merge/merger.h"
#include "daemon/store/observe/observe.h"
#include "daemon/store/read/lookup.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/state/state.h"
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

/* ---- samples ---- */

/* A sealed release with table "cr_user@fm", whose rows expire after an hour. */
static void make_sums(struct scratch *scratch)
{
	struct error err = {0};
	struct table_spec spec = scratch_spec("cr_user@fm", DTYPE_F32, KEY_U64, SCRATCH_DIM);
	spec.entity = ENTITY_USER;
	spec.kind = KIND_CR;
	spec.decay_events = 1;
	spec.reading = READING_SUM;
	spec.state = STATE_F32X2;
	spec.ttl_ms = HOUR_MS;
	scratch_release(scratch, "r1");
	scratch_must(store_table_create(scratch->store, "r1", &spec, NULL, &err), &err);
	scratch_seal(scratch, "r1");
}

/* Adds a sample of this moment to a key. */
static void observe(struct scratch *scratch, uint64_t key, int64_t now_ms)
{
	const float row[SCRATCH_DIM] = {1, 2, 3, 4};
	struct error err = {0};
	struct observe_result result;
	struct write_ticket *ticket;
	const struct observation sample = {
		.release = "r1",
		.layer = "fm",
		.count = 1,
		.users = {KEY_U64, 1, (const uint8_t *)&key, NULL},
		.times = (const uint8_t *)&now_ms,
		.dtype = DTYPE_F32,
		.rows = (const uint8_t *)row,
		.rows_bytes = sizeof row,
		.now_ms = now_ms,
	};
	scratch_must(store_observe(scratch->store, &sample, &result, &ticket, &err), &err);
	scratch_must(store_write_wait(ticket, &err), &err);
}

static double weight_of(struct scratch *scratch, uint64_t key, int64_t now_ms)
{
	double weight = 0;
	float row[SCRATCH_DIM];
	uint8_t found;
	struct error err = {0};
	struct lookup lookup = {
		.table = scratch_table(scratch, "cr_user@fm"),
		.keys = {KEY_U64, 1, (const uint8_t *)&key, NULL},
		.dtype = DTYPE_F32,
		.visible = atomic_load(&scratch->store->visible),
		.now_ms = now_ms,
		.may_block = true,
		.rows = (uint8_t *)row,
		.found = &found,
		.weights = (uint8_t *)&weight,
	};
	scratch_must(table_lookup(&lookup, &err), &err);
	snapshot_end(scratch->store);
	return weight;
}

static enum status no_pace(void *arg, uint64_t bytes, struct error *err)
{
	(void)arg;
	(void)bytes;
	(void)err;
	return STATUS_OK;
}

/* Merges what is frozen, and nothing else, by the clock of a cut that has all. */
static void merge_frozen(struct scratch *scratch, int64_t clock_ms)
{
	struct error err = {0};
	struct store *store = scratch->store;
	struct merge_job job = {
		.store = store,
		.cut = atomic_load(&store->visible),
		.clock_ms = clock_ms,
		.pace = no_pace,
	};
	const struct release *release;
	lock_take(&store->admin_lock);
	scratch_must(snapshot_release(store_current(store), "r1", &release, &err), &err);
	job.release = release->number;
	for (size_t i = 0; i < release->table_count; i++) {
		job.table =
			spec_aggregates(&release->tables[i]->spec) ? release->tables[i] : job.table;
	}
	assert_non_null(job.table);
	if (job.table == NULL) {
		abort(); /* the assertion does not return, which its declaration leaves out */
	}
	job.table->refs++;
	lock_release(&store->admin_lock);
	scratch_must(merge_table(&job, &err), &err);
	lock_take(&store->admin_lock);
	table_drop(job.table);
	lock_release(&store->admin_lock);
}

/* A merge has failed for hours. The next one merges what that one had frozen. The samples that came
 * meanwhile are in the log alone, and went to a state that had not expired then. */
static void a_state_stays_while_the_log_has_samples_of_its_time(void **state)
{
	struct scratch *scratch = *state;
	const int64_t then_ms = clock_unix_ms() - 5 * (int64_t)HOUR_MS;
	const int64_t later_ms = then_ms + 30 * (int64_t)MINUTE_MS;
	make_sums(scratch);
	observe(scratch, 1, then_ms);
	expect_merge(scratch, 1, 1);
	observe(scratch, 2, then_ms);
	const struct memtable *memtable = scratch_table(scratch, "cr_user@fm")->memtable;
	snapshot_end(scratch->store);
	assert_true(memtable_freeze((struct memtable *)memtable,
		atomic_load(&scratch->store->visible)));
	observe(scratch, 1, later_ms);
	assert_true(weight_of(scratch, 1, later_ms) == 2);
	merge_frozen(scratch, then_ms + 3 * (int64_t)HOUR_MS);
	scratch_reopen(scratch);
	assert_true(weight_of(scratch, 1, later_ms) == 2);
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
		cmocka_unit_test_setup_teardown(a_state_stays_while_the_log_has_samples_of_its_time,
			scratch_setup_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(what_expires_later_goes_when_a_merge_is_asked_for,
			scratch_setup_store, scratch_teardown),
	};
	return cmocka_run_group_tests_name("merge_expired", tests, NULL, NULL);
}
