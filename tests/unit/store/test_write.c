/* test_write.c - puts and deletes: refused memory, bounds, expiry, damage, restarts. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/figures.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/state/options.h"
#include "daemon/store/write/write.h"
#include "daemon/store/write/write_figures.h"
#include "schema/key.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/store/crafted_key.h"
#include "tests/unit/store/scratch.h"
#include "tests/unit/wait.h"

#include <limits.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 300 };

/* Rows of keys, all of one version, as scratch_row makes them. */
struct rows {
	const char *release;
	const char *table;
	const uint64_t *keys;
	uint32_t count;
	uint32_t version;
	const int64_t *times; /* or NULL */
	bool if_newer;
};

static enum status try_put(struct scratch *scratch, const struct rows *rows, uint64_t *applied,
	struct error *err)
{
	static float values[ROWS * 10][SCRATCH_DIM];
	for (uint32_t i = 0; i < rows->count; i++) {
		scratch_row(rows->keys[i], rows->version, values[i]);
	}
	const struct table_write part = {
		.table = rows->table,
		.batch = {.keys = {KEY_U64, rows->count, (const uint8_t *)rows->keys, NULL},
			.dtype = DTYPE_F32,
			.rows = (const uint8_t *)values,
			.rows_bytes = (size_t)rows->count * sizeof values[0],
			.times = (const uint8_t *)rows->times},
	};
	const struct row_write put = {
		.release = rows->release,
		.parts = &part,
		.part_count = 1,
		.if_newer = rows->if_newer,
		.now_ms = SCRATCH_NOW_MS,
	};
	struct write_result result;
	struct write_ticket *ticket;
	enum status status = store_put(scratch->store, &put, &result, &ticket, err);
	if (status == STATUS_OK) {
		*applied = result.count;
		status = store_write_wait(ticket, err);
	}
	return status;
}

static void put(struct scratch *scratch, const char *release, uint64_t from, uint32_t count,
	uint32_t version)
{
	uint64_t keys[ROWS] = {0};
	uint64_t applied = 0;
	struct error err = {0};
	assert_true(count <= ROWS);
	for (uint32_t i = 0; i < count; i++) {
		keys[i] = from + i;
	}
	const struct rows rows = {release, "t", keys, count, version, NULL, false};
	scratch_must(try_put(scratch, &rows, &applied, &err), &err);
	assert_int_equal(applied, count);
}

static enum status try_delete(struct scratch *scratch, const uint64_t *keys, uint32_t count,
	uint64_t *deleted, struct error *err)
{
	const struct table_write part = {
		.table = "t",
		.batch.keys = {KEY_U64, count, (const uint8_t *)keys, NULL},
	};
	const struct row_write which = {
		.release = "r1",
		.parts = &part,
		.part_count = 1,
		.now_ms = SCRATCH_NOW_MS,
	};
	struct write_result result;
	struct write_ticket *ticket;
	enum status status = store_delete(scratch->store, &which, &result, &ticket, err);
	if (status == STATUS_OK) {
		*deleted = result.count;
		status = store_write_wait(ticket, err);
	}
	return status;
}

static void merge(struct scratch *scratch)
{
	struct merge_result result;
	struct error err = {0};
	scratch_must(store_merge(scratch->store, NULL, &result, &err), &err);
}

static struct write_figures figures(struct scratch *scratch)
{
	struct store_figures all;
	store_figures(scratch->store, &all);
	return all.write;
}

/* ---- memory ---- */

static void a_put_that_is_refused_memory_changes_nothing(void **state)
{
	struct scratch *scratch = *state;
	uint64_t keys[ROWS];
	scratch_sealed(scratch, "r1", 0, ROWS, 1);
	put(scratch, "r1", 0, ROWS / 2, 2);
	for (uint32_t i = 0; i < ROWS; i++) {
		keys[i] = (uint64_t)i * 2;
	}
	bool refused = true;
	unsigned failed = 0;
	for (unsigned skip = 0; refused; skip++) {
		uint64_t applied;
		struct error err = {0};
		const struct rows rows = {"r1", "t", keys, ROWS, 3 + skip, NULL, skip % 2 == 0};
		assert_true(skip < ALLOC_FAIL_RUNS_MAX);
		const uint32_t before = scratch_version(scratch, "r1", 0);
		const uint32_t untouched = scratch_version(scratch, "r1", ROWS * 2 - 2);
		alloc_fail_arm(skip);
		const enum status status = try_put(scratch, &rows, &applied, &err);
		refused = alloc_fail_disarm();
		if (status != STATUS_OK) {
			assert_int_equal(status, STATUS_NO_MEMORY);
			failed++;
			assert_int_equal(scratch_version(scratch, "r1", 0), before);
			assert_int_equal(scratch_version(scratch, "r1", ROWS * 2 - 2), untouched);
		}
	}
	assert_true(failed > 0);
	put(scratch, "r1", 0, ROWS, 99);
	scratch_reopen(scratch);
	scratch_expect(scratch, "r1", 0, ROWS, 99);
	merge(scratch);
	scratch_expect(scratch, "r1", 0, ROWS, 99);
}

