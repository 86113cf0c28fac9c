/* test_store_memory.c - whatever allocation is refused to a store, it says so and goes on. */

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/admin/admin.h"
#include "daemon/store/load/load.h"
#include "daemon/store/read/lookup.h"
#include "daemon/store/seal/seal_release.h"
#include "daemon/store/spill/load_chunk.h"
#include "daemon/store/state/reader.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/fixture.h"
#include "tests/unit/store/scratch.h"

#include <cmocka.h>

/* What is being tried, and how often it has succeeded so far: names are made of that. */
struct trial {
	struct scratch *scratch;
	unsigned done;
};

typedef enum status step(struct trial *trial, struct error *err);

/* Tries with the 1st, 2nd, ... allocation refused, until none is. A change whose last part, the
 * file `current`, found no memory has happened all the same. Returns the allocations. */
static unsigned try_each(struct scratch *scratch, step *run)
{
	struct trial trial = {.scratch = scratch};
	for (unsigned skip = 0; skip < ALLOC_FAIL_RUNS_MAX; skip++) {
		struct error err = {0};
		alloc_fail_arm(skip);
		const enum status status = run(&trial, &err);
		const bool refused = alloc_fail_disarm();
		if (status == STATUS_OK) {
			trial.done++;
		} else {
			assert_true(refused);
			assert_int_equal(status, STATUS_NO_MEMORY);
			assert_int_equal(err.status, STATUS_NO_MEMORY);
		}
		if (!refused) {
			assert_int_equal(status, STATUS_OK);
			return skip;
		}
	}
	fail_msg("does not come to an end of its allocations");
	return 0;
}

static enum status open_and_close(struct trial *trial, struct error *err)
{
	const enum status status = scratch_try_open(trial->scratch, err);
	if (status == STATUS_OK) {
		const bool refused = alloc_fail_disarm();
		scratch_close(trial->scratch);
		assert_false(refused);
	}
	return status;
}

static void opening(void **state)
{
	struct scratch *scratch = *state;
	scratch_sealed(scratch, "r1", 0, 500, 1);
	scratch_release(scratch, "r2");
	scratch_chunk(scratch, "r2", "a", 0, (struct scratch_rows){0, 10, 1});
	scratch_chunk(scratch, "r2", "a", 1, (struct scratch_rows){10, 10, 1});
	scratch_chunk(scratch, "r2", "b", 0, (struct scratch_rows){0, 10, 1});
	scratch_publish(scratch, "r1");
	scratch_close(scratch);
	assert_true(try_each(scratch, open_and_close) > 30);
	/* None of them took anything for damage, or for a leftover. */
	assert_false(scratch_heard(scratch, "damage"));
	assert_false(scratch_heard(scratch, "leftover"));
	scratch_open(scratch);
	scratch_expect(scratch, NULL, 0, 500, 1);
	scratch_end(scratch, "r2", "a", 2, 20);
	scratch_end(scratch, "r2", "b", 1, 10);
	scratch_seal(scratch, "r2");
	scratch_expect(scratch, "r2", 0, 20, 1);
}

/* ---- changes ---- */

static enum status create_release(struct trial *trial, struct error *err)
{
	struct name id;
	uint64_t number;
	const struct release_labels labels = {.model = "m"};
	(void)snprintf(id.text, sizeof id.text, "n%u", trial->done);
	return store_release_create(trial->scratch->store, &id, &labels, &number, err);
}

static enum status create_table(struct trial *trial, struct error *err)
{
	static const float zeros[SCRATCH_DIM];
	const struct default_row row = {.dtype = DTYPE_F32,
		.bytes = sizeof zeros,
		.row = (const uint8_t *)zeros};
	struct table_spec spec = scratch_spec("x", DTYPE_F32, KEY_U64, SCRATCH_DIM);
	spec.default_kind = DEFAULT_ROW;
	(void)snprintf(spec.name.text, sizeof spec.name.text, "x%u", trial->done);
	return store_table_create(trial->scratch->store, "r0", &spec, &row, err);
}

