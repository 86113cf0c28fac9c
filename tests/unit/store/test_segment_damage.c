/* test_segment_damage.c - damaged segments are refused, or do not lead outside. */
#include "daemon/store/base/segment_pages.h"
#include "tests/unit/seed.h"
#include "tests/unit/store/segment_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { HEADER_HOMES = 56, UNKNOWN_COLUMN = 99 };

static enum status open_copy(const struct built *built, const uint8_t *data, size_t len,
	struct segment *view)
{
	struct error err = {.text = "segment: "};
	const enum status status =
		segment_open(data, len, &built->spec, &built->identity, view, &err);
	assert_memory_equal(err.text, "segment: ", 9);
	return status;
}

/* A column of the view lies within the block; NULL: the view does not have it. */
static void assert_inside(const uint8_t *data, size_t len, const void *column, uint64_t bytes)
{
	if (column != NULL) {
		const size_t offset = (size_t)((const uint8_t *)column - data);
		assert_in_range(offset, 0, len);
		assert_in_range(bytes, 0, len - offset);
	}
}

static void assert_all_inside(const struct segment *view, const uint8_t *data, size_t len)
{
	const uint64_t rows = view->rows;
	assert_inside(data, len, view->slots, (uint64_t)view->slot_count * sizeof *view->slots);
	assert_inside(data, len, view->keys, rows * sizeof *view->keys);
	assert_inside(data, len, view->key_offsets, (rows + 1) * sizeof *view->key_offsets);
	assert_inside(data, len, view->key_blob, view->blob_bytes);
	assert_inside(data, len, view->row_data, rows * view->row_bytes);
	assert_inside(data, len, view->times, rows * sizeof *view->times);
	assert_inside(data, len, view->tags, rows * sizeof *view->tags);
	assert_inside(data, len, view->scales, rows * sizeof *view->scales);
	assert_true(view->keys != NULL || view->key_offsets != NULL);
}

/* Reads every byte that the view promises, and probes with any hash. */
static unsigned touch(const struct segment *view, const uint8_t *data, size_t len)
{
	volatile unsigned sum = 0;
	assert_all_inside(view, data, len);
	for (uint32_t i = 0; i < view->slot_count; i++) {
		sum += view->slots[i].row_plus_one;
	}
	const uint64_t row_bytes = (uint64_t)view->rows * view->row_bytes;
	for (uint64_t i = 0; i < row_bytes; i++) {
		sum += view->row_data[i];
	}
	for (uint64_t i = 0; i < view->blob_bytes && view->key_blob != NULL; i++) {
		sum += view->key_blob[i];
	}
	for (uint32_t i = 0; i < view->rows; i++) {
		sum += (unsigned)view->times[i];
		sum += view->keys != NULL ? (unsigned)view->keys[i] : view->key_offsets[i + 1];
		sum += view->tags != NULL ? (unsigned)view->tags[i] : 0;
		sum += view->scales != NULL && view->scales[i] == 1;
	}
	uint64_t state = 1;
	for (unsigned i = 0; i < 32; i++) {
		assert_true(segment_home(view, segment_random(&state)) < view->slot_count);
	}
	return sum;
}

static void a_damaged_header_is_refused(void **state)
{
	(void)state;
	const struct table_spec spec = segment_spec(DTYPE_I8, KEY_BYTES, 2, true);
	struct built built;
	built_make(&built, &spec, 20, 5, false);
	for (size_t at = 0; at < HEADER_HOMES; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			uint8_t *copy = segment_copy(built.data, built.plan.bytes);
			copy[at] ^= (uint8_t)(1u << bit);
			struct segment view;
			const enum status status = open_copy(&built, copy, built.plan.bytes, &view);
			if (at >= 8 && at < 12) {
				assert_int_equal(status, STATUS_UNSUPPORTED);
			} else if (at == 12) { /* a column more or less */
				assert_true(
					status == STATUS_CORRUPT || status == STATUS_UNSUPPORTED);
			} else {
				assert_int_equal(status, STATUS_CORRUPT);
			}
			free(copy);
		}
	}
	built_fini(&built);
}

