/* levels_fixture.c - fills a table level by level, and reads it in every way. */
#include "tests/unit/store/levels_fixture.h"

#include "daemon/store/memtable/memtable.h"
#include "daemon/store/read/lookup.h"
#include "daemon/store/read/rows.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/state/reader.h"

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

/* A store whose merges make deltas, whatever the size of a table, and are written anew only when asked. */
int levels_setup(void **state)
{
	(void)scratch_setup_small(state);
	struct scratch *scratch = *state;
	scratch->sizes.delta_base_min = 1;
	scratch->sizes.delta_share = EVER;
	scratch->sizes.deltas_share = EVER;
	scratch_open(scratch);
	return 0;
}

struct merge_result levels_merge(struct scratch *scratch)
{
	struct error err = {0};
	struct merge_result result;
	scratch_must(store_merge(scratch->store, NULL, &result, &err), &err);
	return result;
}

struct merge_result levels_merge_full(struct scratch *scratch)
{
	struct error err = {0};
	struct merge_result result;
	scratch_must(store_merge_full(scratch->store, NULL, &result, &err), &err);
	return result;
}

size_t levels_count_levels(struct scratch *scratch)
{
	const size_t count = scratch_table(scratch, "t")->level_count;
	snapshot_end(scratch->store);
	return count;
}

size_t levels_count_files(struct scratch *scratch)
{
	const size_t count = table_file_count(scratch_table(scratch, "t"));
	snapshot_end(scratch->store);
	return count;
}

bool levels_are_counted(struct scratch *scratch)
{
	bool exact;
	(void)table_count_rows(scratch_table(scratch, "t"), &exact);
	snapshot_end(scratch->store);
	return exact;
}

/* Puts a version of keys [from, from + count), 0: deletes them. */
void levels_put(struct scratch *scratch, struct expected *expected, uint64_t from, uint32_t count,
	uint32_t version)
{
	scratch_put(scratch, "r1", (struct scratch_rows){from, count, version});
	for (uint32_t i = 0; i < count; i++) {
		expected->versions[from + i] = version;
	}
}

/* A base with version 1 of the first half of the keys. */
void levels_make(struct scratch *scratch, struct expected *expected)
{
	memset(expected, 0, sizeof *expected);
	scratch_sealed(scratch, "r1", 0, KEYS / 2, 1);
	for (uint32_t i = 0; i < KEYS / 2; i++) {
		expected->versions[i] = 1;
	}
}

void levels_make_one_range(struct scratch *scratch, struct expected *expected)
{
	const struct store_sizes sizes = scratch->sizes;
	levels_make(scratch, expected);
	scratch_close(scratch);
	scratch->sizes.file_bytes = 1 << 20;
	scratch->sizes.delta_base_min = 1 << 30; /* a small table is written anew */
	scratch_open(scratch);
	levels_put(scratch, expected, 0, 1, 1);
	(void)levels_merge(scratch);
	scratch_close(scratch);
	scratch->sizes = sizes;
	scratch_open(scratch);
	assert_int_equal(levels_count_files(scratch), 1);
}

/* A delta for each version from 2 to `last`: new keys, changed ones, and a few that are deleted. */
void levels_add_deltas(struct scratch *scratch, struct expected *expected, uint32_t last)
{
	for (uint32_t version = 2; version <= last; version++) {
		const uint64_t from = version;
		levels_put(scratch, expected, from * 50, 300, version);
		levels_put(scratch, expected, KEYS / 2 + from * 40, 60, version);
		levels_put(scratch, expected, from * 90, 20, 0);
		(void)levels_merge(scratch);
	}
}

static void expect_lookups(struct scratch *scratch, const struct table *table,
	const struct expected *expected)
{
	for (uint64_t key = 0; key < KEYS; key++) {
		assert_int_equal(scratch_version_in(scratch, table, key), expected->versions[key]);
	}
}

static void expect_scan(struct scratch *scratch, const struct table *table,
	const struct expected *expected)
{
	struct error err = {0};
	bool seen[KEYS] = {false};
	struct scan scan = {.table = table,
		.limit = 77,
		.bytes_max = 1 << 20,
		.dtype = DTYPE_F32,
		.visible = store_visible(scratch->store),
		.now_ms = SCRATCH_NOW_MS};
	do {
		scratch_must(table_scan(&scan, &err), &err);
		for (uint32_t i = 0; i < scan.count; i++) {
			uint64_t key;
			float row[SCRATCH_DIM];
			memcpy(&key, scan.keys + (size_t)i * 8, 8);
			assert_true(key < KEYS);
			assert_false(seen[key]);
			seen[key] = true;
			scratch_row(key, expected->versions[key], row);
			assert_memory_equal(scan.rows + i * sizeof row, row, sizeof row);
		}
		scan_fini(&scan);
	} while (scan.more);
	for (uint32_t key = 0; key < KEYS; key++) {
		assert_int_equal(seen[key], expected->versions[key] != 0);
	}
}

static void expect_walk(struct scratch *scratch, const struct table *table,
	const struct expected *expected)
{
	bool seen[KEYS] = {false};
	struct rows rows;
	assert_int_equal(rows_begin(&rows, table, store_visible(scratch->store), 33), STATUS_OK);
	do {
		assert_int_equal(rows_next(&rows), STATUS_OK);
		for (uint32_t i = 0; i < rows.block.count; i++) {
			struct frame_row found;
			float row[SCRATCH_DIM];
			uint64_t key;
			const uint64_t id = row_block_id(&rows.block, i);
			assert_int_equal(rows_get(&rows, id, &found), STATUS_OK);
			assert_memory_equal(found.data, rows.block.data + i * sizeof row,
				sizeof row);
			memcpy(&key, found.key, 8);
			if (rows_is_superseded(&rows, id, found.key, found.key_len)) {
				continue;
			}
			assert_false(seen[key]);
			seen[key] = true;
			scratch_row(key, expected->versions[key], row);
			assert_memory_equal(found.data, row, sizeof row);
		}
	} while (rows.block.count > 0);
	rows_end(&rows);
	for (uint32_t key = 0; key < KEYS; key++) {
		assert_int_equal(seen[key], expected->versions[key] != 0);
	}
}

/* Every way to read a table finds just what is expected. */
void levels_expect(struct scratch *scratch, const struct expected *expected)
{
	const struct table *table = scratch_table(scratch, "t");
	uint64_t rows = 0;
	expect_lookups(scratch, table, expected);
	expect_scan(scratch, table, expected);
	expect_walk(scratch, table, expected);
	for (uint32_t key = 0; key < KEYS; key++) {
		rows += expected->versions[key] != 0;
	}
	bool exact;
	const uint64_t counted = table_count_rows(table, &exact);
	assert_true(exact || table->level_count > 1);
	assert_true(
		!memtable_is_empty(table->memtable) || (exact ? counted == rows : counted >= rows));
	snapshot_end(scratch->store);
}