/* ---- keys ---- */

/* Key i of many whose hashes share the bits by which a memtable tells them apart. */
static uint64_t crafted_alike(uint64_t i)
{
	return crafted_u64((i << 24) + 77);
}

static void keys_made_to_share_their_hash_are_taken(void **state)
{
	enum { BATCH = 100, BATCHES = 40 };
	struct scratch *scratch = *state;
	uint64_t keys[BATCH];
	struct error err = {0};
	scratch_sealed(scratch, "r1", 0, 10, 1);
	for (unsigned taken = 0; taken < BATCHES; taken++) {
		for (uint32_t i = 0; i < BATCH; i++) {
			keys[i] = crafted_alike((uint64_t)taken * BATCH + i);
		}
		uint64_t applied = 0;
		const struct rows rows = {"r1", "t", keys, BATCH, 5, NULL, false};
		scratch_must(try_put(scratch, &rows, &applied, &err), &err);
		assert_int_equal(applied, BATCH);
	}
	put(scratch, "r1", 1000, 100, 6);
	for (unsigned when = 0; when < 3; when++) {
		scratch_expect(scratch, "r1", 1000, 100, 6);
		for (uint64_t i = 0; i < (uint64_t)BATCH * BATCHES; i += 7) {
			assert_int_equal(scratch_version(scratch, "r1", crafted_alike(i)), 5);
		}
		if (when == 0) {
			scratch_reopen(scratch);
		} else {
			merge(scratch);
		}
	}
}

static int by_hash(const void *a, const void *b)
{
	const uint64_t left = siphash_u64(&scratch_seed, *(const uint64_t *)a);
	const uint64_t right = siphash_u64(&scratch_seed, *(const uint64_t *)b);
	return (left > right) - (left < right);
}

/* As a dump has them: what comes first is close together. */
static void keys_in_the_order_of_their_hashes_are_taken(void **state)
{
	enum { KEYS = 2000 * 1000, SHARE_BITS = 7, FIRST = KEYS >> SHARE_BITS, BATCH = 1000 };
	struct scratch *scratch = *state;
	static uint64_t keys[FIRST * 2];
	uint32_t count = 0;
	uint64_t applied = 0;
	struct error err = {0};
	for (uint64_t key = 0; key < KEYS; key++) {
		if (siphash_u64(&scratch_seed, key) >> (64 - SHARE_BITS) == 0) {
			assert_true(count < FIRST * 2);
			keys[count++] = key;
		}
	}
	qsort(keys, count, sizeof keys[0], by_hash);
	scratch_sealed(scratch, "r1", 0, 10, 1);
	for (uint32_t at = 0; at + BATCH <= count; at += BATCH) {
		const struct rows rows = {"r1", "t", keys + at, BATCH, 7, NULL, false};
		scratch_must(try_put(scratch, &rows, &applied, &err), &err);
		assert_int_equal(applied, BATCH);
	}
	assert_int_equal(scratch_version(scratch, "r1", keys[0]), 7);
	merge(scratch);
	assert_int_equal(scratch_version(scratch, "r1", keys[BATCH - 1]), 7);
}

static void of_a_key_given_twice_the_last_wins(void **state)
{
	struct scratch *scratch = *state;
	static const uint64_t keys[] = {7, 8, 7};
	static const int64_t times[] = {50, 60, 40};
	uint64_t count = 0;
	struct error err = {0};
	scratch_sealed(scratch, "r1", 0, 1, 1);
	const struct rows newer = {"r1", "t", keys, 3, 2, times, true};
	scratch_must(try_put(scratch, &newer, &count, &err), &err);
	assert_int_equal(count, 2); /* the third is older than the first */
	scratch_must(try_delete(scratch, keys, 3, &count, &err), &err);
	assert_int_equal(count, 2);
	scratch_must(try_delete(scratch, keys, 3, &count, &err), &err);
	assert_int_equal(count, 0);
	scratch_must(try_put(scratch, &newer, &count, &err), &err);
	assert_int_equal(count, 2); /* what was deleted is not there */
}

