/* test_rows.c - a walk brings what the memtable and the base files hold, under ids that lead
 * back. */
#include "daemon/store/base/segment_build.h"
#include "daemon/store/memtable/memtable_merge.h"
#include "daemon/store/read/rows.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/state/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/store/base/base.h"
#include "daemon/store/write/write.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/store/plain.h"

enum {
	ROWS = 700,
	CHANGED = 11, /* keys [0, CHANGED) get version 2 */
	GONE = 20,    /* keys [GONE, GONE_BEHIND) are deleted */
	GONE_BEHIND = 23,
	NEW = 5000, /* keys [NEW, NEW_BEHIND) are new */
	NEW_BEHIND = 5006,
	NEWS = CHANGED + NEW_BEHIND - NEW,
};

/* What a reader that begins now may see. */
static uint64_t visible_now(struct scratch *scratch)
{
	(void)snapshot_begin(scratch->store);
	const uint64_t visible = store_visible(scratch->store);
	snapshot_end(scratch->store);
	return visible;
}

static void next(struct rows *rows)
{
	assert_int_equal(rows_next(rows), STATUS_OK);
	assert_true(rows->block.count <= rows->rows_max);
}

/* ---- rows of base files ---- */

static void load_plain(struct scratch *scratch, struct plain *plain, enum dtype dtype,
	enum key_type key_type)
{
	struct table_spec spec = scratch_spec("p", dtype, key_type, 20);
	spec.tags = dtype == DTYPE_I8;
	plain_make(plain, &spec, ROWS);
	scratch_release(scratch, "r1");
	plain_load(plain, scratch, "r1", 300);
	scratch_seal(scratch, "r1");
}

/* A key as the table of `plain` hands it out. */
static const uint8_t *plain_key(const struct plain *plain, uint32_t number, size_t *len)
{
	const uint8_t *key = plain->packed + plain->at[number];
	*len = plain->spec.key_type == KEY_U64 ? 8 : *key;
	return plain->spec.key_type == KEY_U64 ? key : key + 1;
}

/* The number of the row with this key. */
static uint32_t number_of(const struct plain *plain, const struct frame_row *row)
{
	for (uint32_t i = 0; i < plain->count; i++) {
		size_t len;
		const uint8_t *key = plain_key(plain, i, &len);
		if (len == row->key_len && memcmp(key, row->key, len) == 0) {
			return i;
		}
	}
	fail_msg("a key that was never loaded");
	return 0;
}

/* Row i of the block, and what its id leads to, are the same row of `plain`. Returns which. */
static uint32_t expect_row(const struct rows *rows, const struct plain *plain, uint32_t i)
{
	const struct row_block *block = &rows->block;
	const size_t row_bytes = spec_row_bytes(&plain->spec);
	struct frame_row row;
	assert_int_equal(rows_get(rows, row_block_id(block, i), &row), STATUS_OK);
	const uint32_t number = number_of(plain, &row);
	assert_memory_equal(row.data, plain->rows + number * row_bytes, row_bytes);
	assert_memory_equal(block->data + i * row_bytes, row.data, row_bytes);
	assert_int_equal(row.time_ms, plain->times[number]);
	assert_int_equal(block->times[i], row.time_ms);
	assert_int_equal(row.tags, plain->tags[number]);
	assert_true((block->tags != NULL) == plain->spec.tags);
	assert_true(block->tags == NULL || block->tags[i] == row.tags);
	assert_true((block->scales != NULL) == (plain->spec.dtype == DTYPE_I8));
	if (block->scales != NULL) {
		assert_memory_equal(&block->scales[i], &plain->scales[number], sizeof(float));
		assert_memory_equal(&row.scale, &plain->scales[number], sizeof(float));
	}
	assert_false(rows_is_superseded(rows, row_block_id(block, i), row.key, row.key_len));
	return number;
}