static void homes_must_leave_room_for_slots(void **state)
{
	(void)state;
	const struct table_spec spec = segment_spec(DTYPE_F32, KEY_U64, 1, false);
	struct built built;
	built_make(&built, &spec, 20, 0, false);
	const uint32_t bad[] = {0, built.plan.slot_count, built.plan.slot_count + 1, UINT32_MAX};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		memcpy(built.data + HEADER_HOMES, &bad[i], 4);
		struct segment view;
		assert_int_equal(open_copy(&built, built.data, built.plan.bytes, &view),
			STATUS_CORRUPT);
	}
	built_fini(&built);
}

/* One field of a directory entry set to a value. */
static enum status open_with_field(const struct built *built, uint32_t column, size_t field,
	uint64_t value, size_t bytes)
{
	uint8_t *copy = segment_copy(built->data, built->plan.bytes);
	memcpy(copy + SEGMENT_HEADER_BYTES + (size_t)column * SEGMENT_COLUMN_BYTES + field, &value,
		bytes);
	struct segment view;
	const enum status status = open_copy(built, copy, built->plan.bytes, &view);
	if (status == STATUS_OK) {
		touch(&view, copy, built->plan.bytes);
	}
	free(copy);
	return status;
}

static void a_damaged_directory_is_refused(void **state)
{
	(void)state;
	for (enum key_type key_type = KEY_U64; key_type <= KEY_BYTES; key_type++) {
		const struct table_spec spec = segment_spec(DTYPE_I8, key_type, 1, true);
		struct built built;
		built_make(&built, &spec, 20, 0, false);
		for (uint32_t i = 0; i < built.plan.column_count; i++) {
			const uint32_t kind = built.plan.columns[i].kind;
			const uint64_t offset = built.plan.columns[i].offset;
			const uint64_t bytes = built.plan.columns[i].bytes;
			const uint64_t outside[] = {built.plan.bytes, built.plan.bytes + 64,
				offset + 8, UINT64_MAX, UINT64_MAX - 63, UINT64_C(1) << 63};
			for (size_t j = 0; j < sizeof outside / sizeof *outside; j++) {
				assert_int_equal(open_with_field(&built, i, 8, outside[j], 8),
					STATUS_CORRUPT);
			}
			assert_int_equal(open_with_field(&built, i, 16, UINT64_MAX, 8),
				STATUS_CORRUPT);
			assert_int_equal(open_with_field(&built, i, 16, UINT64_MAX - offset + 1, 8),
				STATUS_CORRUPT);
			if (kind != COLUMN_KEY_BLOB) {
				assert_int_equal(open_with_field(&built, i, 16, bytes - 1, 8),
					STATUS_CORRUPT);
			}
			assert_int_equal(open_with_field(&built, i, 24, 3, 4), STATUS_CORRUPT);
			assert_int_equal(open_with_field(&built, i, 0, 0, 4), STATUS_UNSUPPORTED);
			assert_int_equal(open_with_field(&built, i, 0, COLUMN_WEIGHTS, 4),
				STATUS_UNSUPPORTED);
			assert_int_equal(open_with_field(&built, i, 0, UNKNOWN_COLUMN, 4),
				STATUS_UNSUPPORTED);
			/* Unknown but optional: skipped, and then missed. */
			assert_int_equal(open_with_field(&built, i, 0,
						 UNKNOWN_COLUMN | (uint64_t)COLUMN_OPTIONAL << 32,
						 8),
				STATUS_CORRUPT);
			for (uint32_t other = COLUMN_SLOTS; other <= COLUMN_PAGES; other++) {
				assert_true(other == kind ||
					    open_with_field(&built, i, 0, other, 4) != STATUS_OK);
			}
		}
		built_fini(&built);
	}
}

static void an_optional_column_of_later_days_is_skipped(void **state)
{
	(void)state;
	const struct table_spec spec = segment_spec(DTYPE_F32, KEY_U64, 1, false);
	struct built built;
	built_make(&built, &spec, 5, 0, false);
	/* The head has room for one more entry: what stands behind the directory moves on. */
	uint8_t *end = built.data + SEGMENT_HEADER_BYTES +
		       (size_t)built.plan.column_count * SEGMENT_COLUMN_BYTES;
	const uint32_t columns = built.plan.column_count + 1;
	const uint32_t entry[8] = {77, COLUMN_OPTIONAL};
	assert_int_equal(sizeof entry, SEGMENT_COLUMN_BYTES);
	memcpy(end + sizeof entry, end, 8);
	memcpy(end, entry, sizeof entry);
	memcpy(built.data + 12, &columns, 4);
	struct segment view;
	assert_int_equal(open_copy(&built, built.data, built.plan.bytes, &view), STATUS_OK);
	built_expect(&built, &view);
	for (uint32_t page = 1; page < view.page_count; page++) {
		assert_true(segment_page_is_sound(&view, built.data, page));
	}
	built_fini(&built);
}

