/* test_crafted.c - keys whose hashes were chosen with all knowledge cost a bounded number of steps. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/load/load.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/read/lookup.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/store.h"
#include "daemon/store/write/write.h"
#include "tests/unit/store/crafted_key.h"
#include "tests/unit/store/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
	KEYS = 5000,
	/* A search of 2^13 rows looks ahead and then halves, and hashes once more to compare. */
	STEPS = 2 * 13 + 4,
};

static void load(struct scratch *scratch, const uint64_t *keys, uint32_t version)
{
	static float rows[KEYS][SCRATCH_DIM];
	struct error err = {0};
	struct load_progress progress;
	for (uint32_t i = 0; i < KEYS; i++) {
		scratch_row(keys[i], version, rows[i]);
	}
	const struct load_chunk chunk = {
		.release = "r1",
		.table = "t",
		.load = {"a"},
		.batch = {.keys = {KEY_U64, KEYS, (const uint8_t *)keys, NULL},
			.dtype = DTYPE_F32,
			.rows = (const uint8_t *)rows,
			.rows_bytes = sizeof rows},
		.now_ms = SCRATCH_NOW_MS,
	};
	scratch_must(store_load_chunk(scratch->store, &chunk, &progress, &err), &err);
	scratch_must(store_load_sync(scratch->store, &err), &err);
	scratch_end(scratch, "r1", "a", 1, KEYS);
}

static void put(struct scratch *scratch, const uint64_t *keys, uint32_t version)
{
	struct error err = {0};
	scratch_must(scratch_try_put(scratch, "r1", keys, KEYS, version, &err), &err);
}

/* Looks all keys up at once. Each has this version (0: none), and took few steps. */
static void expect(struct scratch *scratch, const uint64_t *keys, uint32_t version)
{
	static float rows[KEYS][SCRATCH_DIM];
	uint8_t found[(KEYS + 7) / 8];
	struct error err = {0};
	const struct release *release;
	const struct table *table;
	const struct snapshot *snapshot = snapshot_begin(scratch->store);
	scratch_must(snapshot_release(snapshot, "r1", &release, &err), &err);
	scratch_must(release_table(release, "t", &table, &err), &err);
	struct lookup lookup = {
		.table = table,
		.keys = {KEY_U64, KEYS, (const uint8_t *)keys, NULL},
		.dtype = DTYPE_F32,
		.visible = store_visible(scratch->store),
		.now_ms = SCRATCH_NOW_MS,
		.may_block = true,
		.rows = (uint8_t *)rows,
		.found = found,
	};
	const uint64_t before = atomic_load(&crafted_hashes);
	scratch_must(table_lookup(&lookup, &err), &err);
	const uint64_t steps = atomic_load(&crafted_hashes) - before;
	snapshot_end(scratch->store);
	assert_true(steps <= (uint64_t)KEYS * STEPS);
	for (uint32_t i = 0; i < KEYS; i++) {
		float expected[SCRATCH_DIM];
		scratch_row(keys[i], version, expected);
		assert_true((found[i / 8] >> i % 8 & 1) == (version != 0));
		if (version != 0) {
			assert_memory_equal(rows[i], expected, sizeof expected);
		}
	}
}

/* Loads, seals, puts, restarts, merges. */
static void run(struct scratch *scratch, const uint64_t *loaded, const uint64_t *added,
	const uint64_t *absent)
{
	struct merge_result merged;
	struct error err = {0};
	scratch_release(scratch, "r1");
	load(scratch, loaded, 1);
	scratch_seal(scratch, "r1");
	const uint64_t before = atomic_load(&crafted_hashes);
	expect(scratch, loaded, 1);
	assert_true(atomic_load(&crafted_hashes) - before > KEYS); /* else this tests nothing */
	expect(scratch, absent, 0);
	put(scratch, added, 2);
	expect(scratch, loaded, 1);
	expect(scratch, added, 2);
	expect(scratch, absent, 0);
	scratch_reopen(scratch);
	expect(scratch, added, 2);
	scratch_must(store_merge(scratch->store, NULL, &merged, &err), &err);
	expect(scratch, loaded, 1);
	expect(scratch, added, 2);
	expect(scratch, absent, 0);
	put(scratch, loaded, 3);
	expect(scratch, loaded, 3);
	scratch_must(store_merge(scratch->store, NULL, &merged, &err), &err);
	expect(scratch, loaded, 3);
	expect(scratch, added, 2);
}

static void keys_of_nearly_one_hash_are_found_in_few_steps(void **state)
{
	static uint64_t keys[3][KEYS];
	for (uint64_t i = 0; i < KEYS; i++) {
		for (uint64_t j = 0; j < 3; j++) {
			keys[j][i] = crafted_u64((UINT64_C(0xabcde) << 44) + i * 3 + j);
		}
	}
	run(*state, keys[0], keys[1], keys[2]);
}

static void keys_of_one_hash_are_found_in_few_steps(void **state)
{
	static uint64_t keys[3][KEYS];
	for (uint64_t i = 0; i < KEYS; i++) {
		for (uint64_t j = 0; j < 3; j++) {
			keys[j][i] = i * 3 + j;
		}
	}
	crafted_mask = 0;
	run(*state, keys[0], keys[1], keys[2]);
	crafted_mask = UINT64_MAX;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(keys_of_nearly_one_hash_are_found_in_few_steps,
			scratch_setup_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(keys_of_one_hash_are_found_in_few_steps,
			scratch_setup_store, scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