/* In blocks of up to `rows_max`, each row once, under ids that follow each other. */
static void walk_plain(struct scratch *scratch, const struct plain *plain, uint32_t rows_max)
{
	struct rows rows;
	bool seen[ROWS] = {false};
	uint64_t number = 0;
	const struct table *table = scratch_table(scratch, "p");
	assert_true(table->bases->segment_count > 1);
	assert_int_equal(rows_begin(&rows, table, store_visible(scratch->store), rows_max),
		STATUS_OK);
	for (next(&rows); rows.block.count > 0; next(&rows)) {
		assert_null(rows.block.ids);
		for (uint32_t i = 0; i < rows.block.count; i++, number++) {
			assert_true(row_block_id(&rows.block, i) == rows_first_base_id + number);
			const struct row_place place = rows_place(&rows, number);
			assert_ptr_equal(place.view->row_data +
						 (size_t)place.row * place.view->row_bytes,
				rows.block.data + (size_t)i * place.view->row_bytes);
			const uint32_t which = expect_row(&rows, plain, i);
			assert_false(seen[which]);
			seen[which] = true;
		}
	}
	assert_int_equal(number, ROWS);
	next(&rows);
	assert_int_equal(rows.block.count, 0);
	assert_true(table_is_at_hand(table));
	rows_end(&rows);
	rows_end(&rows);
	snapshot_end(scratch->store);
}

static void each_row_of_the_base_comes_once(void **state)
{
	static const uint32_t most[] = {1, 7, 64, 2 * ROWS};
	struct scratch *scratch = *state;
	struct plain plain;
	load_plain(scratch, &plain, DTYPE_F32, KEY_U64);
	for (size_t i = 0; i < sizeof most / sizeof most[0]; i++) {
		walk_plain(scratch, &plain, most[i]);
	}
	plain_fini(&plain);
}

static void scales_tags_and_byte_keys_come_too(void **state)
{
	struct scratch *scratch = *state;
	struct plain plain;
	load_plain(scratch, &plain, DTYPE_I8, KEY_BYTES);
	walk_plain(scratch, &plain, 1);
	walk_plain(scratch, &plain, 100);
	plain_fini(&plain);
}

static int sign(int64_t value)
{
	return (value > 0) - (value < 0);
}

static int compare_plain(const struct plain *plain, uint32_t a, uint32_t b)
{
	size_t left_len;
	size_t right_len;
	const uint8_t *left = plain_key(plain, a, &left_len);
	const uint8_t *right = plain_key(plain, b, &right_len);
	if (plain->spec.key_type == KEY_U64) {
		uint64_t x;
		uint64_t y;
		memcpy(&x, left, sizeof x);
		memcpy(&y, right, sizeof y);
		return x < y ? -1 : x > y;
	}
	const int order = memcmp(left, right, left_len < right_len ? left_len : right_len);
	return order != 0 ? sign(order) : sign((int64_t)left_len - (int64_t)right_len);
}

static void expect_order(struct scratch *scratch, const struct plain *plain)
{
	enum { COMPARED = 150 };
	struct rows rows;
	uint32_t numbers[COMPARED];
	const struct table *table = scratch_table(scratch, "p");
	assert_int_equal(rows_begin(&rows, table, store_visible(scratch->store), ROWS), STATUS_OK);
	for (next(&rows); rows.block.count > 0;) {
		next(&rows); /* all segments are checked */
	}
	for (uint32_t i = 0; i < COMPARED; i++) {
		struct frame_row row;
		assert_int_equal(rows_get(&rows, rows_first_base_id + i, &row), STATUS_OK);
		numbers[i] = number_of(plain, &row);
	}
	for (uint32_t i = 0; i < COMPARED; i++) {
		for (uint32_t j = 0; j < COMPARED; j++) {
			const int order = rows_compare_keys(&rows, rows_first_base_id + i,
				rows_first_base_id + j);
			assert_int_equal(sign(order), compare_plain(plain, numbers[i], numbers[j]));
		}
	}
	rows_end(&rows);
	snapshot_end(scratch->store);
}

static void numbers_are_compared_by_value(void **state)
{
	struct plain plain;
	load_plain(*state, &plain, DTYPE_F32, KEY_U64);
	expect_order(*state, &plain);
	plain_fini(&plain);
}

static void byte_strings_are_compared_as_by_memcmp(void **state)
{
	struct plain plain;
	load_plain(*state, &plain, DTYPE_F32, KEY_BYTES);
	expect_order(*state, &plain);
	plain_fini(&plain);
}

/* ---- rows that were written since ---- */

/* Puts keys [from, behind), or deletes them: version 0. */
static void write_keys(struct scratch *scratch, uint64_t from, uint64_t behind, uint32_t version)
{
	scratch_put(scratch, "r1", (struct scratch_rows){from, (uint32_t)(behind - from), version});
}

static void write_all(struct scratch *scratch)
{
	write_keys(scratch, 0, CHANGED, 2);
	write_keys(scratch, NEW, NEW_BEHIND, 2);
	write_keys(scratch, GONE, GONE_BEHIND, 0);
}