static void a_segment_of_another_table_is_refused(void **state)
{
	(void)state;
	const struct table_spec spec = segment_spec(DTYPE_F32, KEY_U64, 1, false);
	struct built built;
	built_make(&built, &spec, 20, 0, false);
	for (unsigned i = 0; i < 5; i++) {
		struct table_spec other = spec;
		other.dtype = i == 0 ? DTYPE_F16 : i == 1 ? DTYPE_I8 : spec.dtype;
		other.key_type = i == 2 ? KEY_BYTES : spec.key_type;
		other.dim = i == 3 ? spec.dim + 1 : spec.dim;
		other.tags = i == 4;
		struct segment view;
		assert_int_equal(segment_open(built.data, built.plan.bytes, &other, &built.identity,
					 &view, NULL),
			STATUS_CORRUPT);
	}
	/* Its rows would be there, and not be found. */
	struct segment_identity identity = built.identity;
	struct segment view;
	struct error err = {0};
	identity.seed.words[0] ^= 1;
	assert_int_equal(segment_open(built.data, built.plan.bytes, &spec, &identity, &view, &err),
		STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "another seed"));
	built_fini(&built);
}

static void a_cut_segment_is_refused_at_every_length(void **state)
{
	(void)state;
	const struct table_spec spec = segment_spec(DTYPE_I8, KEY_BYTES, 1, true);
	struct built built;
	built_make(&built, &spec, 10, 0, false);
	for (uint64_t len = 0; len < built.plan.bytes; len++) {
		uint8_t *copy = segment_copy(built.data, len);
		struct segment view;
		assert_int_equal(open_copy(&built, copy, len, &view), STATUS_CORRUPT);
		if (len >= SEGMENT_HEADER_BYTES) {
			/* The header believes the cut: then the columns tell. */
			memcpy(copy + 48, &len, 8);
			if (open_copy(&built, copy, len, &view) == STATUS_OK) {
				touch(&view, copy, len);
			}
		}
		free(copy);
	}
	built_fini(&built);
}

static void flipped_bits_never_lead_outside(void **state)
{
	(void)state;
	enum { ROUNDS = 20000 };
	uint64_t random = seed_from(42);
	for (enum key_type key_type = KEY_U64; key_type <= KEY_BYTES; key_type++) {
		const struct table_spec spec = segment_spec(DTYPE_I8, key_type, 1, true);
		struct built built;
		built_make(&built, &spec, 12, 3, false);
		const uint64_t head = SEGMENT_HEADER_BYTES +
				      (uint64_t)built.plan.column_count * SEGMENT_COLUMN_BYTES;
		unsigned opened = 0;
		for (unsigned round = 0; round < ROUNDS; round++) {
			uint8_t *copy = segment_copy(built.data, built.plan.bytes);
			const unsigned flips = (unsigned)(segment_random(&random) % 4) + 1;
			for (unsigned i = 0; i < flips; i++) {
				const uint64_t bit = segment_random(&random) % (head * 8);
				copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
			}
			struct segment view;
			if (open_copy(&built, copy, built.plan.bytes, &view) == STATUS_OK) {
				touch(&view, copy, built.plan.bytes);
				opened++;
			}
			free(copy);
		}
		/* Most are refused. Where only the checksum has changed, none is: it is compared
		 * elsewhere. */
		assert_in_range(opened, 1, ROUNDS / 2);
		built_fini(&built);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_damaged_header_is_refused),
		cmocka_unit_test(homes_must_leave_room_for_slots),
		cmocka_unit_test(a_damaged_directory_is_refused),
		cmocka_unit_test(an_optional_column_of_later_days_is_skipped),
		cmocka_unit_test(a_segment_of_another_table_is_refused),
		cmocka_unit_test(a_cut_segment_is_refused_at_every_length),
		cmocka_unit_test(flipped_bits_never_lead_outside),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
