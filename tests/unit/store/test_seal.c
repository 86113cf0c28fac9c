/* test_seal.c - a sealed table has each key once, its last row, in the order of hash and key. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/load/load.h"
#include "daemon/store/seal/seal.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/state/reader.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/store/read/lookup.h"
#include "daemon/store/seal/seal_release.h"
#include "daemon/store/system/mapfault.h"
#include "tests/unit/fixture.h"
#include "tests/unit/store/crafted_key.h"
#include "tests/unit/store/plain.h"

#include <cmocka.h>

/* Loads some u64 keys with rows of one version as a chunk of table "t". */
static void load_keys(struct scratch *scratch, const char *load, uint64_t chunk_number,
	const uint64_t *keys, uint32_t count, uint32_t version)
{
	struct error err = {0};
	struct load_progress progress;
	float *rows = calloc(count + 1, sizeof(float[SCRATCH_DIM]));
	assert_non_null(rows);
	for (uint32_t i = 0; i < count; i++) {
		scratch_row(keys[i], version, rows + (size_t)i * SCRATCH_DIM);
	}
	struct load_chunk chunk = {
		.release = "r1",
		.table = "t",
		.chunk = chunk_number,
		.batch.keys = {KEY_U64, count, (const uint8_t *)keys, NULL},
		.batch.dtype = DTYPE_F32,
		.batch.rows = (const uint8_t *)rows,
		.batch.rows_bytes = (size_t)count * SCRATCH_DIM * sizeof(float),
		.now_ms = SCRATCH_NOW_MS,
	};
	(void)snprintf(chunk.load.text, sizeof chunk.load.text, "%s", load);
	scratch_must(store_load_chunk(scratch->store, &chunk, &progress, &err), &err);
	free(rows);
}

static void sync_loads(struct scratch *scratch)
{
	struct error err = {0};
	scratch_must(store_load_sync(scratch->store, &err), &err);
}

/* ---- progress ---- */

static void a_seal_counts_the_rows_of_its_loads(void **state)
{
	struct scratch *scratch = *state;
	const uint64_t keys[] = {1, 2, 3, 2};
	struct seal_progress progress;
	scratch_release(scratch, "r1");
	scratch_release(scratch, "other");
	scratch_chunk(scratch, "other", "x", 0, (struct scratch_rows){50, 60, 1});
	load_keys(scratch, "a", 0, keys, 4, 1);
	load_keys(scratch, "b", 0, keys, 2, 1);
	sync_loads(scratch);
	scratch_end(scratch, "r1", "a", 1, 4);
	scratch_end(scratch, "r1", "b", 1, 2);
	assert_false(store_seal_progress(scratch->store, 1, &progress));
	scratch_seal(scratch, "r1");
	assert_false(store_seal_progress(scratch->store, 1, &progress));
	assert_int_equal(progress.rows, 6);
	assert_int_equal(progress.done, 6);
}

/* ---- which row ---- */

static void of_a_key_given_twice_the_last_wins(void **state)
{
	struct scratch *scratch = *state;
	scratch_release(scratch, "r1");
	/* 1: in one chunk. 2: in two chunks of one group. 3: in two runs. 4: in two loads, of which
	 * the one begun later comes first. 5: across a restart. */
	const uint64_t twice[] = {1, 100, 1};
	const uint64_t keys[] = {2, 3, 4, 5};
	load_keys(scratch, "b", 0, (const uint64_t[]){200}, 1, 1);
	load_keys(scratch, "a", 0, twice, 2, 1);
	load_keys(scratch, "a", 1, twice + 2, 1, 2);
	load_keys(scratch, "a", 2, keys, 4, 1);
	load_keys(scratch, "a", 3, keys, 1, 2);
	sync_loads(scratch);
	load_keys(scratch, "a", 4, keys + 1, 1, 2);
	sync_loads(scratch);
	load_keys(scratch, "b", 1, keys + 2, 2, 2);
	sync_loads(scratch);
	scratch_reopen(scratch);
	load_keys(scratch, "a", 5, keys + 3, 1, 3);
	scratch_end(scratch, "r1", "a", 6, 10);
	scratch_end(scratch, "r1", "b", 2, 3);
	struct error err = {0};
	struct seal_result result;
	scratch_must(store_seal(scratch->store, "r1", NULL, &result, &err), &err);
	assert_int_equal(result.rows, 7);
	assert_int_equal(result.tables, 1);
	for (uint64_t key = 1; key <= 4; key++) {
		assert_int_equal(scratch_version(scratch, "r1", key), 2);
	}
	assert_int_equal(scratch_version(scratch, "r1", 5), 3);
	assert_int_equal(scratch_version(scratch, "r1", 100), 1);
	assert_int_equal(scratch_version(scratch, "r1", 200), 1);
}

