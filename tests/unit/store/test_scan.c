/* test_scan.c - a walk brings every row exactly once, in steps of any size. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/read/lookup.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/store/base/base.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/system/mapfault.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/fixture.h"
#include "tests/unit/seed.h"
#include "tests/unit/store/crafted_key.h"
#include "tests/unit/store/plain.h"

#include <cmocka.h>

enum { ROWS = 700 };

static size_t packed_len(const struct plain *plain, uint32_t i)
{
	return plain->spec.key_type == KEY_U64 ? 8 : plain->packed[plain->at[i]] + 1u;
}

/* The number of a packed key, or count. */
static uint32_t number_of(const struct plain *plain, const uint8_t *key, size_t len)
{
	for (uint32_t i = 0; i < plain->count; i++) {
		if (packed_len(plain, i) == len &&
			memcmp(plain->packed + plain->at[i], key, len) == 0) {
			return i;
		}
	}
	return plain->count;
}

static void expect_row(const struct scan *scan, const struct plain *plain, uint32_t i,
	uint32_t number)
{
	uint8_t row[1024];
	float scale;
	const size_t stride = dtype_row_bytes(scan->dtype, plain->spec.dim, plain->spec.views);
	plain_row(plain, number, scan->dtype, row, &scale);
	assert_memory_equal(scan->rows + i * stride, row, stride);
	assert_memory_equal(scan->times + (size_t)i * 8, &plain->times[number], 8);
	assert_true((scan->tags != NULL) == plain->spec.tags);
	if (scan->tags != NULL) {
		assert_memory_equal(scan->tags + (size_t)i * 8, &plain->tags[number], 8);
	}
	assert_true((scan->scales != NULL) == (scan->dtype == DTYPE_I8));
	if (scan->scales != NULL) {
		assert_memory_equal(scan->scales + (size_t)i * 4, &scale, 4);
	}
}

/* Walks the table in steps of `limit` rows or `bytes_max`; `seen` counts each row. Returns the
 * steps. */
static unsigned walk(struct scratch *scratch, const struct plain *plain, struct scan scan,
	unsigned *seen)
{
	struct error err = {0};
	uint64_t last_hash = 0;
	unsigned steps = 0;
	scan.table = scratch_table(scratch, plain->spec.name.text);
	do {
		const uint64_t cursor = scan.cursor;
		scratch_must(table_scan(&scan, &err), &err);
		size_t at = 0;
		for (uint32_t i = 0; i < scan.count; i++) {
			const uint8_t *key = scan.keys + at;
			const bool is_u64 = plain->spec.key_type == KEY_U64;
			const size_t len = is_u64 ? 8 : *key + 1u;
			const uint32_t number = number_of(plain, key, len);
			assert_true(number < plain->count);
			seen[number]++;
			expect_row(&scan, plain, i, number);
			const uint64_t hash = is_u64 ? siphash(&scratch_seed, key, 8)
						     : siphash(&scratch_seed, key + 1, len - 1);
			assert_true(hash >= last_hash && hash >= cursor);
			assert_true(scan.behind == 0 || hash < scan.behind);
			last_hash = hash;
			at += len;
		}
		assert_int_equal(at, scan.keys_len);
		assert_true(!scan.more || scan.cursor > cursor);
		assert_true(!scan.more || scan.behind == 0 || scan.cursor < scan.behind);
		scan_fini(&scan);
		steps++;
	} while (scan.more);
	snapshot_end(scratch->store);
	return steps;
}

static unsigned walk_all(struct scratch *scratch, const struct plain *plain, uint32_t limit,
	uint64_t bytes_max, enum dtype dtype)
{
	unsigned *seen = calloc(plain->count + 1, sizeof *seen);
	assert_non_null(seen);
	const struct scan scan = {.limit = limit,
		.bytes_max = bytes_max,
		.dtype = dtype,
		.now_ms = SCRATCH_NOW_MS};
	const unsigned steps = walk(scratch, plain, scan, seen);
	for (uint32_t i = 0; i < plain->count; i++) {
		assert_int_equal(seen[i], 1);
	}
	free(seen);
	return steps;
}

