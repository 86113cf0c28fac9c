/* test_write_refused.c - what a refused write leaves behind: nothing. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/figures.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/write/write.h"
#include "schema/key.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/store/scratch.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { KEYS = 2000 };

/* Puts rows of one version; rows_bytes as given. */
static enum status try_put(struct scratch *scratch, const uint64_t *keys, uint32_t count,
	uint32_t version, size_t rows_bytes, struct error *err)
{
	static float values[KEYS][SCRATCH_DIM];
	for (uint32_t i = 0; i < count; i++) {
		scratch_row(keys[i], version, values[i]);
	}
	const struct table_write part = {
		.table = "t",
		.batch = {.keys = {KEY_U64, count, (const uint8_t *)keys, NULL},
			.dtype = DTYPE_F32,
			.rows = (const uint8_t *)values,
			.rows_bytes = rows_bytes},
	};
	const struct row_write put = {
		.release = "r1",
		.parts = &part,
		.part_count = 1,
		.now_ms = SCRATCH_NOW_MS,
	};
	struct write_result result;
	struct write_ticket *ticket;
	const enum status status = store_put(scratch->store, &put, &result, &ticket, err);
	return status == STATUS_OK ? store_write_wait(ticket, err) : status;
}

enum { ROW_BYTES = SCRATCH_DIM * sizeof(float) };

/* The sequence of a write that was taken back is another's; a merge must not take that one for
 * folded. */
static void what_follows_a_refused_put_and_a_merge_is_there_after_a_restart(void **state)
{
	static uint64_t keys[KEYS];
	static const uint64_t later[2] = {1000, 1001};
	struct scratch *scratch = *state;
	struct error err = {0};
	struct merge_result merged;
	scratch_sealed(scratch, "r1", 0, 10, 1);
	scratch_must(try_put(scratch, later, 1, 2, ROW_BYTES, &err), &err);
	/* Memory is refused at each place, also when some of the rows are linked. Where a smaller piece will do, the put succeeds,
	 * so each has keys of its own. */
	bool refused = true;
	for (unsigned skip = 0; refused; skip++) {
		assert_true(skip < ALLOC_FAIL_RUNS_MAX);
		for (uint32_t i = 0; i < KEYS; i++) {
			keys[i] = 5000 + (uint64_t)skip * KEYS + i;
		}
		alloc_fail_arm(skip);
		const enum status status =
			try_put(scratch, keys, KEYS, 5, (size_t)KEYS * ROW_BYTES, &err);
		refused = alloc_fail_disarm();
		if (status != STATUS_OK) {
			assert_true(refused);
			assert_int_equal(status, STATUS_NO_MEMORY);
			assert_int_equal(scratch_version(scratch, "r1", keys[0]), 0);
		}
	}
	scratch_must(store_merge(scratch->store, NULL, &merged, &err), &err);
	scratch_must(try_put(scratch, later, 2, 6, (size_t)2 * ROW_BYTES, &err), &err);
	scratch_reopen(scratch);
	scratch_expect(scratch, "r1", 1000, 2, 6);
}

static void rows_of_another_shape_than_the_table_are_refused(void **state)
{
	static const uint64_t keys[2] = {1, 2};
	static const size_t wrong[] = {0, ROW_BYTES, 2 * ROW_BYTES - 1, 2 * ROW_BYTES + 1};
	struct scratch *scratch = *state;
	struct error err = {0};
	scratch_sealed(scratch, "r1", 0, 10, 1);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		assert_int_equal(try_put(scratch, keys, 2, 7, wrong[i], &err), STATUS_BAD_REQUEST);
		assert_non_null(strstr(err.text, "rows: "));
	}
	scratch_expect(scratch, "r1", 0, 10, 1);
}

/* One part of `count` keys, each with a row of `row_bytes` i8. */
static enum status try_large(struct scratch *scratch, const char *table, uint32_t count,
	size_t row_bytes, size_t parts, struct error *err)
{
	uint64_t *keys = calloc(count, sizeof *keys);
	uint8_t *rows = calloc(count, row_bytes);
	float *scales = calloc(count, sizeof *scales);
	struct table_write writes[4];
	struct write_result result;
	struct write_ticket *ticket;
	assert_true(keys != NULL && rows != NULL && scales != NULL);
	for (uint32_t i = 0; i < count; i++) {
		keys[i] = i;
	}
	for (size_t i = 0; i < parts; i++) {
		writes[i] = (struct table_write){
			.table = table,
			.batch = {.keys = {KEY_U64, count, (const uint8_t *)keys, NULL},
				.dtype = DTYPE_I8,
				.rows = rows,
				.rows_bytes = count * row_bytes,
				.scales = (const uint8_t *)scales},
		};
	}
	const struct row_write put = {
		.release = "r1",
		.parts = writes,
		.part_count = parts,
		.now_ms = SCRATCH_NOW_MS,
	};
	enum status status = store_put(scratch->store, &put, &result, &ticket, err);
	if (status == STATUS_OK) {
		status = store_write_wait(ticket, err);
	}
	free(keys);
	free(rows);
	free(scales);
	return status;
}

static void a_write_that_grows_beyond_its_bound_is_refused(void **state)
{
	enum { DIM = 65536, MIB = 1 << 20 };
	struct scratch *scratch = *state;
	struct error err = {0};
	const struct table_spec spec = scratch_spec("wide", DTYPE_F32, KEY_U64, DIM);
	struct store_figures figures;
	scratch_release(scratch, "r1");
	scratch_must(store_table_create(scratch->store, "r1", &spec, NULL, &err), &err);
	scratch_seal(scratch, "r1");
	/* A row of 64 KiB becomes one of 256 KiB. */
	assert_int_equal(try_large(scratch, "wide", 1025, DIM, 1, &err), STATUS_TOO_LARGE);
	assert_non_null(strstr(err.text, "in one write"));
	assert_int_equal(try_large(scratch, "wide", 512, DIM, 2, &err), STATUS_TOO_LARGE);
	assert_int_equal(try_large(scratch, "t", 2 * MIB + 1, SCRATCH_DIM, 1, &err),
		STATUS_TOO_LARGE);
	assert_int_equal(try_large(scratch, "t", MIB, SCRATCH_DIM, 3, &err), STATUS_TOO_LARGE);
	assert_non_null(strstr(err.text, "in one write"));
	store_figures(scratch->store, &figures);
	assert_int_equal(figures.write.memtable_bytes, 0);
	scratch_must(try_large(scratch, "wide", 256, DIM, 2, &err), &err);
	scratch_must(try_large(scratch, "t", MIB, SCRATCH_DIM, 2, &err), &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_follows_a_refused_put_and_a_merge_is_there_after_a_restart,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_write_that_grows_beyond_its_bound_is_refused,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(rows_of_another_shape_than_the_table_are_refused,
			scratch_setup_small_store, scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
