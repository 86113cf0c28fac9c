/* test_lookup.c - a look-up answers as a plain dictionary would, for every dtype and key type. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/load/load.h"
#include "daemon/store/read/lookup.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/store/base/base.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/system/mapfault.h"
#include "tests/unit/fixture.h"
#include "tests/unit/store/crafted_key.h"
#include "tests/unit/store/plain.h"

#include <cmocka.h>

enum { ROWS = 900, BATCH = 700, MISALIGNED = 1 };

/* An answer's buffers, each off its alignment and exactly as large as needed. */
struct answer {
	struct lookup lookup;
	uint8_t *memory[6];
};

static uint8_t *room(struct answer *answer, unsigned i, size_t bytes)
{
	answer->memory[i] = malloc(bytes + MISALIGNED);
	assert_non_null(answer->memory[i]);
	memset(answer->memory[i], 0xa5, bytes + MISALIGNED);
	return answer->memory[i] + MISALIGNED;
}

static void answer_init(struct answer *answer, const struct table *table, const struct keys *keys,
	enum dtype dtype)
{
	const size_t stride = dtype_row_bytes(dtype, table->spec.dim, table->spec.views);
	*answer = (struct answer){0};
	answer->lookup = (struct lookup){
		.table = table,
		.keys = *keys,
		.dtype = dtype,
		.now_ms = SCRATCH_NOW_MS,
		.may_block = true,
		.rows = room(answer, 0, keys->count * stride),
		.found = room(answer, 1, (keys->count + 7) / 8),
		.times = room(answer, 2, (size_t)keys->count * 8),
		.tags = room(answer, 3, (size_t)keys->count * 8),
		.why = room(answer, 4, keys->count),
		.scales = dtype == DTYPE_I8 ? room(answer, 5, (size_t)keys->count * 4) : NULL,
	};
}

static void answer_fini(struct answer *answer)
{
	for (unsigned i = 0; i < 6; i++) {
		free(answer->memory[i]);
	}
}

static void expect_zero(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(bytes[i], 0);
	}
}

/* Compares answer i with row `number` of the dictionary, or with nothing. */
static void expect_entry(const struct answer *answer, const struct plain *plain, uint32_t i,
	uint32_t number, enum why why)
{
	const struct lookup *lookup = &answer->lookup;
	const size_t stride = dtype_row_bytes(lookup->dtype, plain->spec.dim, plain->spec.views);
	const bool found = (lookup->found[i / 8] >> i % 8 & 1) != 0;
	assert_int_equal(lookup->why[i], why);
	assert_true(found == (why == WHY_FOUND));
	if (!found) {
		expect_zero(lookup->rows + i * stride, stride);
		expect_zero(lookup->times + (size_t)i * 8, 8);
		expect_zero(lookup->tags + (size_t)i * 8, 8);
		if (lookup->scales != NULL) {
			expect_zero(lookup->scales + (size_t)i * 4, 4);
		}
		return;
	}
	uint8_t row[1024];
	float scale;
	assert_true(stride <= sizeof row);
	plain_row(plain, number, lookup->dtype, row, &scale);
	assert_memory_equal(lookup->rows + i * stride, row, stride);
	assert_memory_equal(lookup->times + (size_t)i * 8, &plain->times[number], 8);
	assert_memory_equal(lookup->tags + (size_t)i * 8, &plain->tags[number], 8);
	if (lookup->scales != NULL) {
		assert_memory_equal(lookup->scales + (size_t)i * 4, &scale, 4);
	}
}