static void every_limit_brings_each_row_once(void **state)
{
	struct scratch *scratch = *state;
	struct plain plain;
	const struct table_spec spec = scratch_spec("p", DTYPE_F32, KEY_U64, 20);
	plain_seal(&plain, scratch, &spec, ROWS, 300);
	assert_true(scratch_table(scratch, "p")->bases->segment_count > 4);
	snapshot_end(scratch->store);
	for (uint32_t limit = 0; limit < 30; limit++) {
		const unsigned steps = walk_all(scratch, &plain, limit, UINT64_MAX, DTYPE_F32);
		const unsigned least = limit == 0 ? ROWS : ROWS / limit;
		assert_true(steps >= least && steps <= least + 2);
	}
	for (uint32_t limit = 30; limit < 2 * ROWS; limit += 97) {
		(void)walk_all(scratch, &plain, limit, UINT64_MAX, DTYPE_F32);
	}
	assert_int_equal(walk_all(scratch, &plain, UINT32_MAX, UINT64_MAX, DTYPE_F32), 1);
	assert_int_equal(walk_all(scratch, &plain, ROWS + 1, UINT64_MAX, DTYPE_F32), 1);
	for (uint64_t bytes = 0; bytes < 5000; bytes += 333) {
		(void)walk_all(scratch, &plain, UINT32_MAX, bytes, DTYPE_F32);
	}
	plain_fini(&plain);
}

static void every_dtype_and_key_type_is_walked(void **state)
{
	struct scratch *scratch = *state;
	for (enum dtype dtype = DTYPE_F32; dtype <= DTYPE_BIT; dtype++) {
		for (enum key_type key_type = KEY_U64; key_type <= KEY_BYTES; key_type++) {
			struct error err = {0};
			struct plain plain;
			struct table_spec spec = scratch_spec("p", dtype, key_type, 19);
			spec.tags = key_type == KEY_BYTES;
			spec.views = 2;
			plain_seal(&plain, scratch, &spec, 400, 300);
			for (enum dtype to = DTYPE_F32; to <= DTYPE_BIT; to++) {
				if (dtype_convertible(dtype, to)) {
					(void)walk_all(scratch, &plain, 64, UINT64_MAX, to);
				}
			}
			scratch_must(store_release_drop(scratch->store, "r1", &err), &err);
			plain_fini(&plain);
		}
	}
}

static void a_table_without_rows_is_walked_at_once(void **state)
{
	struct scratch *scratch = *state;
	struct plain plain;
	const struct table_spec spec = scratch_spec("p", DTYPE_F32, KEY_U64, 4);
	plain_seal(&plain, scratch, &spec, 0, 300);
	assert_int_equal(walk_all(scratch, &plain, 10, UINT64_MAX, DTYPE_F32), 1);
	plain_fini(&plain);
}

static void a_walk_may_begin_anywhere(void **state)
{
	struct scratch *scratch = *state;
	struct plain plain;
	const struct table_spec spec = scratch_spec("p", DTYPE_F32, KEY_U64, 20);
	plain_seal(&plain, scratch, &spec, ROWS, 300);
	uint64_t random = seed_from(5);
	for (unsigned round = 0; round < 200; round++) {
		unsigned seen[ROWS] = {0};
		const uint64_t row_hash =
			siphash(&scratch_seed, plain.packed + (size_t)(round % ROWS) * 8, 8);
		const uint64_t cursor = round % 4 == 0   ? plain_random(&random)
					: round % 4 == 1 ? row_hash
					: round % 4 == 2 ? row_hash + 1
							 : UINT64_MAX - round;
		const struct scan scan = {.cursor = cursor,
			.limit = 100,
			.bytes_max = UINT64_MAX,
			.dtype = DTYPE_F32,
			.now_ms = SCRATCH_NOW_MS};
		(void)walk(scratch, &plain, scan, seen);
		for (uint32_t i = 0; i < ROWS; i++) {
			const uint64_t hash =
				siphash(&scratch_seed, plain.packed + (size_t)i * 8, 8);
			assert_int_equal(seen[i], hash >= cursor);
		}
	}
	plain_fini(&plain);
}