/* A table whose seal finds a mean. */
static void create_mean(struct scratch *scratch, const char *id)
{
	struct error err = {0};
	struct table_spec spec = scratch_spec("mean", DTYPE_F16, KEY_U64, SCRATCH_DIM);
	spec.default_kind = DEFAULT_MEAN;
	scratch_must(store_table_create(scratch->store, id, &spec, NULL, &err), &err);
}

static enum status publish(struct trial *trial, struct error *err)
{
	struct name previous;
	return store_release_publish(trial->scratch->store, trial->done % 2 == 0 ? "r2" : "r1",
		NULL, &previous, err);
}

static enum status rollback(struct trial *trial, struct error *err)
{
	struct name now;
	struct name previous;
	return store_release_rollback(trial->scratch->store, NULL, &now, &previous, err);
}

static enum status drop(struct trial *trial, struct error *err)
{
	char id[16];
	(void)snprintf(id, sizeof id, "d%u", trial->done);
	return store_release_drop(trial->scratch->store, id, err);
}

static void changing_the_catalog(void **state)
{
	struct scratch *scratch = *state;
	scratch_release(scratch, "r0");
	scratch_sealed(scratch, "r1", 0, 100, 1);
	scratch_sealed(scratch, "r2", 0, 100, 2);
	for (unsigned i = 0; i < 40; i++) {
		char id[16];
		(void)snprintf(id, sizeof id, "d%u", i);
		scratch_release(scratch, id);
	}
	assert_true(try_each(scratch, create_release) > 4);
	assert_true(try_each(scratch, create_table) > 6);
	for (unsigned i = 0; i < 60; i++) {
		scratch_publish(scratch, i % 2 == 0 ? "r2" : "r1");
	}
	assert_true(try_each(scratch, publish) > 4);
	assert_true(try_each(scratch, rollback) > 4);
	assert_true(try_each(scratch, drop) > 3);
	scratch_close(scratch);
	assert_true(try_each(scratch, open_and_close) > 30); /* which reads the default rows */
	scratch_open(scratch);
	scratch_expect(scratch, "r1", 0, 100, 1);
	scratch_expect(scratch, "r2", 0, 100, 2);
	assert_false(scratch_heard(scratch, "event=leftover"));
}

/* ---- loads ---- */

static enum status load_chunk(struct trial *trial, struct error *err)
{
	static const uint64_t keys[3] = {1, 2, 3};
	static const float rows[3][SCRATCH_DIM];
	struct load_progress progress;
	const struct load_chunk chunk = {
		.release = "r1",
		.table = "t",
		.load = {"a"},
		.batch.keys = {KEY_U64, 3, (const uint8_t *)keys, NULL},
		.batch.dtype = DTYPE_F32,
		.batch.rows = (const uint8_t *)rows,
		.batch.rows_bytes = sizeof rows,
		.now_ms = SCRATCH_NOW_MS,
	};
	return store_load_chunk(trial->scratch->store, &chunk, &progress, err);
}

static enum status end_load(struct trial *trial, struct error *err)
{
	const struct load_chunk which = {.release = "r1", .table = "t", .load = {"a"}};
	return store_load_end(trial->scratch->store, &which, 1, 3, err);
}

static enum status list_loads(struct trial *trial, struct error *err)
{
	struct load_state *states;
	size_t count;
	const enum status status = store_loads(trial->scratch->store, "r1", &states, &count, err);
	if (status == STATUS_OK) {
		assert_int_equal(count, 1);
		free(states);
	}
	return status;
}

static enum status abort_load(struct trial *trial, struct error *err)
{
	uint64_t rows;
	const struct load_chunk which = {.release = "r1", .table = "t", .load = {"a"}};
	const enum status status = store_load_abort(trial->scratch->store, &which, &rows, err);
	/* Refused memory may have kept only the file `current` from being written. */
	return status == STATUS_NOT_FOUND && trial->done > 0 ? STATUS_OK : status;
}

static void loading(void **state)
{
	struct scratch *scratch = *state;
	scratch_release(scratch, "r1");
	assert_true(try_each(scratch, load_chunk) > 4);
	struct error err = {0};
	scratch_must(store_load_sync(scratch->store, &err), &err);
	assert_int_equal(try_each(scratch, list_loads), 1);
	(void)try_each(scratch, end_load);
	(void)try_each(scratch, abort_load);
	scratch_seal(scratch, "r1");
	assert_int_equal(scratch_version(scratch, "r1", 1), 0);
}