static void expect_batch(struct scratch *scratch, const struct plain *plain, uint32_t count,
	enum dtype dtype, uint64_t seed)
{
	uint32_t numbers[BATCH] = {0};
	uint32_t absent = 0;
	for (uint32_t i = 0; i < count; i++) {
		/* Some absent, some twice. */
		numbers[i] =
			(uint32_t)(plain_random(&seed) % (plain->count + plain->count / 4 + 1));
		absent += numbers[i] >= plain->count;
	}
	struct keys keys;
	struct answer answer;
	struct error err = {0};
	plain_batch(plain, numbers, count, &keys);
	answer_init(&answer, scratch_table(scratch, plain->spec.name.text), &keys, dtype);
	scratch_must(table_lookup(&answer.lookup, &err), &err);
	snapshot_end(scratch->store);
	for (uint32_t i = 0; i < count; i++) {
		expect_entry(&answer, plain, i, numbers[i],
			numbers[i] < plain->count ? WHY_FOUND : WHY_ABSENT);
	}
	if (count % 8 != 0) { /* the bits behind the last are zero */
		assert_int_equal(answer.lookup.found[count / 8] >> count % 8, 0);
	}
	assert_int_equal(answer.lookup.counts[WHY_FOUND], count - absent);
	assert_int_equal(answer.lookup.counts[WHY_ABSENT], absent);
	answer_fini(&answer);
	free((void *)keys.packed);
	free((void *)keys.at);
}

static void expect_dictionary(struct scratch *scratch, const struct table_spec *spec)
{
	struct plain plain;
	plain_make(&plain, spec, ROWS);
	scratch_release(scratch, "r1");
	plain_load(&plain, scratch, "r1", 250);
	scratch_seal(scratch, "r1");
	for (unsigned round = 0; round < 2; round++) {
		for (enum dtype dtype = DTYPE_F32; dtype <= DTYPE_BIT; dtype++) {
			if (dtype_convertible(spec->dtype, dtype)) {
				expect_batch(scratch, &plain, BATCH, dtype, round);
			}
		}
		scratch_reopen(scratch);
	}
	for (uint32_t count = 0; count < 20; count++) {
		expect_batch(scratch, &plain, count, spec->dtype, count);
	}
	expect_batch(scratch, &plain, 127, spec->dtype, 1);
	expect_batch(scratch, &plain, 128, spec->dtype, 1);
	expect_batch(scratch, &plain, 129, spec->dtype, 1);
	struct error err = {0};
	scratch_must(store_release_drop(scratch->store, "r1", &err), &err);
	plain_fini(&plain);
}

static void every_dtype_and_key_type_answers_like_a_dictionary(void **state)
{
	struct scratch *scratch = *state;
	for (enum dtype dtype = DTYPE_F32; dtype <= DTYPE_BIT; dtype++) {
		for (enum key_type key_type = KEY_U64; key_type <= KEY_BYTES; key_type++) {
			struct table_spec spec = scratch_spec("p", dtype, key_type, 19);
			spec.views = key_type == KEY_U64 ? 3 : 1;
			spec.tags = key_type == KEY_U64;
			expect_dictionary(scratch, &spec);
		}
	}
}

/* Loads a plain table's rows into one of another dtype, in two chunks of two clocks, without
 * times. */
static void load_converted(struct scratch *scratch, const struct plain *plain,
	const struct table_spec *spec)
{
	struct error err = {0};
	struct load_progress progress;
	const uint32_t half = plain->count / 2;
	scratch_release(scratch, "r1");
	scratch_must(store_table_create(scratch->store, "r1", spec, NULL, &err), &err);
	struct load_chunk chunk = {.release = "r1",
		.table = spec->name.text,
		.load = {"a"},
		.batch.dtype = plain->spec.dtype,
		.now_ms = SCRATCH_NOW_MS - 5};
	for (; chunk.chunk < 2; chunk.chunk++, chunk.now_ms++) {
		const size_t first = chunk.chunk * half;
		chunk.batch.keys = (struct keys){KEY_U64, half, plain->packed + first * 8, NULL};
		chunk.batch.rows = plain->rows + first * spec_row_bytes(&plain->spec);
		chunk.batch.rows_bytes = half * spec_row_bytes(&plain->spec);
		chunk.batch.scales = (const uint8_t *)(plain->scales + first);
		scratch_must(store_load_chunk(scratch->store, &chunk, &progress, &err), &err);
	}
	scratch_must(store_load_end(scratch->store, &chunk, 2, plain->count, &err), &err);
	scratch_seal(scratch, "r1");
}