static void a_key_twice_in_one_chunk_keeps_its_last_row(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct load_progress progress;
	enum { ROWS = 2000, KEYS = 7 };
	static uint64_t keys[ROWS];
	static float rows[ROWS][SCRATCH_DIM];
	for (uint32_t i = 0; i < ROWS; i++) {
		keys[i] = i * 31 % KEYS;
		scratch_row(keys[i], i + 1, rows[i]);
	}
	scratch_release(scratch, "r1");
	const struct load_chunk chunk = {
		.release = "r1",
		.table = "t",
		.load = {"a"},
		.batch.keys = {KEY_U64, ROWS, (const uint8_t *)keys, NULL},
		.batch.dtype = DTYPE_F32,
		.batch.rows = (const uint8_t *)rows,
		.batch.rows_bytes = (size_t)ROWS * SCRATCH_DIM * sizeof(float),
	};
	scratch_must(store_load_chunk(scratch->store, &chunk, &progress, &err), &err);
	scratch_end(scratch, "r1", "a", 1, ROWS);
	scratch_seal(scratch, "r1");
	for (uint64_t key = 0; key < KEYS; key++) {
		uint32_t last = 0;
		for (uint32_t i = 0; i < ROWS; i++) {
			last = keys[i] == key ? i + 1 : last;
		}
		assert_int_equal(scratch_version(scratch, "r1", key), last);
	}
	assert_int_equal(scratch_table(scratch, "t")->rows, KEYS);
	snapshot_end(scratch->store);
}

/* ---- the order of rows ---- */

static const uint8_t *key_at(const struct segment *view, uint32_t row, size_t *len)
{
	if (view->keys != NULL) {
		*len = 8;
		return (const uint8_t *)&view->keys[row];
	}
	*len = view->key_offsets[row + 1] - view->key_offsets[row];
	return view->key_blob + view->key_offsets[row];
}

/* Each segment in the order of (hash, key), each key under the segment's prefix; counts rows. */
static uint64_t expect_order(const struct table *table)
{
	const struct base_set *set = table->bases;
	uint64_t rows = 0;
	uint64_t last_hash = 0;
	uint8_t last_key[256];
	size_t last_len = 0;
	for (size_t i = 0; i < set->segment_count; i++) {
		const struct segment *view = &set->segments[i]->view;
		for (uint32_t row = 0; row < view->rows; row++) {
			size_t len;
			const uint8_t *key = key_at(view, row, &len);
			const uint64_t hash = siphash(&scratch_seed, key, len);
			assert_int_equal(base_set_find(set, hash), i);
			if (hash == last_hash && last_len > 0) {
				const size_t least = len < last_len ? len : last_len;
				const int order = memcmp(last_key, key, least);
				assert_true(order < 0 || (order == 0 && last_len < len));
			} else {
				assert_true(hash > last_hash || last_len == 0);
			}
			memcpy(last_key, key, len);
			last_len = len;
			last_hash = hash;
			rows++;
		}
	}
	return rows;
}

