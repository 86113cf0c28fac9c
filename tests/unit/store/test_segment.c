/* test_segment.c - segments read back as built, and damaged ones are refused or stay inside. */
#include "daemon/store/base/segment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RELEASE = 7, TABLE = 3, HEADER_HOMES = 56 };

static uint64_t next_random(uint64_t *state)
{
	*state += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = *state;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static int by_hash(const void *a, const void *b)
{
	const uint64_t left = *(const uint64_t *)a;
	const uint64_t right = *(const uint64_t *)b;
	return left < right ? -1 : left > right;
}

/* A segment, in memory of exactly its size, and the hashes of its rows. */
struct built {
	struct table_spec spec;
	struct segment_identity identity;
	struct segment_plan plan;
	uint64_t *hashes;
	uint8_t *data;
};

static uint8_t *copy_aligned(const uint8_t *data, size_t len)
{
	void *copy = NULL;
	assert_int_equal(posix_memalign(&copy, SEGMENT_ALIGN, len > 0 ? len : 1), 0);
	memcpy(copy, data, len);
	return copy;
}

static size_t key_len_of(uint32_t row)
{
	return row % 255 + 1;
}

static void fill_columns(struct built *built, const struct segment_space *space)
{
	const uint32_t rows = built->identity.rows;
	const size_t row_bytes = spec_row_bytes(&built->spec);
	uint32_t end = 0;
	for (uint32_t i = 0; i < rows; i++) {
		if (space->keys != NULL) {
			space->keys[i] = i + 1000;
		} else {
			space->key_offsets[i] = end;
			memset(space->key_blob + end, (int)(i & 0xff), key_len_of(i));
			end += (uint32_t)key_len_of(i);
		}
		memset(space->row_data + i * row_bytes, (int)(i * 3 & 0xff), row_bytes);
		space->times[i] = (int64_t)i * 5;
		if (space->tags != NULL) {
			space->tags[i] = (uint64_t)i << 40;
		}
		if (space->scales != NULL) {
			space->scales[i] = (float)i / 4;
		}
	}
	if (space->key_offsets != NULL) {
		space->key_offsets[rows] = end;
	}
}

/* `clustered`: hashes so near to each other that all share a few home slots. */
static void build(struct built *built, const struct table_spec *spec, uint32_t rows,
	uint32_t prefix_bits, bool clustered)
{
	uint64_t state = rows + prefix_bits;
	const uint64_t prefix =
		prefix_bits == 0 ? 0
				 : next_random(&state) >> (64 - prefix_bits) << (64 - prefix_bits);
	const uint64_t inside = prefix_bits == 0 ? UINT64_MAX : UINT64_MAX >> prefix_bits;
	*built = (struct built){.spec = *spec,
		.identity = {RELEASE, TABLE, prefix, prefix_bits, rows}};
	built->hashes = malloc(rows * sizeof *built->hashes + 1);
	assert_non_null(built->hashes);
	uint64_t blob_bytes = 0;
	for (uint32_t i = 0; i < rows; i++) {
		const uint64_t rest = next_random(&state);
		built->hashes[i] = prefix | (clustered ? inside - rest % 64 : rest & inside);
		blob_bytes += key_len_of(i);
	}
	qsort(built->hashes, rows, sizeof *built->hashes, by_hash);
	segment_plan(&built->plan, spec, &built->identity, built->hashes,
		spec->key_type == KEY_BYTES ? blob_bytes : 0);
	void *data = NULL;
	assert_int_equal(posix_memalign(&data, SEGMENT_ALIGN, built->plan.bytes), 0);
	memset(data, 0xee, built->plan.bytes);
	built->data = data;
	struct segment_space space;
	segment_begin(&built->plan, built->hashes, built->data, &space);
	fill_columns(built, &space);
}

static void built_fini(struct built *built)
{
	free(built->hashes);
	free(built->data);
}

static struct table_spec make_spec(enum dtype dtype, enum key_type key_type, uint32_t views,
	bool tags)
{
	return (struct table_spec){
		.name = {"ir"},
		.entity = ENTITY_ITEM,
		.kind = KIND_IR,
		.dtype = dtype,
		.key_type = key_type,
		.dim = 9,
		.views = views,
		.tags = tags,
	};
}

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

static void expect_columns(const struct built *built, const struct segment *view)
{
	const size_t row_bytes = spec_row_bytes(&built->spec);
	assert_int_equal(view->row_bytes, row_bytes);
	for (uint32_t i = 0; i < view->rows; i++) {
		if (view->keys != NULL) {
			assert_int_equal(view->keys[i], i + 1000);
		} else {
			const uint32_t from = view->key_offsets[i];
			assert_int_equal(view->key_offsets[i + 1] - from, key_len_of(i));
			assert_int_equal(view->key_blob[from], i & 0xff);
		}
		assert_int_equal(view->row_data[i * row_bytes], i * 3 & 0xff);
		assert_int_equal(view->row_data[(i + 1) * row_bytes - 1], i * 3 & 0xff);
		assert_int_equal(view->times[i], i * 5);
		assert_true(view->tags == NULL || view->tags[i] == (uint64_t)i << 40);
		assert_true(view->scales == NULL || view->scales[i] == (float)i / 4);
	}
}

static void expect_round_trip(const struct table_spec *spec, uint32_t rows, uint32_t prefix_bits,
	bool clustered)
{
	struct built built;
	build(&built, spec, rows, prefix_bits, clustered);
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
	expect_columns(&built, &view);
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
				const struct table_spec spec = make_spec(dtype, key_type,
					variant % 2 == 0 ? 1 : 3, variant / 2 == 0);
				for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
					expect_round_trip(&spec, rows[i], 0, false);
				}
			}
		}
	}
}