/* ---- several tables ---- */

/* Two tables' rows of the same keys, put as one. */
static enum status try_put_both(struct scratch *scratch, const struct rows *first,
	const struct rows *second, struct error *err)
{
	static float values[2][ROWS * 10][SCRATCH_DIM];
	const struct rows *rows[] = {first, second};
	struct table_write parts[2];
	for (unsigned part = 0; part < 2; part++) {
		for (uint32_t i = 0; i < rows[part]->count; i++) {
			scratch_row(rows[part]->keys[i], rows[part]->version, values[part][i]);
		}
		parts[part] = (struct table_write){
			.where = part == 0 ? "parts[0]." : "parts[1].",
			.table = rows[part]->table,
			.batch = {.keys = {KEY_U64, rows[part]->count,
					  (const uint8_t *)rows[part]->keys, NULL},
				.dtype = DTYPE_F32,
				.rows = (const uint8_t *)values[part],
				.rows_bytes = (size_t)rows[part]->count * sizeof values[0][0]},
		};
	}
	const struct row_write put = {.release = "r1",
		.parts = parts,
		.part_count = 2,
		.now_ms = SCRATCH_NOW_MS};
	struct write_result result;
	struct write_ticket *ticket;
	const enum status status = store_put(scratch->store, &put, &result, &ticket, err);
	if (status != STATUS_OK) {
		return status;
	}
	assert_int_equal(result.count, first->count + second->count);
	return store_write_wait(ticket, err);
}

static void a_put_of_two_tables_is_taken_whole_or_not_at_all(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	static const uint64_t keys[] = {3, 4};
	const struct table_spec spec = scratch_spec("u", DTYPE_F32, KEY_U64, SCRATCH_DIM);
	scratch_release(scratch, "r1");
	scratch_must(store_table_create(scratch->store, "r1", &spec, NULL, &err), &err);
	scratch_seal(scratch, "r1");
	const struct rows first = {"r1", "t", keys, 2, 1, NULL, false};
	const struct rows second = {"r1", "u", keys, 2, 1, NULL, false};
	scratch_must(try_put_both(scratch, &first, &second, &err), &err);
	assert_int_equal(scratch_version(scratch, "r1", 3), 1);

	const struct rows newer = {"r1", "t", keys, 2, 2, NULL, false};
	const struct rows other = {"r1", "u", keys, 2, 2, NULL, false};
	bool refused = true;
	for (unsigned skip = 0; refused; skip++) {
		assert_true(skip < ALLOC_FAIL_RUNS_MAX);
		assert_int_equal(scratch_version(scratch, "r1", 3), 1);
		alloc_fail_arm(skip);
		const enum status status = try_put_both(scratch, &newer, &other, &err);
		refused = alloc_fail_disarm();
		assert_int_equal(status, refused ? STATUS_NO_MEMORY : STATUS_OK);
	}
	scratch_must(try_put_both(scratch, &first, &second, &err), &err);
	assert_int_equal(scratch_version(scratch, "r1", 3), 1);
	const struct rows unknown = {"r1", "v", keys, 2, 2, NULL, false};
	assert_int_equal(try_put_both(scratch, &newer, &unknown, &err), STATUS_NOT_FOUND);
	assert_non_null(strstr(err.text, "parts[1].table: 'v'"));
	assert_int_equal(scratch_version(scratch, "r1", 3), 1);

	/* One table twice: the last wins. */
	const struct rows last = {"r1", "t", keys, 1, 9, NULL, false};
	scratch_must(try_put_both(scratch, &newer, &last, &err), &err);
	scratch_reopen(scratch);
	assert_int_equal(scratch_version(scratch, "r1", 3), 9);
	assert_int_equal(scratch_version(scratch, "r1", 4), 2);
}

/* ---- bounds ---- */

static void memory_stays_within_its_bounds(void **state)
{
	struct scratch *scratch = *state;
	scratch->write.memtable_rows = 2000;
	scratch_open(scratch);
	scratch_sealed(scratch, "r1", 0, 10, 1);
	for (uint32_t round = 0; round < 100; round++) {
		put(scratch, "r1", (uint64_t)round * ROWS, ROWS, 2);
		assert_true(figures(scratch).memtable_rows < 2000 + ROWS);
	}
	assert_true(figures(scratch).merges > 3);
	scratch_expect(scratch, "r1", 0, 100 * ROWS, 2);
	merge(scratch);
	assert_int_equal(figures(scratch).memtable_rows, 0);
	assert_int_equal(figures(scratch).pending_bytes, 0);
	assert_int_equal(figures(scratch).log_files, 1);
	scratch_expect(scratch, "r1", 0, 100 * ROWS, 2);
}