/* What a walk of "t" has brought. */
struct brought {
	uint32_t news;       /* from the memtable */
	uint32_t base;       /* from the base files */
	uint32_t superseded; /* of these */
	uint32_t short_blocks;
};

static uint64_t key_of(const struct frame_row *row)
{
	uint64_t key;
	assert_int_equal(row->key_len, sizeof key);
	memcpy(&key, row->key, sizeof key);
	return key;
}

static void take_row(const struct rows *rows, uint32_t i, struct brought *brought)
{
	struct frame_row row;
	float expected[SCRATCH_DIM];
	const uint64_t id = row_block_id(&rows->block, i);
	assert_int_equal(rows_get(rows, id, &row), STATUS_OK);
	const uint64_t key = key_of(&row);
	if (id >= rows_first_base_id) {
		const bool is_superseded = rows_is_superseded(rows, id, row.key, row.key_len);
		if (is_superseded) {
			assert_true(key < CHANGED || (key >= GONE && key < GONE_BEHIND));
		}
		brought->base++;
		brought->superseded += is_superseded;
		scratch_row(key, 1, expected);
	} else {
		assert_int_equal(brought->base, 0); /* they come first */
		assert_true(key < CHANGED || (key >= NEW && key < NEW_BEHIND));
		brought->news++;
		scratch_row(key, 2, expected);
	}
	assert_memory_equal(row.data, expected, sizeof expected);
	assert_memory_equal(rows->block.data + i * sizeof expected, expected, sizeof expected);
	assert_int_equal(rows->block.times[i], row.time_ms);
}

static struct brought walk(struct scratch *scratch, uint64_t visible, uint32_t rows_max)
{
	struct rows rows;
	struct brought brought = {0};
	const struct table *table = scratch_table(scratch, "t");
	assert_int_equal(rows_begin(&rows, table, visible, rows_max), STATUS_OK);
	for (next(&rows); rows.block.count > 0; next(&rows)) {
		for (uint32_t i = 0; i < rows.block.count; i++) {
			take_row(&rows, i, &brought);
		}
		brought.short_blocks += rows.block.ids != NULL && rows.block.count < rows_max;
	}
	rows_end(&rows);
	snapshot_end(scratch->store);
	return brought;
}

static void what_was_written_comes_first_and_supersedes_the_base(void **state)
{
	static const uint32_t most[] = {1, 4, NEWS, 1000};
	struct scratch *scratch = *state;
	scratch_sealed(scratch, "r1", 0, ROWS, 1);
	write_all(scratch);
	for (size_t i = 0; i < sizeof most / sizeof most[0]; i++) {
		const struct brought brought = walk(scratch, visible_now(scratch), most[i]);
		assert_int_equal(brought.news, NEWS);
		assert_int_equal(brought.base, ROWS);
		assert_int_equal(brought.superseded, CHANGED + GONE_BEHIND - GONE);
		/* All but the last are full. */
		assert_int_equal(brought.short_blocks, NEWS % most[i] != 0);
	}
}

static void writes_above_the_snapshot_are_not_there(void **state)
{
	struct scratch *scratch = *state;
	scratch_sealed(scratch, "r1", 0, ROWS, 1);
	const uint64_t before = visible_now(scratch);
	write_all(scratch);
	const struct brought brought = walk(scratch, before, 50);
	assert_int_equal(brought.news, 0);
	assert_int_equal(brought.base, ROWS);
	assert_int_equal(brought.superseded, 0);
}

static void a_table_without_base_files_has_rows_all_the_same(void **state)
{
	struct scratch *scratch = *state;
	scratch_release(scratch, "r1");
	scratch_seal(scratch, "r1");
	const struct brought none = walk(scratch, visible_now(scratch), 50);
	assert_int_equal(none.news + none.base, 0);
	write_all(scratch);
	const struct brought brought = walk(scratch, visible_now(scratch), 50);
	assert_int_equal(brought.news, NEWS);
	assert_int_equal(brought.base, 0);
}

