/* test_defaults.c - which row a key without one gets, and how long that stays so. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/read/lookup.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/base/base.h"
#include "daemon/store/state/reader.h"
#include "schema/limits.h"
#include "tests/unit/fixture.h"
#include "tests/unit/store/plain.h"

#include <cmocka.h>

enum { ROWS = 900, DIM = 19, VIEWS = 2, ELEMENTS = DIM * VIEWS };

static struct table_spec spec_of(enum dtype dtype, enum default_kind kind)
{
	struct table_spec spec = scratch_spec("p", dtype, KEY_U64, DIM);
	spec.views = VIEWS;
	spec.default_kind = kind;
	return spec;
}

static void drop(struct scratch *scratch, struct plain *plain)
{
	struct error err = {0};
	scratch_must(store_release_drop(scratch->store, "r1", &err), &err);
	plain_fini(plain);
}

/* ---- the mean ---- */

static void mean_of(const struct plain *plain, double mean[ELEMENTS])
{
	memset(mean, 0, ELEMENTS * sizeof *mean);
	for (uint32_t i = 0; i < plain->count; i++) {
		float row[ELEMENTS];
		float scale;
		plain_row(plain, i, DTYPE_F32, (uint8_t *)row, &scale);
		for (size_t j = 0; j < ELEMENTS; j++) {
			mean[j] += (double)row[j] / plain->count;
		}
	}
}

static void keep_mean(struct scratch *scratch, float out[ELEMENTS])
{
	const struct table *table = scratch_table(scratch, "p");
	assert_non_null(table->default_row);
	assert_int_equal(table->default_row->dtype, DTYPE_F32);
	assert_int_equal(table->default_row->bytes, ELEMENTS * sizeof *out);
	memcpy(out, table->default_row->row, ELEMENTS * sizeof *out);
	snapshot_end(scratch->store);
}

static void a_mean_is_that_of_the_sealed_rows(void **state)
{
	struct scratch *scratch = *state;
	for (enum dtype dtype = DTYPE_F32; dtype <= DTYPE_I8; dtype++) {
		struct plain plain;
		double expected[ELEMENTS];
		float mean[ELEMENTS];
		float again[ELEMENTS];
		const struct table_spec spec = spec_of(dtype, DEFAULT_MEAN);
		plain_seal(&plain, scratch, &spec, ROWS, 250);
		const struct table *table = scratch_table(scratch, "p");
		assert_true(table->bases->segment_count > 1);
		snapshot_end(scratch->store);
		mean_of(&plain, expected);
		keep_mean(scratch, mean);
		for (size_t j = 0; j < ELEMENTS; j++) {
			assert_true(fabs((double)mean[j] - expected[j]) <=
				    1e-6 * (1 + fabs(expected[j])));
		}
		scratch_reopen(scratch);
		keep_mean(scratch, again);
		assert_memory_equal(again, mean, sizeof mean);
		drop(scratch, &plain);
	}
}

static void a_mean_of_no_rows_is_zero(void **state)
{
	struct scratch *scratch = *state;
	struct plain plain;
	float mean[ELEMENTS];
	const float zeros[ELEMENTS] = {0};
	const struct table_spec spec = spec_of(DTYPE_F32, DEFAULT_MEAN);
	plain_seal(&plain, scratch, &spec, 0, 250);
	keep_mean(scratch, mean);
	assert_memory_equal(mean, zeros, sizeof mean);
	plain_fini(&plain);
}

static void an_open_table_has_no_mean_yet(void **state)
{
	struct scratch *scratch = *state;
	struct plain plain;
	const struct table_spec spec = spec_of(DTYPE_F32, DEFAULT_MEAN);
	plain_make(&plain, &spec, 10);
	scratch_release(scratch, "r1");
	plain_load(&plain, scratch, "r1", 250);
	assert_null(scratch_table(scratch, "p")->default_row);
	snapshot_end(scratch->store);
	scratch_reopen(scratch);
	assert_null(scratch_table(scratch, "p")->default_row);
	snapshot_end(scratch->store);
	plain_fini(&plain);
}

/* The release's table "t" has a mean as well, so that its rows can be put. */
static void writes_and_merges_do_not_change_it(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct merge_result merged;
	struct table_spec spec = scratch_spec("t", DTYPE_F32, KEY_U64, SCRATCH_DIM);
	struct plain plain;
	float before[SCRATCH_DIM];
	uint64_t number;
	const struct name id = {"r1"};
	const struct release_labels labels = {NULL, NULL};
	spec.default_kind = DEFAULT_MEAN;
	plain_make(&plain, &spec, 100);
	scratch_must(store_release_create(scratch->store, &id, &labels, &number, &err), &err);
	plain_load(&plain, scratch, "r1", 250);
	scratch_seal(scratch, "r1");
	memcpy(before, scratch_table(scratch, "t")->default_row->row, sizeof before);
	snapshot_end(scratch->store);
	for (unsigned round = 0; round < 3; round++) {
		scratch_put(scratch, "r1", (struct scratch_rows){1000000 + round * 50, 50, 2});
		scratch_must(store_merge(scratch->store, NULL, &merged, &err), &err);
		assert_int_equal(merged.tables, 1);
		assert_memory_equal(scratch_table(scratch, "t")->default_row->row, before,
			sizeof before);
		snapshot_end(scratch->store);
		scratch_reopen(scratch);
	}
	plain_fini(&plain);
}