/* Walks through ranges that follow one another, from 0 to 2^64, and brings every row once. */
static void walk_ranges(struct scratch *scratch, const struct plain *plain, const uint64_t *bounds,
	size_t count, uint32_t limit)
{
	unsigned *seen = calloc(plain->count + 1, sizeof *seen);
	assert_non_null(seen);
	for (size_t i = 0; i < count; i++) {
		const struct scan scan = {.cursor = bounds[i],
			.behind = i + 1 < count ? bounds[i + 1] : 0,
			.limit = limit,
			.bytes_max = UINT64_MAX,
			.dtype = DTYPE_F32,
			.now_ms = SCRATCH_NOW_MS};
		(void)walk(scratch, plain, scan, seen);
	}
	for (uint32_t i = 0; i < plain->count; i++) {
		assert_int_equal(seen[i], 1);
	}
	free(seen);
}

static void ranges_bring_each_row_once(void **state)
{
	struct scratch *scratch = *state;
	struct plain plain;
	const struct table_spec spec = scratch_spec("p", DTYPE_F32, KEY_U64, 20);
	plain_seal(&plain, scratch, &spec, ROWS, 300);
	uint64_t random = seed_from(6);
	for (unsigned round = 0; round < 60; round++) {
		uint64_t bounds[40] = {0};
		const size_t count = 1 + round % 40;
		for (size_t i = 1; i < count; i++) {
			const uint64_t row_hash = siphash(&scratch_seed,
				plain.packed + (plain_random(&random) % ROWS) * 8, 8);
			const uint64_t bound = i % 3 == 0   ? plain_random(&random)
					       : i % 3 == 1 ? row_hash
							    : row_hash + 1;
			size_t at = i;
			for (; at > 1 && bounds[at - 1] > bound; at--) {
				bounds[at] = bounds[at - 1];
			}
			bounds[at] = bound;
		}
		size_t kept = 1; /* the same row may be drawn twice */
		for (size_t i = 1; i < count; i++) {
			if (bounds[i] != bounds[kept - 1]) {
				bounds[kept++] = bounds[i];
			}
		}
		walk_ranges(scratch, &plain, bounds, kept, 1 + round * 7 % 60);
	}
	plain_fini(&plain);
}

/* Hashes 0 and 2^64 - 1, and the edges of every prefix of three bits. */
static void rows_at_the_edges_of_the_hash_are_walked(void **state)
{
	struct scratch *scratch = *state;
	struct plain plain;
	const struct table_spec spec = scratch_spec("p", DTYPE_F32, KEY_U64, 200);
	plain_make(&plain, &spec, 200);
	for (uint32_t i = 0; i < 200; i++) {
		const uint64_t hash = ((uint64_t)(i / 2 % 8) << 61) + (i % 2 == 0 ? i / 16 : 0) -
				      (i % 2 == 0 ? 0 : i / 16 + 1);
		const uint64_t key = crafted_u64(hash);
		assert_int_equal(siphash_u64(&scratch_seed, key), hash);
		memcpy(plain.packed + (size_t)i * 8, &key, 8);
	}
	scratch_release(scratch, "r1");
	plain_load(&plain, scratch, "r1", 100);
	scratch_seal(scratch, "r1");
	for (uint32_t limit = 1; limit < 20; limit++) {
		uint64_t bounds[8];
		for (uint64_t i = 0; i < 8; i++) {
			bounds[i] = i << 61;
		}
		(void)walk_all(scratch, &plain, limit, UINT64_MAX, DTYPE_F32);
		walk_ranges(scratch, &plain, bounds, 8, limit);
	}
	plain_fini(&plain);
}

static void keys_of_one_hash_stay_together(void **state)
{
	struct scratch *scratch = *state;
	struct plain plain;
	const struct table_spec spec = scratch_spec("p", DTYPE_F32, KEY_BYTES, 4);
	plain_make(&plain, &spec, 200);
	uint64_t random = seed_from(3);
	size_t end = 0;
	for (uint32_t i = 0; i < 200; i += 2) {
		uint8_t key[8];
		const uint64_t text = plain_random(&random);
		assert_true(crafted_bytes(siphash(&scratch_seed, &text, 7), 8, key));
		plain.at[i] = (uint32_t)end;
		plain.packed[end] = 7;
		memcpy(plain.packed + end + 1, &text, 7);
		plain.at[i + 1] = (uint32_t)end + 8;
		plain.packed[end + 8] = 8;
		memcpy(plain.packed + end + 9, key, 8);
		end += 17;
	}
	scratch_release(scratch, "r1");
	plain_load(&plain, scratch, "r1", 200);
	scratch_seal(scratch, "r1");
	for (uint32_t limit = 1; limit < 20; limit++) {
		const unsigned steps = walk_all(scratch, &plain, limit, UINT64_MAX, DTYPE_F32);
		assert_true(steps <= 200 / ((limit + 1) / 2 * 2) + 2);
	}
	plain_fini(&plain);
}