static void what_was_written_is_merged_when_it_is_old(void **state)
{
	struct scratch *scratch = *state;
	scratch->write.merge_age_ms = 1;
	scratch_open(scratch);
	scratch_sealed(scratch, "r1", 0, 10, 1);
	put(scratch, "r1", 0, 5, 2);
	struct wait wait = {0};
	while (figures(scratch).memtable_rows > 0) {
		wait_a_moment(&wait);
	}
	scratch_expect(scratch, "r1", 0, 5, 2);
	scratch_expect(scratch, "r1", 5, 5, 1);
}

/* ---- damage, restarts ---- */

static void a_damaged_table_takes_no_writes_and_others_do(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	char path[PATH_MAX];
	uint64_t applied;
	static const uint64_t keys[] = {1};
	scratch_sealed(scratch, "r1", 0, 100, 1);
	scratch_sealed(scratch, "r2", 0, 100, 1);
	put(scratch, "r1", 0, 1, 2);
	scratch_close(scratch);
	scratch_path(scratch, path, "releases/1/base-1-0.mdb");
	scratch_flip(path, 9000);
	scratch_open(scratch);
	assert_int_equal(scratch_version(scratch, "r1", 50), UINT32_MAX);
	assert_int_equal(scratch_version(scratch, "r1", 0), 2); /* it is in the log */
	const struct rows rows = {"r1", "t", keys, 1, 3, NULL, false};
	assert_int_equal(try_put(scratch, &rows, &applied, &err), STATUS_CORRUPT);
	put(scratch, "r2", 0, 10, 3);
	struct merge_result result;
	scratch_must(store_merge(scratch->store, NULL, &result, &err), &err);
	assert_int_equal(result.tables, 2); /* what it had taken before becomes a delta */
	assert_int_equal(figures(scratch).log_files, 1);
	scratch_reopen(scratch);
	assert_int_equal(scratch_version(scratch, "r1", 0), 2);
	scratch_expect(scratch, "r2", 0, 10, 3);
}

static void writes_to_a_dropped_release_are_passed_over_at_start(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	scratch_sealed(scratch, "r1", 0, 100, 1);
	scratch_sealed(scratch, "r2", 0, 100, 1);
	put(scratch, "r1", 0, 100, 2);
	put(scratch, "r2", 0, 100, 3);
	scratch_must(store_release_drop(scratch->store, "r1", &err), &err);
	scratch_reopen(scratch);
	scratch_expect(scratch, "r2", 0, 100, 3);
	assert_int_equal(figures(scratch).memtable_rows, 100);
}

static void periodic_durability_keeps_all_over_an_orderly_end(void **state)
{
	struct scratch *scratch = *state;
	scratch->write.durability = DURABILITY_PERIODIC;
	scratch->write.sync_interval_ms = 1;
	scratch_open(scratch);
	scratch_sealed(scratch, "r1", 0, 10, 1);
	for (uint32_t round = 2; round < 50; round++) {
		put(scratch, "r1", 0, 10, round);
		if (round % 10 == 0) {
			merge(scratch);
		}
	}
	scratch_reopen(scratch);
	scratch_expect(scratch, "r1", 0, 10, 49);
}

static void an_open_release_takes_no_puts(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	uint64_t applied;
	static const uint64_t keys[] = {1};
	scratch_release(scratch, "r1");
	const struct rows rows = {"r1", "t", keys, 1, 3, NULL, false};
	assert_int_equal(try_put(scratch, &rows, &applied, &err), STATUS_NOT_SEALED);
	assert_non_null(strstr(err.text, "'r1'"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_put_that_is_refused_memory_changes_nothing,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(keys_made_to_share_their_hash_are_taken,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(keys_in_the_order_of_their_hashes_are_taken,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(of_a_key_given_twice_the_last_wins,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_put_of_two_tables_is_taken_whole_or_not_at_all,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(memory_stays_within_its_bounds, scratch_setup_small,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(what_was_written_is_merged_when_it_is_old,
			scratch_setup_small, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_damaged_table_takes_no_writes_and_others_do,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(
			writes_to_a_dropped_release_are_passed_over_at_start,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(periodic_durability_keeps_all_over_an_orderly_end,
			scratch_setup_small, scratch_teardown),
		cmocka_unit_test_setup_teardown(an_open_release_takes_no_puts,
			scratch_setup_small_store, scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