/* ---- look-ups ---- */

struct answer {
	uint8_t rows[sizeof(float) * 2 * ELEMENTS];
	float scales[2];
	uint8_t found;
	uint8_t why[2];
	int64_t times[2];
	uint32_t counts[WHY_COUNT];
};

/* Looks up two keys, of which the first is there. */
static enum status look_up(struct scratch *scratch, const struct plain *plain, struct lookup asked,
	struct answer *out)
{
	struct error err = {0};
	struct keys keys;
	const uint32_t numbers[2] = {0, plain->count + 3};
	plain_batch(plain, numbers, 2, &keys);
	memset(out, 0xa5, sizeof *out);
	asked.table = scratch_table(scratch, "p");
	asked.keys = keys;
	asked.now_ms = asked.now_ms != 0 ? asked.now_ms : SCRATCH_NOW_MS;
	asked.may_block = true;
	asked.rows = out->rows;
	asked.found = &out->found;
	asked.times = (uint8_t *)out->times;
	asked.why = out->why;
	asked.scales = asked.dtype == DTYPE_I8 ? (uint8_t *)out->scales : NULL;
	const enum status status = table_lookup(&asked, &err);
	memcpy(out->counts, asked.counts, sizeof out->counts);
	snapshot_end(scratch->store);
	free((void *)keys.packed);
	free((void *)keys.at);
	return status;
}

static void expect_default(struct scratch *scratch, const struct answer *answer, enum dtype dtype,
	unsigned i)
{
	uint8_t row[ELEMENTS * sizeof(float)] = {0};
	float scale = 0;
	const struct table *table = scratch_table(scratch, "p");
	const size_t stride = dtype_row_bytes(dtype, DIM, VIEWS);
	if (table->default_row != NULL) {
		default_row_convert(table->default_row, &table->spec, dtype, row, &scale);
	}
	snapshot_end(scratch->store);
	assert_memory_equal(answer->rows + i * stride, row, stride);
	assert_int_equal(answer->why[i], WHY_DEFAULTED);
	assert_int_equal(answer->found >> i & 1, 0);
	assert_int_equal(answer->times[i], 0);
	if (dtype == DTYPE_I8) {
		assert_true(answer->scales[i] == scale);
	}
}

static void a_missing_row_is_the_default_in_any_dtype(void **state)
{
	struct scratch *scratch = *state;
	static const enum default_kind kinds[] = {DEFAULT_ZEROS, DEFAULT_MEAN};
	for (enum dtype stored = DTYPE_F32; stored <= DTYPE_I8; stored++) {
		for (size_t kind = 0; kind < 2; kind++) {
			struct plain plain;
			const struct table_spec spec = spec_of(stored, kinds[kind]);
			plain_seal(&plain, scratch, &spec, 100, 250);
			for (enum dtype dtype = DTYPE_F32; dtype <= DTYPE_I8; dtype++) {
				struct answer answer;
				const struct lookup asked = {.dtype = dtype, .defaults = true};
				assert_int_equal(look_up(scratch, &plain, asked, &answer), 0);
				assert_int_equal(answer.why[0], WHY_FOUND);
				expect_default(scratch, &answer, dtype, 1);
				assert_int_equal(answer.counts[WHY_DEFAULTED], 1);
				assert_int_equal(answer.counts[WHY_ABSENT], 0);
			}
			drop(scratch, &plain);
		}
	}
}

static void who_does_not_ask_gets_zeros(void **state)
{
	struct scratch *scratch = *state;
	struct plain plain;
	struct answer answer;
	const uint8_t zeros[ELEMENTS * sizeof(float)] = {0};
	const struct table_spec spec = spec_of(DTYPE_F32, DEFAULT_MEAN);
	plain_seal(&plain, scratch, &spec, 100, 250);
	const struct lookup asked = {.dtype = DTYPE_F32};
	assert_int_equal(look_up(scratch, &plain, asked, &answer), STATUS_OK);
	assert_int_equal(answer.why[1], WHY_ABSENT);
	assert_memory_equal(answer.rows + sizeof zeros, zeros, sizeof zeros);
	plain_fini(&plain);
}

static void an_old_row_is_a_missing_one(void **state)
{
	struct scratch *scratch = *state;
	struct plain plain;
	struct answer answer;
	struct table_spec spec = spec_of(DTYPE_F16, DEFAULT_MEAN);
	spec.ttl_ms = 5000000;
	plain_seal(&plain, scratch, &spec, 100, 250);
	const struct lookup asked = {.dtype = DTYPE_F32, .defaults = true};
	assert_int_equal(look_up(scratch, &plain, asked, &answer), STATUS_OK);
	assert_int_equal(answer.why[0], WHY_FOUND);
	struct lookup too_old = asked;
	too_old.has_max_age = true;
	assert_int_equal(look_up(scratch, &plain, too_old, &answer), STATUS_OK);
	expect_default(scratch, &answer, DTYPE_F32, 0);
	struct lookup expired = asked;
	expired.now_ms = SCRATCH_NOW_MS + 5000000;
	assert_int_equal(look_up(scratch, &plain, expired, &answer), STATUS_OK);
	expect_default(scratch, &answer, DTYPE_F32, 0);
	assert_int_equal(answer.counts[WHY_DEFAULTED], 2);
	plain_fini(&plain);
}