/* A sync that finds no memory forgets what waited; the load goes on from its last sync. */
static void syncing(void **state)
{
	struct scratch *scratch = *state;
	scratch_release(scratch, "r1");
	struct trial trial = {.scratch = scratch};
	struct error err = {0};
	unsigned skip = 0;
	bool refused = true;
	scratch_chunk(scratch, "r1", "b", 0, (struct scratch_rows){0, 10, 1});
	for (; refused; skip++) {
		assert_true(skip < 100);
		scratch_must(load_chunk(&trial, &err), &err);
		alloc_fail_arm(skip);
		const enum status status = store_load_sync(scratch->store, &err);
		refused = alloc_fail_disarm();
		assert_int_equal(status, refused ? STATUS_NO_MEMORY : STATUS_OK);
	}
	assert_true(skip > 2);
	scratch_end(scratch, "r1", "a", 1, 3);
	scratch_end(scratch, "r1", "b", 1, 10);
	scratch_reopen(scratch);
	scratch_seal(scratch, "r1");
	scratch_expect(scratch, "r1", 4, 6, 1);
}

/* ---- seal, reads ---- */

static enum status seal(struct trial *trial, struct error *err)
{
	char id[16];
	struct seal_result result;
	(void)snprintf(id, sizeof id, "s%u", trial->done);
	return store_seal(trial->scratch->store, id, NULL, &result, err);
}

static void sealing(void **state)
{
	struct scratch *scratch = *state;
	char folder[PATH_MAX];
	for (unsigned i = 0; i < 20; i++) {
		char id[16];
		(void)snprintf(id, sizeof id, "s%u", i);
		scratch_release(scratch, id);
		create_mean(scratch, id);
		scratch_chunk(scratch, id, "a", 0, (struct scratch_rows){0, 300, i + 1});
		scratch_chunk(scratch, id, "b", 0, (struct scratch_rows){200, 300, i + 1});
		scratch_end(scratch, id, "a", 1, 300);
		scratch_end(scratch, id, "b", 1, 300);
	}
	assert_true(try_each(scratch, seal) > 18);
	for (unsigned i = 0; i < 20; i++) {
		char id[16];
		(void)snprintf(id, sizeof id, "s%u", i);
		char name[32];
		(void)snprintf(name, sizeof name, "releases/%u", i + 1);
		scratch_path(scratch, folder, name);
		if (scratch_count(folder, "base-") == 0) {
			assert_int_equal(scratch_count(folder, "spill-"), 2);
		}
		scratch_seal(scratch, id);
		scratch_expect(scratch, id, 0, 500, i + 1);
	}
	assert_false(scratch_heard(scratch, "damage"));
}

static enum status look_up(struct trial *trial, struct error *err)
{
	const uint64_t key = 7;
	uint8_t row[16];
	uint8_t found;
	const struct release *release;
	const struct table *table;
	const struct snapshot *snapshot = snapshot_begin(trial->scratch->store);
	enum status status = snapshot_release(snapshot, "r1", &release, err);
	assert_int_equal(status, STATUS_OK);
	assert_int_equal(release_table(release, "t", &table, err), STATUS_OK);
	struct lookup lookup = {.table = table,
		.keys = {KEY_U64, 1, (const uint8_t *)&key, NULL},
		.dtype = DTYPE_F32,
		.may_block = true,
		.rows = row,
		.found = &found};
	status = table_lookup(&lookup, err);
	snapshot_end(trial->scratch->store);
	return status;
}

static void looking_up_needs_none(void **state)
{
	struct scratch *scratch = *state;
	scratch_sealed(scratch, "r1", 0, 100, 1);
	assert_int_equal(try_each(scratch, look_up), 0);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(opening),
		cmocka_unit_test(changing_the_catalog),
		cmocka_unit_test(loading),
		cmocka_unit_test(syncing),
		cmocka_unit_test(sealing),
		cmocka_unit_test(looking_up_needs_none),
	};
	return fixture_run(tests, sizeof tests / sizeof *tests, scratch_setup_store,
		scratch_teardown);
}