static void every_prefix_length_finds_its_rows(void **state)
{
	(void)state;
	const struct table_spec spec = make_spec(DTYPE_F16, KEY_U64, 1, false);
	for (uint32_t bits = 0; bits <= SEGMENT_PREFIX_BITS_MAX; bits++) {
		expect_round_trip(&spec, 1000, bits, false);
	}
}

static void rows_that_share_home_slots_are_found(void **state)
{
	(void)state;
	const struct table_spec spec = make_spec(DTYPE_F32, KEY_U64, 1, false);
	for (uint32_t bits = 0; bits <= SEGMENT_PREFIX_BITS_MAX; bits += 8) {
		expect_round_trip(&spec, 500, bits, true);
	}
}

static void what_lies_between_columns_is_zero(void **state)
{
	(void)state;
	const struct table_spec spec = make_spec(DTYPE_I8, KEY_BYTES, 1, true);
	struct built built;
	build(&built, &spec, 3, 0, false);
	uint64_t at = SEGMENT_HEADER_BYTES + built.plan.column_count * SEGMENT_COLUMN_BYTES;
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

/* ---- damage ---- */

static enum status open_copy(const struct built *built, const uint8_t *data, size_t len,
	struct segment *view)
{
	struct error err = {.text = "segment: "};
	const enum status status =
		segment_open(data, len, &built->spec, &built->identity, view, &err);
	assert_memory_equal(err.text, "segment: ", 9);
	return status;
}

/* Reads every byte that the view promises, and probes with any hash. */
static unsigned touch(const struct segment *view)
{
	volatile unsigned sum = 0;
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
		assert_true(segment_home(view, next_random(&state)) < view->slot_count);
	}
	return sum;
}

