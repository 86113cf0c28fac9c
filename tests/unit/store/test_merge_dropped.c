/* test_merge_dropped.c - a release that is dropped while it is merged. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/memtable/memtable_merge.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/merge/merger.h"
#include "daemon/store/state/state.h"
#include "daemon/store/write/write.h"
#include "tests/unit/store/scratch.h"
#include "tests/unit/wait.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Several segments and files. */
enum { ROWS = 6000 };

static void put_one(struct scratch *scratch, const char *release, uint64_t key, uint32_t version)
{
	float row[SCRATCH_DIM];
	struct error err = {0};
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
	scratch_must(store_put(scratch->store, &put, &result, &ticket, &err), &err);
	scratch_must(store_write_wait(ticket, &err), &err);
}

/* Drops a release when so many pieces of the merge are written. */
struct dropper {
	struct scratch *scratch;
	char folder[PATH_MAX]; /* the release's */
	int after;             /* -1: before the merge begins */
	int pieces;            /* that were written */
};

static void wait_until_gone(const struct dropper *dropper)
{
	struct wait wait = {0};
	while (scratch_exists(dropper->folder)) {
		wait_a_moment(&wait);
	}
}

/* Until the janitor has come to remove the release's folder, and has left it to the merge. */
static void wait_until_left(const struct dropper *dropper)
{
	struct store *store = dropper->scratch->store;
	struct wait wait = {0};
	bool left = false;
	while (!left) {
		wait_a_moment(&wait);
		lock_take(&store->admin_lock);
		left = store->merging_dropped;
		lock_release(&store->admin_lock);
	}
	assert_true(scratch_exists(dropper->folder));
}

static enum status on_piece(void *arg, uint64_t bytes, struct error *err)
{
	struct dropper *dropper = arg;
	(void)bytes;
	if (dropper->pieces++ == dropper->after) {
		scratch_must(store_release_drop(dropper->scratch->store, "r1", err), err);
		if (dropper->after % 2 == 0) {
			wait_until_left(dropper);
		}
	}
	return STATUS_OK;
}

/* A merge of the table of r1, as the merger does it. */
static enum status merge_and_drop(struct scratch *scratch, struct dropper *dropper,
	struct error *err)
{
	struct store *store = scratch->store;
	const struct release *release;
	char name[32];
	lock_take(&store->admin_lock);
	scratch_must(snapshot_release(store_current(store), "r1", &release, err), err);
	(void)snprintf(name, sizeof name, "releases/%" PRIu64, release->number);
	scratch_path(scratch, dropper->folder, name);
	struct merge_job job = {
		.store = store,
		.release = release->number,
		.table = release->tables[0],
		.clock_ms = SCRATCH_NOW_MS,
		.pace = on_piece,
		.pace_arg = dropper,
	};
	job.table->refs++;
	lock_release(&store->admin_lock);
	assert_true(memtable_freeze(job.table->memtable, atomic_load(&store->visible)));
	if (dropper->after < 0) {
		scratch_must(store_release_drop(store, "r1", err), err);
	}
	const enum status status = merge_table(&job, err);
	lock_take(&store->admin_lock);
	table_drop(job.table);
	lock_release(&store->admin_lock);
	return status;
}

static void a_release_may_be_dropped_while_it_is_merged(void **state)
{
	struct scratch *scratch = *state;
	for (int after = -1; after < 8; after++) {
		struct dropper dropper = {.scratch = scratch, .after = after};
		struct error err = {0};
		scratch_sealed(scratch, "r1", 0, ROWS, 1);
		put_one(scratch, "r1", 1, 2);
		assert_int_equal(merge_and_drop(scratch, &dropper, &err), STATUS_NOT_FOUND);
		assert_true(dropper.pieces > after);
		wait_until_gone(&dropper);
	}
	scratch_sealed(scratch, "r2", 0, ROWS, 3);
	put_one(scratch, "r2", 1, 4);
	struct merge_result result;
	struct error err = {0};
	scratch_must(store_merge(scratch->store, NULL, &result, &err), &err);
	assert_int_equal(result.tables, 1);
	scratch_reopen(scratch);
	assert_int_equal(scratch_version(scratch, "r2", 1), 4);
	assert_string_equal(scratch->events, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_release_may_be_dropped_while_it_is_merged,
			scratch_setup_small_store, scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