static void expired_rows_are_left_out(void **state)
{
	struct scratch *scratch = *state;
	struct plain plain;
	struct table_spec spec = scratch_spec("p", DTYPE_F32, KEY_U64, 20);
	spec.ttl_ms = 50000;
	plain_seal(&plain, scratch, &spec, ROWS, 300);
	for (uint32_t limit = 1; limit < 300; limit += 50) {
		unsigned seen[ROWS] = {0};
		const struct scan scan = {.limit = limit,
			.bytes_max = UINT64_MAX,
			.dtype = DTYPE_F32,
			.now_ms = SCRATCH_NOW_MS};
		(void)walk(scratch, &plain, scan, seen);
		for (uint32_t i = 0; i < ROWS; i++) {
			assert_int_equal(seen[i], plain.times[i] > SCRATCH_NOW_MS - 50000);
		}
	}
	plain_fini(&plain);
}

static void a_damaged_segment_is_told(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct plain plain;
	const struct table_spec spec = scratch_spec("p", DTYPE_F32, KEY_U64, 20);
	plain_seal(&plain, scratch, &spec, ROWS, 300);
	const struct table *table = scratch_table(scratch, "p");
	struct scan scan = {.table = table,
		.limit = 10,
		.bytes_max = UINT64_MAX,
		.dtype = DTYPE_F32};
	scratch_mark(table->bases->segments[1], BASE_PAGE_DAMAGED, BASE_DAMAGED);
	enum status status = STATUS_OK;
	uint64_t cursor = 0;
	while (status == STATUS_OK) {
		cursor = scan.cursor;
		status = table_scan(&scan, &err);
		assert_true(status != STATUS_OK || scan.more);
		scan_fini(&scan);
	}
	assert_int_equal(status, STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "table 'p'"));
	/* A step that failed may be tried again from where it began. */
	assert_true(scan.cursor == cursor);
	assert_null(scan.rows);
	snapshot_end(scratch->store);
	plain_fini(&plain);
}

static bool scans(void *arg)
{
	struct scan *scan = arg;
	struct error err = {0};
	const uint64_t cursor = scan->cursor;
	const enum status status = table_scan(scan, &err);
	if (status != STATUS_OK) {
		assert_int_equal(status, STATUS_NO_MEMORY);
		assert_int_equal(err.status, STATUS_NO_MEMORY);
		assert_true(scan->cursor == cursor);
		return false;
	}
	assert_int_equal(scan->count, 100);
	scan_fini(scan);
	return true;
}

static void refused_memory_is_told_as_such(void **state)
{
	struct scratch *scratch = *state;
	struct plain plain;
	struct table_spec spec = scratch_spec("p", DTYPE_I8, KEY_BYTES, 20);
	spec.tags = true;
	plain_seal(&plain, scratch, &spec, 300, 300);
	struct scan scan = {.table = scratch_table(scratch, "p"),
		.limit = 100,
		.bytes_max = UINT64_MAX,
		.dtype = DTYPE_I8,
		.now_ms = SCRATCH_NOW_MS};
	assert_int_equal(alloc_fail_each(scans, &scan), 6);
	snapshot_end(scratch->store);
	plain_fini(&plain);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(every_limit_brings_each_row_once),
		cmocka_unit_test(every_dtype_and_key_type_is_walked),
		cmocka_unit_test(a_table_without_rows_is_walked_at_once),
		cmocka_unit_test(a_walk_may_begin_anywhere),
		cmocka_unit_test(ranges_bring_each_row_once),
		cmocka_unit_test(rows_at_the_edges_of_the_hash_are_walked),
		cmocka_unit_test(keys_of_one_hash_stay_together),
		cmocka_unit_test(expired_rows_are_left_out),
		cmocka_unit_test(a_damaged_segment_is_told),
		cmocka_unit_test(refused_memory_is_told_as_such),
	};
	return fixture_run(tests, sizeof tests / sizeof *tests, scratch_setup_small_store,
		scratch_teardown);
}