static void rows_are_loaded_in_any_dtype_that_converts(void **state)
{
	struct scratch *scratch = *state;
	for (unsigned pair = 0; pair < DTYPE_BIT * DTYPE_BIT; pair++) {
		const enum dtype from = (enum dtype)(pair / DTYPE_BIT + DTYPE_F32);
		const enum dtype to = (enum dtype)(pair % DTYPE_BIT + DTYPE_F32);
		if (!dtype_convertible(from, to)) {
			continue;
		}
		struct error err = {0};
		struct plain plain;
		const struct table_spec source = scratch_spec("c", from, KEY_U64, 19);
		const struct table_spec spec = scratch_spec("c", to, KEY_U64, 19);
		plain_make(&plain, &source, 100);
		load_converted(scratch, &plain, &spec);
		const struct keys keys = {KEY_U64, 100, plain.packed, NULL};
		struct answer answer;
		answer_init(&answer, scratch_table(scratch, "c"), &keys, to);
		scratch_must(table_lookup(&answer.lookup, &err), &err);
		snapshot_end(scratch->store);
		for (uint32_t i = 0; i < 100; i++) {
			/* The clock of the load's first chunk. */
			plain.times[i] = SCRATCH_NOW_MS - 5;
			expect_entry(&answer, &plain, i, i, WHY_FOUND);
		}
		answer_fini(&answer);
		plain_fini(&plain);
		scratch_must(store_release_drop(scratch->store, "r1", &err), &err);
	}
}

static void what_is_not_wanted_may_be_left_out(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	scratch_sealed(scratch, "r1", 0, 500, 1);
	for (enum dtype dtype = DTYPE_F32; dtype <= DTYPE_I8; dtype++) {
		const uint64_t key[] = {3, 5000};
		const struct keys keys = {KEY_U64, 2, (const uint8_t *)key, NULL};
		struct answer answer;
		answer_init(&answer, scratch_table(scratch, "t"), &keys, dtype);
		answer.lookup.times = NULL;
		answer.lookup.tags = NULL;
		answer.lookup.why = NULL;
		answer.lookup.scales = NULL;
		scratch_must(table_lookup(&answer.lookup, &err), &err);
		snapshot_end(scratch->store);
		assert_int_equal(answer.lookup.found[0], 1);
		answer_fini(&answer);
	}
}

static void a_table_without_rows_has_no_key(void **state)
{
	struct scratch *scratch = *state;
	scratch_release(scratch, "r1");
	assert_int_equal(scratch_version(scratch, "r1", 1), 0);
	scratch_seal(scratch, "r1");
	assert_int_equal(scratch_version(scratch, "r1", 1), 0);
	scratch_reopen(scratch);
	assert_int_equal(scratch_version(scratch, "r1", 1), 0);
}

/* ---- age ---- */

static const uint64_t any_age = UINT64_MAX - 1; /* no condition */

static enum why why_of(struct scratch *scratch, uint64_t key, int64_t now_ms, uint64_t max_age_ms)
{
	const struct keys keys = {KEY_U64, 1, (const uint8_t *)&key, NULL};
	struct answer answer;
	struct error err = {0};
	answer_init(&answer, scratch_table(scratch, "old"), &keys, DTYPE_F32);
	answer.lookup.now_ms = now_ms;
	answer.lookup.has_max_age = max_age_ms != any_age;
	answer.lookup.max_age_ms = max_age_ms;
	scratch_must(table_lookup(&answer.lookup, &err), &err);
	snapshot_end(scratch->store);
	const enum why why = (enum why)answer.lookup.why[0];
	assert_int_equal(answer.lookup.counts[why], 1);
	answer_fini(&answer);
	return why;
}

