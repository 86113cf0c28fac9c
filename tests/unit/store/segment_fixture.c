/* segment_fixture.c - makes hashes, keys and rows, and the segment that has them. */
#include "tests/unit/store/segment_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

uint64_t segment_random(uint64_t *state)
{
	*state += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = *state;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

struct table_spec segment_spec(enum dtype dtype, enum key_type key_type, uint32_t views, bool tags)
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

size_t segment_key_len(uint32_t row)
{
	return row % 255 + 1;
}

static int by_hash(const void *a, const void *b)
{
	const uint64_t left = *(const uint64_t *)a;
	const uint64_t right = *(const uint64_t *)b;
	return left < right ? -1 : left > right;
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
			memset(space->key_blob + end, (int)(i & 0xff), segment_key_len(i));
			end += (uint32_t)segment_key_len(i);
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

void built_make(struct built *built, const struct table_spec *spec, uint32_t rows,
	uint32_t prefix_bits, bool clustered)
{
	uint64_t state = rows + prefix_bits;
	const uint64_t prefix = prefix_bits == 0 ? 0
						 : segment_random(&state) >>
							   (64 - prefix_bits) << (64 - prefix_bits);
	const uint64_t inside = prefix_bits == 0 ? UINT64_MAX : UINT64_MAX >> prefix_bits;
	*built = (struct built){.spec = *spec,
		.identity = {.release = SEGMENT_RELEASE,
			.table = SEGMENT_TABLE,
			.seed = {{5, 6}},
			.prefix = prefix,
			.prefix_bits = prefix_bits,
			.rows = rows}};
	built->hashes = malloc(rows * sizeof *built->hashes + 1);
	assert_non_null(built->hashes);
	uint64_t blob_bytes = 0;
	for (uint32_t i = 0; i < rows; i++) {
		const uint64_t rest = segment_random(&state);
		built->hashes[i] = prefix | (clustered ? inside - rest % 64 : rest & inside);
		blob_bytes += segment_key_len(i);
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
	segment_end(&built->plan, built->data);
}

void built_fini(struct built *built)
{
	free(built->hashes);
	free(built->data);
}

uint8_t *segment_copy(const uint8_t *data, size_t len)
{
	void *copy = NULL;
	assert_int_equal(posix_memalign(&copy, SEGMENT_ALIGN, len > 0 ? len : 1), 0);
	memcpy(copy, data, len);
	return copy;
}

void built_expect(const struct built *built, const struct segment *view)
{
	const size_t row_bytes = spec_row_bytes(&built->spec);
	assert_int_equal(view->row_bytes, row_bytes);
	for (uint32_t i = 0; i < view->rows; i++) {
		if (view->keys != NULL) {
			assert_int_equal(view->keys[i], i + 1000);
		} else {
			const uint32_t from = view->key_offsets[i];
			assert_int_equal(view->key_offsets[i + 1] - from, segment_key_len(i));
			assert_int_equal(view->key_blob[from], i & 0xff);
		}
		assert_int_equal(view->row_data[i * row_bytes], i * 3 & 0xff);
		assert_int_equal(view->row_data[(i + 1) * row_bytes - 1], i * 3 & 0xff);
		assert_int_equal(view->times[i], i * 5);
		assert_true(view->tags == NULL || view->tags[i] == (uint64_t)i << 40);
		assert_true(view->scales == NULL || view->scales[i] == (float)i / 4);
	}
}
