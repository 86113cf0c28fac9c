/* test_seal_skew.c - keys whose hashes all fall into one part of a table are sealed as any. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/load/load.h"
#include "daemon/store/read/lookup.h"
#include "daemon/store/seal/seal_release.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/spill/load_chunk.h"
#include "daemon/store/state/reader.h"

#include <setjmp.h>
#include <stdlib.h>

#include "tests/unit/store/crafted_key.h"
#include "tests/unit/store/scratch.h"

#include <cmocka.h>

/* Rows of the largest size, so that a few make several segments. */
enum { DIM = 65536, VIEWS = 4, ROW_FLOATS = DIM * VIEWS, ROWS = 80, CHUNK_ROWS = 20 };

/* All in the lower half of the hashes, spread over it. */
static uint64_t key_of(uint32_t i)
{
	return crafted_u64((uint64_t)i << 56 | 1);
}

static void load_rows(struct scratch *scratch)
{
	struct error err = {0};
	struct load_progress progress;
	uint64_t keys[CHUNK_ROWS];
	float *rows = calloc((size_t)CHUNK_ROWS * ROW_FLOATS, sizeof *rows);
	assert_non_null(rows);
	for (uint32_t number = 0; number < ROWS / CHUNK_ROWS; number++) {
		for (uint32_t i = 0; i < CHUNK_ROWS; i++) {
			keys[i] = key_of(number * CHUNK_ROWS + i);
			rows[(size_t)i * ROW_FLOATS] = (float)(number * CHUNK_ROWS + i);
		}
		const struct load_chunk chunk = {
			.release = "r1",
			.table = "t",
			.load = {"a"},
			.chunk = number,
			.batch.keys = {KEY_U64, CHUNK_ROWS, (const uint8_t *)keys, NULL},
			.batch.dtype = DTYPE_F32,
			.batch.rows = (const uint8_t *)rows,
			.batch.rows_bytes = (size_t)CHUNK_ROWS * ROW_FLOATS * sizeof *rows,
			.now_ms = SCRATCH_NOW_MS,
		};
		scratch_must(store_load_chunk(scratch->store, &chunk, &progress, &err), &err);
		scratch_must(store_load_sync(scratch->store, &err), &err);
	}
	free(rows);
}

static void expect_rows(struct scratch *scratch)
{
	struct error err = {0};
	const struct release *release;
	const struct table *table;
	float *row = malloc(ROW_FLOATS * sizeof *row);
	assert_non_null(row);
	const struct snapshot *snapshot = snapshot_begin(scratch->store);
	scratch_must(snapshot_release(snapshot, "r1", &release, &err), &err);
	scratch_must(release_table(release, "t", &table, &err), &err);
	for (uint32_t i = 0; i < ROWS; i++) {
		const uint64_t key = key_of(i);
		uint8_t found = 0;
		struct lookup lookup = {
			.table = table,
			.keys = {KEY_U64, 1, (const uint8_t *)&key, NULL},
			.dtype = DTYPE_F32,
			.may_block = true,
			.rows = (uint8_t *)row,
			.found = &found,
		};
		scratch_must(table_lookup(&lookup, &err), &err);
		assert_int_equal(found, 1);
		assert_true(row[0] == (float)i);
	}
	snapshot_end(scratch->store);
	free(row);
}

static void one_half_of_the_hashes_may_have_all_rows(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct seal_result result;
	const struct name id = {"r1"};
	const struct release_labels labels = {0};
	struct table_spec spec = scratch_spec("t", DTYPE_F32, KEY_U64, DIM);
	spec.views = VIEWS;
	uint64_t number;
	scratch_must(store_release_create(scratch->store, &id, &labels, &number, &err), &err);
	scratch_must(store_table_create(scratch->store, "r1", &spec, NULL, &err), &err);
	load_rows(scratch);
	scratch_end(scratch, "r1", "a", ROWS / CHUNK_ROWS, ROWS);
	scratch_must(store_seal(scratch->store, "r1", NULL, &result, &err), &err);
	assert_int_equal(result.rows, ROWS);
	expect_rows(scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_half_of_the_hashes_may_have_all_rows,
			scratch_setup_store, scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
