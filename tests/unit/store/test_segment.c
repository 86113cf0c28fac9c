/* test_segment.c - segments read back as they were built. */
#include "tests/unit/store/segment_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Follows the slots of a hash to `row`, as a look-up does; counts the probes. */
static bool probe_finds(const struct segment *view, uint64_t hash, uint32_t row)
{
	for (uint32_t slot = segment_home(view, hash); slot < view->slot_count; slot++) {
		if (view->slots[slot].row_plus_one == 0) {
			return false;
		}
		if (view->slots[slot].row_plus_one == row + 1) {
			return view->slots[slot].tag == (uint32_t)hash;
		}
	}
	return false;
}

static void expect_round_trip(const struct table_spec *spec, uint32_t rows, uint32_t prefix_bits,
	bool clustered)
{
	struct built built;
	built_make(&built, spec, rows, prefix_bits, clustered);
	assert_int_equal(built.plan.bytes % SEGMENT_ALIGN, 0);
	struct segment view;
	assert_int_equal(segment_open(built.data, built.plan.bytes, spec, &built.identity, &view,
				 NULL),
		STATUS_OK);
	assert_int_equal(view.rows, rows);
	assert_int_equal(view.prefix, built.identity.prefix);
	assert_true((view.keys != NULL) == (spec->key_type == KEY_U64));
	assert_true((view.tags != NULL) == spec->tags);
	assert_true((view.scales != NULL) == (spec->dtype == DTYPE_I8));
	assert_int_equal(view.slots[view.slot_count - 1].row_plus_one, 0);
	built_expect(&built, &view);
	for (uint32_t i = 0; i < rows; i++) {
		assert_true(segment_home(&view, built.hashes[i]) < view.homes);
		assert_true(probe_finds(&view, built.hashes[i], i));
	}
	built_fini(&built);
}

static void every_shape_reads_back_as_built(void **state)
{
	(void)state;
	static const uint32_t rows[] = {0, 1, 2, 300};
	for (enum dtype dtype = DTYPE_F32; dtype <= DTYPE_BIT; dtype++) {
		for (enum key_type key_type = KEY_U64; key_type <= KEY_BYTES; key_type++) {
			for (uint32_t variant = 0; variant < 4; variant++) {
				const struct table_spec spec = segment_spec(dtype, key_type,
					variant % 2 == 0 ? 1 : 3, variant / 2 == 0);
				for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
					expect_round_trip(&spec, rows[i], 0, false);
				}
			}
		}
	}
}

static void hashes_that_do_not_fit_a_segment_are_found(void **state)
{
	enum { ROWS = 4 };
	const struct segment_identity identity = {.prefix = UINT64_C(0xa) << 60,
		.prefix_bits = 4,
		.rows = ROWS};
	const uint64_t last = UINT64_C(0xafffffffffffffff);
	const uint64_t sound[ROWS] = {identity.prefix, identity.prefix, last - 1, last};
	(void)state;
	assert_true(segment_hashes_fit(&identity, sound));
	/* A page that could not be read gives keys of zero, whose hash is any. */
	for (unsigned i = 0; i < ROWS; i++) {
		uint64_t hashes[ROWS];
		memcpy(hashes, sound, sizeof hashes);
		hashes[i] = 0;
		assert_false(segment_hashes_fit(&identity, hashes));
		hashes[i] = last + 1;
		assert_false(segment_hashes_fit(&identity, hashes));
	}
	const uint64_t disordered[ROWS] = {identity.prefix, last, last - 1, last};
	assert_false(segment_hashes_fit(&identity, disordered));
}

static void every_prefix_length_finds_its_rows(void **state)
{
	(void)state;
	const struct table_spec spec = segment_spec(DTYPE_F16, KEY_U64, 1, false);
	for (uint32_t bits = 0; bits <= SEGMENT_PREFIX_BITS_MAX; bits++) {
		expect_round_trip(&spec, 1000, bits, false);
	}
}

static void rows_that_share_home_slots_are_found(void **state)
{
	(void)state;
	const struct table_spec spec = segment_spec(DTYPE_F32, KEY_U64, 1, false);
	for (uint32_t bits = 0; bits <= SEGMENT_PREFIX_BITS_MAX; bits += 8) {
		expect_round_trip(&spec, 500, bits, true);
	}
}

static void what_lies_between_columns_is_zero(void **state)
{
	(void)state;
	const struct table_spec spec = segment_spec(DTYPE_I8, KEY_BYTES, 1, true);
	struct built built;
	built_make(&built, &spec, 3, 0, false);
	/* Behind the directory stands the checksum of the one page of the list. */
	uint64_t at = SEGMENT_HEADER_BYTES + built.plan.column_count * SEGMENT_COLUMN_BYTES + 8;
	for (uint32_t i = 0; i <= built.plan.column_count; i++) {
		const uint64_t next = i < built.plan.column_count ? built.plan.columns[i].offset
								  : built.plan.bytes;
		for (; at < next; at++) {
			assert_int_equal(built.data[at], 0);
		}
		at = i < built.plan.column_count ? next + built.plan.columns[i].bytes : at;
	}
	built_fini(&built);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_shape_reads_back_as_built),
		cmocka_unit_test(hashes_that_do_not_fit_a_segment_are_found),
		cmocka_unit_test(every_prefix_length_finds_its_rows),
		cmocka_unit_test(rows_that_share_home_slots_are_found),
		cmocka_unit_test(what_lies_between_columns_is_zero),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