static void rows_grow_old(void **state)
{
	struct scratch *scratch = *state;
	struct table_spec spec = scratch_spec("old", DTYPE_F32, KEY_U64, 4);
	spec.ttl_ms = 1000;
	struct plain plain;
	plain_make(&plain, &spec, 3);
	plain.times[0] = 5000;
	plain.times[1] = 0;
	plain.times[2] = LIMIT_TIME_MS;
	scratch_release(scratch, "r1");
	plain_load(&plain, scratch, "r1", 3);
	scratch_seal(scratch, "r1");
	const struct {
		int64_t now_ms;
		uint64_t max_age_ms;
		uint32_t number;
		enum why why;
	} cases[] = {
		{5000, 0, 0, WHY_FOUND}, /* of this moment */
		{4999, 0, 0, WHY_FOUND},
		{5001, 0, 0, WHY_TOO_OLD},
		{6000, 0, 0, WHY_EXPIRED},
		{5000, any_age, 0, WHY_FOUND},
		{5999, any_age, 0, WHY_FOUND},
		{6000, any_age, 0, WHY_EXPIRED},
		{INT64_MAX, any_age, 0, WHY_EXPIRED},
		{4000, any_age, 0, WHY_FOUND}, /* of a clock that is ahead */
		{4000, 1, 0, WHY_FOUND},
		{5099, 100, 0, WHY_FOUND},
		{5100, 100, 0, WHY_TOO_OLD},
		{5999, 100, 0, WHY_TOO_OLD},
		{6000, 100, 0, WHY_EXPIRED},
		{5999, UINT64_MAX, 0, WHY_FOUND},
		{999, 1000, 1, WHY_FOUND},
		{1000, any_age, 1, WHY_EXPIRED},
		{1, 1, 2, WHY_FOUND},
		{LIMIT_TIME_MS + 999, any_age, 2, WHY_FOUND},
		{LIMIT_TIME_MS + 1000, any_age, 2, WHY_EXPIRED},
		{5000, 1, 3, WHY_ABSENT},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct keys keys;
		plain_batch(&plain, &cases[i].number, 1, &keys);
		assert_int_equal(why_of(scratch, keys_u64(&keys, 0), cases[i].now_ms,
					 cases[i].max_age_ms),
			cases[i].why);
		free((void *)keys.packed);
		free((void *)keys.at);
	}
	plain_fini(&plain);
}

/* ---- keys of one hash ---- */

static void keys_of_one_hash_are_told_apart(void **state)
{
	struct scratch *scratch = *state;
	const struct table_spec spec = scratch_spec("same", DTYPE_F32, KEY_BYTES, 4);
	uint8_t packed[64];
	uint32_t at[4];
	uint32_t count = 0;
	size_t end = 0;
	uint64_t random = 1;
	uint64_t seed;
	uint8_t key[8];
	/* A key of 6 bytes, and those of 7 and 8 of the same hash. The one of 5 is not loaded. */
	do {
		seed = plain_random(&random);
	} while (!crafted_bytes(siphash(&scratch_seed, &seed, 6), 7, key));
	const uint64_t hash = siphash(&scratch_seed, &seed, 6);
	for (size_t len = 6; len <= 8; len++) {
		if (len == 6) {
			memcpy(key, &seed, 6);
		} else {
			assert_true(crafted_bytes(hash, len, key));
		}
		assert_int_equal(siphash(&scratch_seed, key, len), hash);
		at[count++] = (uint32_t)end;
		packed[end] = (uint8_t)len;
		memcpy(packed + end + 1, key, len);
		end += len + 1;
	}
	struct plain plain;
	plain_make(&plain, &spec, 2);
	/* Two of the three are there; the third is absent, though its hash is not. */
	memcpy(plain.packed, packed, at[2]);
	memcpy(plain.at, at, 2 * sizeof *at);
	scratch_release(scratch, "r1");
	plain_load(&plain, scratch, "r1", 2);
	scratch_seal(scratch, "r1");
	const struct keys keys = {KEY_BYTES, 3, packed, at};
	struct answer answer;
	struct error err = {0};
	answer_init(&answer, scratch_table(scratch, "same"), &keys, DTYPE_F32);
	scratch_must(table_lookup(&answer.lookup, &err), &err);
	snapshot_end(scratch->store);
	for (uint32_t i = 0; i < 3; i++) {
		expect_entry(&answer, &plain, i, i, i < 2 ? WHY_FOUND : WHY_ABSENT);
	}
	answer_fini(&answer);
	plain_fini(&plain);
}

/* ---- what is not in memory, and what is damaged ---- */