/* The key of a row in the memtable is compared with those of the base. */
static void keys_are_compared_wherever_they_stand(void **state)
{
	struct scratch *scratch = *state;
	struct rows rows;
	scratch_sealed(scratch, "r1", 0, ROWS, 1);
	write_keys(scratch, 300, 301, 2);
	const struct table *table = scratch_table(scratch, "t");
	assert_int_equal(rows_begin(&rows, table, store_visible(scratch->store), 8), STATUS_OK);
	next(&rows);
	assert_int_equal(rows.block.count, 1);
	const uint64_t written = row_block_id(&rows.block, 0);
	assert_true(written < rows_first_base_id);
	for (uint64_t i = 0; i < ROWS; i++) {
		struct frame_row row;
		assert_int_equal(rows_get(&rows, rows_first_base_id + i, &row), STATUS_OK);
		const int order = sign((int64_t)key_of(&row) - 300);
		assert_int_equal(sign(rows_compare_keys(&rows, rows_first_base_id + i, written)),
			order);
		assert_int_equal(sign(rows_compare_keys(&rows, written, rows_first_base_id + i)),
			-order);
	}
	rows_end(&rows);
	snapshot_end(scratch->store);
}

/* A merge has swapped its files in, and takes what it has written out of the memtable, while somebody walks who has had
 * these rows from there. */
static void what_came_from_the_memtable_does_not_come_again_from_files(void **state)
{
	struct scratch *scratch = *state;
	struct rows rows;
	scratch_sealed(scratch, "r1", 0, ROWS, 1);
	write_keys(scratch, 300, 310, 2);
	const struct table *table = scratch_table(scratch, "t");
	const uint64_t visible = store_visible(scratch->store);
	assert_int_equal(rows_begin(&rows, table, visible, ROWS), STATUS_OK);
	next(&rows);
	assert_int_equal(rows.block.count, 10);
	assert_true(memtable_freeze(table->memtable, visible));
	struct generation *taken = memtable_take_frozen(table->memtable);
	uint32_t superseded = 0;
	for (next(&rows); rows.block.count > 0; next(&rows)) {
		for (uint32_t i = 0; i < rows.block.count; i++) {
			struct frame_row row;
			const uint64_t id = row_block_id(&rows.block, i);
			assert_int_equal(rows_get(&rows, id, &row), STATUS_OK);
			superseded += rows_is_superseded(&rows, id, row.key, row.key_len);
		}
	}
	assert_int_equal(superseded, 10);
	rows_end(&rows);
	snapshot_end(scratch->store);
	generation_free(taken);
}

/* ---- what goes wrong ---- */

static void a_damaged_segment_ends_the_walk(void **state)
{
	struct scratch *scratch = *state;
	char path[PATH_MAX];
	struct rows rows;
	scratch_sealed(scratch, "r1", 0, ROWS, 1);
	scratch_close(scratch);
	scratch_path(scratch, path, "releases/1/base-1-0.mdb");
	struct scratch_file file = scratch_read(path);
	scratch_flip(path, file.len / 2);
	free(file.data);
	scratch_open(scratch);
	const struct table *table = scratch_table(scratch, "t");
	assert_int_equal(rows_begin(&rows, table, store_visible(scratch->store), 50), STATUS_OK);
	enum status status;
	do {
		status = rows_next(&rows);
	} while (status == STATUS_OK && rows.block.count > 0);
	assert_int_equal(status, STATUS_CORRUPT);
	assert_false(table_is_at_hand(table));
	rows_end(&rows);
	snapshot_end(scratch->store);
}

static bool walk_once(void *arg)
{
	struct scratch *scratch = arg;
	struct rows rows;
	const struct table *table = scratch_table(scratch, "t");
	enum status status = rows_begin(&rows, table, store_visible(scratch->store), 50);
	uint32_t count = 0;
	do {
		status = status == STATUS_OK ? rows_next(&rows) : status;
		count += status == STATUS_OK ? rows.block.count : 0;
	} while (status == STATUS_OK && rows.block.count > 0);
	rows_end(&rows);
	snapshot_end(scratch->store);
	assert_true(status == STATUS_NO_MEMORY || (status == STATUS_OK && count == ROWS + NEWS));
	return status == STATUS_OK;
}

static void refused_memory_ends_the_walk(void **state)
{
	struct scratch *scratch = *state;
	scratch_sealed(scratch, "r1", 0, ROWS, 1);
	write_all(scratch);
	assert_true(alloc_fail_each(walk_once, scratch) >= 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_row_of_the_base_comes_once,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(scales_tags_and_byte_keys_come_too,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(numbers_are_compared_by_value,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(byte_strings_are_compared_as_by_memcmp,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(
			what_was_written_comes_first_and_supersedes_the_base,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(writes_above_the_snapshot_are_not_there,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_table_without_base_files_has_rows_all_the_same,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(keys_are_compared_wherever_they_stand,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(
			what_came_from_the_memtable_does_not_come_again_from_files,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_damaged_segment_ends_the_walk,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(refused_memory_ends_the_walk,
			scratch_setup_small_store, scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