static void many_rows_make_many_segments_in_many_files(void **state)
{
	struct scratch *scratch = *state;
	for (enum key_type key_type = KEY_U64; key_type <= KEY_BYTES; key_type++) {
		struct error err = {0};
		struct plain plain;
		const struct table_spec spec = scratch_spec("p", DTYPE_F16, key_type, 33);
		plain_make(&plain, &spec, 5000);
		scratch_release(scratch, "r1");
		plain_load(&plain, scratch, "r1", 1200);
		scratch_seal(scratch, "r1");
		for (unsigned round = 0; round < 2; round++) {
			const struct table *table = scratch_table(scratch, "p");
			assert_int_equal(table->rows, 5000);
			assert_int_equal(expect_order(table), 5000);
			assert_true(table->levels[0]->file_count > 3);
			assert_true(table->bases->segment_count > 2 * table->levels[0]->file_count);
			snapshot_end(scratch->store);
			scratch_reopen(scratch);
		}
		scratch_must(store_release_drop(scratch->store, "r1", &err), &err);
		plain_fini(&plain);
	}
}

static void keys_of_one_hash_stand_in_their_order(void **state)
{
	struct scratch *scratch = *state;
	struct plain plain;
	const struct table_spec spec = scratch_spec("p", DTYPE_F32, KEY_BYTES, SCRATCH_DIM);
	enum { PAIRS = 100 };
	plain_make(&plain, &spec, PAIRS * 4);
	uint64_t random = 9;
	size_t end = 0;
	/* Each pair of keys of one hash comes twice: the later rows are kept. */
	for (uint32_t i = 0; i < PAIRS * 2; i++) {
		const uint64_t text = plain_random(&random) >> 8 | 1;
		uint8_t key[8] = {0};
		random = i % 2 == 0 ? random : random + 1;
		memcpy(key, &text, 7);
		assert_true(
			crafted_bytes(siphash(&scratch_seed, key, 7), 8, plain.packed + end + 9));
		plain.at[(size_t)i * 2] = (uint32_t)end;
		plain.at[(size_t)i * 2 + 1] = (uint32_t)end + 8;
		plain.packed[end] = 7;
		memcpy(plain.packed + end + 1, key, 7);
		plain.packed[end + 8] = 8;
		end += 17;
		random = i == PAIRS - 1 ? 9 : random;
	}
	scratch_release(scratch, "r1");
	plain_load(&plain, scratch, "r1", 90);
	scratch_seal(scratch, "r1");
	const struct table *table = scratch_table(scratch, "p");
	assert_int_equal(table->rows, PAIRS * 2);
	assert_int_equal(expect_order(table), PAIRS * 2);
	for (size_t i = 0; i < table->bases->segment_count; i++) {
		const struct segment *view = &table->bases->segments[i]->view;
		for (uint32_t row = 0; row < view->rows; row++) {
			size_t len;
			const uint8_t *key = key_at(view, row, &len);
			uint32_t number = PAIRS * 4;
			while (number-- > 0 && (plain.packed[plain.at[number]] != len ||
						       memcmp(plain.packed + plain.at[number] + 1,
							       key, len) != 0)) {
			}
			assert_true(number >= PAIRS * 2); /* of the second time */
			assert_memory_equal(view->row_data + row * view->row_bytes,
				plain.rows + (size_t)number * view->row_bytes, view->row_bytes);
		}
	}
	snapshot_end(scratch->store);
	plain_fini(&plain);
}

/* Loads keys whose hashes share their first `bits`, and seals. */
static enum status seal_skewed(struct scratch *scratch, uint32_t bits, uint32_t count,
	struct error *err)
{
	uint64_t *keys = calloc(count, sizeof *keys);
	assert_non_null(keys);
	uint64_t random = bits;
	for (uint32_t i = 0; i < count; i++) {
		const uint64_t prefix = UINT64_C(0xabcdef0123456789) >> (64 - bits) << (64 - bits);
		keys[i] = crafted_u64(prefix | plain_random(&random) >> bits);
	}
	scratch_release(scratch, "r1");
	load_keys(scratch, "a", 0, keys, count, 1);
	scratch_end(scratch, "r1", "a", 1, count);
	struct seal_result result;
	const enum status status = store_seal(scratch->store, "r1", NULL, &result, err);
	for (uint32_t i = 0; status == STATUS_OK && i < count; i++) {
		assert_int_equal(scratch_version(scratch, "r1", keys[i]), 1);
	}
	free(keys);
	return status;
}