static void a_loop_never_waits_for_the_disk(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	scratch_sealed(scratch, "r1", 0, 500, 1);
	const uint64_t key = 7;
	const struct keys keys = {KEY_U64, 1, (const uint8_t *)&key, NULL};
	struct answer answer;
	const struct table *table = scratch_table(scratch, "t");
	answer_init(&answer, table, &keys, DTYPE_F32);
	answer.lookup.may_block = false;
	const uint32_t number = base_set_find(table->bases, siphash_u64(&scratch_seed, key));
	struct base_segment *segment = table->bases->segments[number];
	const enum base_segment_state waits[] = {BASE_UNCHECKED, BASE_AWAY};
	for (unsigned i = 0; i < 2; i++) {
		scratch_mark(segment, BASE_PAGE_AWAY, waits[i]);
		assert_int_equal(table_lookup(&answer.lookup, &err), STATUS_AGAIN);
		answer.lookup.may_block = true;
		scratch_must(table_lookup(&answer.lookup, &err), &err);
		assert_int_not_equal(base_segment_state(segment),
			BASE_READY); /* it has read pages */
		answer.lookup.may_block = false;
		scratch_must(table_lookup(&answer.lookup, &err), &err);
		assert_int_equal(answer.lookup.why[0], WHY_FOUND);
	}
	snapshot_end(scratch->store);
	answer_fini(&answer);
}

/* Cuts the base file under an open store: what stood there is corrupt, all else is as before. */
static void a_file_cut_under_an_open_store_is_damage(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	char path[PATH_MAX];
	scratch_sealed(scratch, "r1", 0, 3000, 1);
	assert_int_equal(mapfault_install(), STATUS_OK); /* cmocka took the signal */
	const struct table *table = scratch_table(scratch, "t");
	assert_true(table->bases->segment_count > 3);
	/* Whichever of the seal's threads wrote the first one. */
	char name[64];
	(void)snprintf(name, sizeof name, "releases/1/base-1-%" PRIu64 ".mdb",
		table->levels[0]->files[0].number);
	scratch_path(scratch, path, name);
	const uint64_t end = table->bases->segments[2]->info->offset / 4096 * 4096;
	scratch_cut(path, end);
	const size_t first_file = table->levels[0]->files[0].segment_count;
	uint32_t lost = 0;
	for (uint64_t key = 0; key < 3000; key++) {
		const struct keys keys = {KEY_U64, 1, (const uint8_t *)&key, NULL};
		struct answer answer;
		answer_init(&answer, table, &keys, DTYPE_F32);
		scratch_must(table_lookup(&answer.lookup, &err), &err);
		const uint32_t segment =
			base_set_find(table->bases, siphash_u64(&scratch_seed, key));
		/* Segments stand in the order of their files. */
		const bool cut = segment >= 2 && segment < first_file &&
				 table->bases->segments[segment]->info->offset >= end;
		lost += answer.lookup.why[0] == WHY_CORRUPT;
		if (answer.lookup.why[0] != (cut ? WHY_CORRUPT : WHY_FOUND)) {
			fail_msg("key %u of segment %u: %u", (unsigned)key, segment,
				answer.lookup.why[0]);
		}
		answer.lookup.why = NULL;
		assert_int_equal(table_lookup(&answer.lookup, &err),
			cut ? STATUS_CORRUPT : STATUS_OK);
		answer_fini(&answer);
	}
	snapshot_end(scratch->store);
	assert_true(lost > 100);
	assert_non_null(strstr(err.text, "damaged segments"));
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(every_dtype_and_key_type_answers_like_a_dictionary),
		cmocka_unit_test(rows_are_loaded_in_any_dtype_that_converts),
		cmocka_unit_test(what_is_not_wanted_may_be_left_out),
		cmocka_unit_test(a_table_without_rows_has_no_key),
		cmocka_unit_test(rows_grow_old),
		cmocka_unit_test(keys_of_one_hash_are_told_apart),
		cmocka_unit_test(a_loop_never_waits_for_the_disk),
		cmocka_unit_test(a_file_cut_under_an_open_store_is_damage),
	};
	return fixture_run(tests, sizeof tests / sizeof *tests, scratch_setup_small_store,
		scratch_teardown);
}