static void a_damaged_header_is_refused(void **state)
{
	(void)state;
	const struct table_spec spec = make_spec(DTYPE_I8, KEY_BYTES, 2, true);
	struct built built;
	build(&built, &spec, 20, 5, false);
	for (size_t at = 0; at < HEADER_HOMES; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			uint8_t *copy = copy_aligned(built.data, built.plan.bytes);
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
	const struct table_spec spec = make_spec(DTYPE_F32, KEY_U64, 1, false);
	struct built built;
	build(&built, &spec, 20, 0, false);
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
	uint8_t *copy = copy_aligned(built->data, built->plan.bytes);
	memcpy(copy + SEGMENT_HEADER_BYTES + (size_t)column * SEGMENT_COLUMN_BYTES + field, &value,
		bytes);
	struct segment view;
	const enum status status = open_copy(built, copy, built->plan.bytes, &view);
	if (status == STATUS_OK) {
		touch(&view);
	}
	free(copy);
	return status;
}

static void a_damaged_directory_is_refused(void **state)
{
	(void)state;
	for (enum key_type key_type = KEY_U64; key_type <= KEY_BYTES; key_type++) {
		const struct table_spec spec = make_spec(DTYPE_I8, key_type, 1, true);
		struct built built;
		build(&built, &spec, 20, 0, false);
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
			assert_int_equal(open_with_field(&built, i, 0, 10, 4), STATUS_UNSUPPORTED);
			/* Unknown but optional: skipped, and then missed. */
			assert_int_equal(open_with_field(&built, i, 0,
						 10 | (uint64_t)COLUMN_OPTIONAL << 32, 8),
				STATUS_CORRUPT);
			for (uint32_t other = COLUMN_SLOTS; other <= COLUMN_SCALES; other++) {
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
	const struct table_spec spec = make_spec(DTYPE_F32, KEY_U64, 1, false);
	struct built built;
	build(&built, &spec, 5, 0, false);
	/* Four columns fill 192 bytes of head; the fifth entry needs 64 more. */
	const size_t head = built.plan.columns[0].offset;
	const size_t len = built.plan.bytes + SEGMENT_ALIGN;
	void *longer = NULL;
	assert_int_equal(posix_memalign(&longer, SEGMENT_ALIGN, len), 0);
	uint8_t *data = longer;
	memcpy(data, built.data, head);
	memset(data + head, 0, SEGMENT_ALIGN);
	memcpy(data + head + SEGMENT_ALIGN, built.data + head, built.plan.bytes - head);
	for (uint32_t i = 0; i < built.plan.column_count; i++) {
		const uint64_t offset = built.plan.columns[i].offset + SEGMENT_ALIGN;
		memcpy(data + SEGMENT_HEADER_BYTES + (size_t)i * SEGMENT_COLUMN_BYTES + 8, &offset,
			8);
	}
	const uint32_t columns = built.plan.column_count + 1;
	const uint64_t bytes = len;
	const uint32_t entry[8] = {77, COLUMN_OPTIONAL};
	memcpy(data + 12, &columns, 4);
	memcpy(data + 48, &bytes, 8);
	memcpy(data + SEGMENT_HEADER_BYTES + (size_t)built.plan.column_count * SEGMENT_COLUMN_BYTES,
		entry, sizeof entry);
	struct segment view;
	assert_int_equal(open_copy(&built, data, len, &view), STATUS_OK);
	expect_columns(&built, &view);
	free(longer);
	built_fini(&built);
}

static void a_segment_of_another_table_is_refused(void **state)
{
	(void)state;
	const struct table_spec spec = make_spec(DTYPE_F32, KEY_U64, 1, false);
	struct built built;
	build(&built, &spec, 20, 0, false);
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
	built_fini(&built);
}

static void a_cut_segment_is_refused_at_every_length(void **state)
{
	(void)state;
	const struct table_spec spec = make_spec(DTYPE_I8, KEY_BYTES, 1, true);
	struct built built;
	build(&built, &spec, 10, 0, false);
	for (uint64_t len = 0; len < built.plan.bytes; len++) {
		uint8_t *copy = copy_aligned(built.data, len);
		struct segment view;
		assert_int_equal(open_copy(&built, copy, len, &view), STATUS_CORRUPT);
		if (len >= SEGMENT_HEADER_BYTES) {
			/* The header believes the cut: then the columns tell. */
			memcpy(copy + 48, &len, 8);
			if (open_copy(&built, copy, len, &view) == STATUS_OK) {
				touch(&view);
			}
		}
		free(copy);
	}
	built_fini(&built);
}

static void flipped_bits_never_lead_outside(void **state)
{
	(void)state;
	uint64_t random = 42;
	for (enum key_type key_type = KEY_U64; key_type <= KEY_BYTES; key_type++) {
		const struct table_spec spec = make_spec(DTYPE_I8, key_type, 1, true);
		struct built built;
		build(&built, &spec, 12, 3, false);
		const uint64_t head = built.plan.columns[0].offset;
		for (unsigned round = 0; round < 20000; round++) {
			uint8_t *copy = copy_aligned(built.data, built.plan.bytes);
			const unsigned flips = (unsigned)(next_random(&random) % 4) + 1;
			for (unsigned i = 0; i < flips; i++) {
				const uint64_t bit = next_random(&random) % (head * 8);
				copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
			}
			struct segment view;
			if (open_copy(&built, copy, built.plan.bytes, &view) == STATUS_OK) {
				touch(&view);
			}
			free(copy);
		}
		built_fini(&built);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_shape_reads_back_as_built),
		cmocka_unit_test(every_prefix_length_finds_its_rows),
		cmocka_unit_test(rows_that_share_home_slots_are_found),
		cmocka_unit_test(what_lies_between_columns_is_zero),
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