static void hashes_that_share_a_prefix_are_split_deeper(void **state)
{
	struct scratch *scratch = *state;
	for (uint32_t bits = 1; bits <= 16; bits += 5) {
		struct error err = {0};
		scratch_must(seal_skewed(scratch, bits, 1500, &err), &err);
		const struct table *table = scratch_table(scratch, "t");
		assert_true(table->bases->depth > bits);
		assert_int_equal(expect_order(table), 1500);
		snapshot_end(scratch->store);
		scratch_must(store_release_drop(scratch->store, "r1", &err), &err);
	}
}

static void there_is_an_end_to_splitting(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	/* Over the size of a segment, under that of a file: one larger segment. */
	scratch_must(seal_skewed(scratch, 40, 600, &err), &err);
	const struct table *table = scratch_table(scratch, "t");
	assert_int_equal(table->bases->depth, SEGMENT_PREFIX_BITS_MAX);
	assert_int_equal(expect_order(table), 600);
	snapshot_end(scratch->store);
	scratch_must(store_release_drop(scratch->store, "r1", &err), &err);
	assert_int_equal(seal_skewed(scratch, 40, 3000, &err), STATUS_TOO_LARGE);
	assert_non_null(strstr(err.text, "share the first"));
	char folder[PATH_MAX];
	scratch_path(scratch, folder, "releases/2");
	assert_int_equal(scratch_count(folder, "base-"), 0);
	assert_int_equal(scratch_count(folder, "spill-"), 1);
}

/* ---- what is refused ---- */

static void a_load_that_has_not_ended_is_waited_for(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct seal_result result = {.rows = 77};
	scratch_release(scratch, "r1");
	scratch_chunk(scratch, "r1", "a", 0, (struct scratch_rows){0, 10, 1});
	scratch_chunk(scratch, "r1", "b", 0, (struct scratch_rows){0, 10, 1});
	scratch_end(scratch, "r1", "b", 1, 10);
	assert_int_equal(store_seal(scratch->store, "r1", NULL, &result, &err), STATUS_CONFLICT);
	assert_non_null(strstr(err.text, "'a' of table 't' has not ended (1 chunks, 10 rows)"));
	assert_int_equal(store_seal(scratch->store, "r9", NULL, &result, &err), STATUS_NOT_FOUND);
	assert_int_equal(store_seal(scratch->store, "live", NULL, &result, &err), STATUS_NOT_FOUND);
	assert_int_equal(result.rows, 77);
	scratch_end(scratch, "r1", "a", 1, 10);
	scratch_must(store_seal(scratch->store, "r1", NULL, &result, &err), &err);
	assert_int_equal(result.rows, 10);
	const uint64_t bytes = result.bytes;
	assert_true(bytes > 0);
	scratch_must(store_seal(scratch->store, "r1", NULL, &result, &err), &err);
	assert_int_equal(result.rows, 10);
	assert_int_equal(result.bytes, bytes);
	char folder[PATH_MAX];
	scratch_path(scratch, folder, "releases/1");
	scratch_close(scratch); /* ends what the janitor has to remove */
	assert_int_equal(scratch_count(folder, "spill-"), 0);
}