static void damage_is_no_default(void **state)
{
	struct scratch *scratch = *state;
	struct plain plain;
	struct answer answer;
	const uint8_t zeros[ELEMENTS * sizeof(float)] = {0};
	const struct table_spec spec = spec_of(DTYPE_F32, DEFAULT_MEAN);
	plain_seal(&plain, scratch, &spec, ROWS, 250);
	const struct table *table = scratch_table(scratch, "p");
	for (size_t i = 0; i < table->bases->segment_count; i++) {
		scratch_mark(table->bases->segments[i], BASE_PAGE_DAMAGED, BASE_DAMAGED);
	}
	snapshot_end(scratch->store);
	const struct lookup asked = {.dtype = DTYPE_F32, .defaults = true};
	assert_int_equal(look_up(scratch, &plain, asked, &answer), STATUS_OK);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(answer.why[i], WHY_CORRUPT);
		assert_memory_equal(answer.rows + i * sizeof zeros, zeros, sizeof zeros);
	}
	plain_fini(&plain);
}

static void a_given_row_is_kept(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	int8_t codes[ELEMENTS];
	for (int j = 0; j < ELEMENTS; j++) {
		codes[j] = (int8_t)(j * 5 - 90);
	}
	const struct default_row row = {.dtype = DTYPE_I8,
		.scale = 0.25f,
		.bytes = sizeof codes,
		.row = (const uint8_t *)codes};
	const struct table_spec spec = spec_of(DTYPE_I8, DEFAULT_ROW);
	scratch_release(scratch, "r1");
	scratch_must(store_table_create(scratch->store, "r1", &spec, &row, &err), &err);
	for (unsigned round = 0; round < 4; round++) {
		const struct table *table = scratch_table(scratch, "p");
		assert_non_null(table->default_row);
		assert_int_equal(table->default_row->dtype, DTYPE_I8);
		assert_true(table->default_row->scale == 0.25f);
		assert_int_equal(table->default_row->bytes, sizeof codes);
		assert_memory_equal(table->default_row->row, codes, sizeof codes);
		snapshot_end(scratch->store);
		if (round % 2 == 0) {
			scratch_reopen(scratch);
		} else if (round == 1) {
			scratch_seal(scratch, "r1");
		}
	}
}

/* ---- how many there may be ---- */

static void all_rows_together_have_a_bound(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	const uint32_t tables = LIMIT_DEFAULTS_BYTES / LIMIT_DEFAULT_BYTES;
	struct table_spec spec = scratch_spec("w", DTYPE_F16, KEY_U64, LIMIT_DEFAULT_BYTES / 4);
	spec.default_kind = DEFAULT_MEAN;
	for (uint32_t i = 0; i < tables; i++) {
		char id[16];
		(void)snprintf(id, sizeof id, "r%u", i / 128 + 1);
		(void)snprintf(spec.name.text, sizeof spec.name.text, "w%u", i);
		if (i % 128 == 0) {
			scratch_release(scratch, id);
		}
		scratch_must(store_table_create(scratch->store, id, &spec, NULL, &err), &err);
	}
	scratch_release(scratch, "last");
	assert_int_equal(store_table_create(scratch->store, "last", &spec, NULL, &err),
		STATUS_TOO_LARGE);
	assert_non_null(strstr(err.text, "default: "));
	assert_non_null(strstr(err.text, "16777216 allowed"));
	spec.default_kind = DEFAULT_ZEROS; /* which take nothing */
	scratch_must(store_table_create(scratch->store, "last", &spec, NULL, &err), &err);
	scratch_must(store_release_drop(scratch->store, "r1", &err), &err);
	spec.default_kind = DEFAULT_MEAN;
	(void)snprintf(spec.name.text, sizeof spec.name.text, "other");
	scratch_must(store_table_create(scratch->store, "last", &spec, NULL, &err), &err);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mean_is_that_of_the_sealed_rows),
		cmocka_unit_test(a_mean_of_no_rows_is_zero),
		cmocka_unit_test(an_open_table_has_no_mean_yet),
		cmocka_unit_test(writes_and_merges_do_not_change_it),
		cmocka_unit_test(a_missing_row_is_the_default_in_any_dtype),
		cmocka_unit_test(who_does_not_ask_gets_zeros),
		cmocka_unit_test(an_old_row_is_a_missing_one),
		cmocka_unit_test(damage_is_no_default),
		cmocka_unit_test(a_given_row_is_kept),
		cmocka_unit_test(all_rows_together_have_a_bound),
	};
	return fixture_run(tests, sizeof tests / sizeof *tests, scratch_setup_small_store,
		scratch_teardown);
}