static void on_a_full_disk_the_release_stays_open(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct seal_result result;
	struct rlimit limit;
	char folder[PATH_MAX];
	scratch_release(scratch, "r1");
	scratch_chunk(scratch, "r1", "a", 0, (struct scratch_rows){0, 3000, 1});
	scratch_end(scratch, "r1", "a", 1, 3000);
	scratch_path(scratch, folder, "releases/1");
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	unsigned full = 0;
	for (uint64_t bytes = 4096; bytes < 120000; bytes += 7777) {
		const struct rlimit small = {.rlim_cur = bytes, .rlim_max = limit.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		const enum status status = store_seal(scratch->store, "r1", NULL, &result, &err);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
		if (status == STATUS_OK) {
			break; /* there was room enough */
		}
		assert_int_equal(status, STATUS_DISK_FULL);
		full++;
		assert_int_equal(scratch_count(folder, "base-"), 0);
		assert_int_equal(scratch_count(folder, "spill-"), 1);
	}
	assert_true(full > 0);
	scratch_must(store_seal(scratch->store, "r1", NULL, &result, &err), &err);
	scratch_expect(scratch, "r1", 0, 3000, 1);
}

static void a_damaged_run_is_told_and_can_be_sent_again(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct seal_result result;
	char path[PATH_MAX];
	scratch_release(scratch, "r1");
	scratch_chunk(scratch, "r1", "a", 0, (struct scratch_rows){0, 1000, 1});
	scratch_chunk(scratch, "r1", "a", 1, (struct scratch_rows){1000, 1000, 1});
	scratch_end(scratch, "r1", "a", 2, 2000);
	scratch_path(scratch, path, "releases/1/spill-1-a");
	assert_int_equal(mapfault_install(), STATUS_OK); /* cmocka took the signal */
	struct scratch_file whole = scratch_read(path);
	for (unsigned how = 0; how < 2; how++) {
		if (how == 0) {
			scratch_flip(path, 9000);
		} else {
			scratch_cut(path, 8192);
		}
		assert_int_equal(store_seal(scratch->store, "r1", NULL, &result, &err),
			STATUS_CORRUPT);
		assert_non_null(strstr(err.text, "chunks 0..0 are damaged on disk"));
		scratch_write(path, whole.data, whole.len);
	}
	free(whole.data);
	scratch_must(store_seal(scratch->store, "r1", NULL, &result, &err), &err);
	scratch_expect(scratch, "r1", 0, 2000, 1);
}

/* The catalog knows which loads are whole, so one whose file is gone is not sealed as none. */
static void a_lost_load_is_told_and_can_be_sent_again(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct seal_result result;
	char path[PATH_MAX];
	scratch_release(scratch, "r1");
	scratch_chunk(scratch, "r1", "a", 0, (struct scratch_rows){0, 1000, 1});
	scratch_end(scratch, "r1", "a", 1, 1000);
	scratch_path(scratch, path, "releases/1/spill-1-a");
	assert_int_equal(unlink(path), 0);
	scratch_reopen(scratch);
	assert_int_equal(store_seal(scratch->store, "r1", NULL, &result, &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "ended with 1000 rows, 0 are on disk"));
	const struct load_chunk which = {.release = "r1", .table = "t", .load = {"a"}};
	uint64_t rows;
	scratch_must(store_load_abort(scratch->store, &which, &rows, &err), &err);
	scratch_chunk(scratch, "r1", "a", 0, (struct scratch_rows){0, 500, 1});
	scratch_end(scratch, "r1", "a", 1, 500);
	scratch_must(store_seal(scratch->store, "r1", NULL, &result, &err), &err);
	assert_int_equal(result.rows, 500);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(a_seal_counts_the_rows_of_its_loads),
		cmocka_unit_test(of_a_key_given_twice_the_last_wins),
		cmocka_unit_test(a_key_twice_in_one_chunk_keeps_its_last_row),
		cmocka_unit_test(many_rows_make_many_segments_in_many_files),
		cmocka_unit_test(keys_of_one_hash_stand_in_their_order),
		cmocka_unit_test(hashes_that_share_a_prefix_are_split_deeper),
		cmocka_unit_test(there_is_an_end_to_splitting),
		cmocka_unit_test(a_load_that_has_not_ended_is_waited_for),
		cmocka_unit_test(on_a_full_disk_the_release_stays_open),
		cmocka_unit_test(a_damaged_run_is_told_and_can_be_sent_again),
		cmocka_unit_test(a_lost_load_is_told_and_can_be_sent_again),
	};
	return fixture_run(tests, sizeof tests / sizeof *tests, scratch_setup_small_store,
		scratch_teardown);
}
