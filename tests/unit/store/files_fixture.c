/* files_fixture.c - makes records of files, and compares them. */
#include "tests/unit/store/files_fixture.h"

#include "daemon/store/snapshot/level.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { FILES = 3, SEGMENTS = 5 };

void files_fixture_add(struct table *table, uint64_t number)
{
	static const uint64_t deltas[FILES] = {0, 9, 4};
	for (size_t i = 0; i < FILES; i++) {
		struct base_file_info info = {.number = i,
			.bytes = UINT64_C(1) << 40,
			.outside_hash = UINT64_MAX - number,
			.delta = deltas[i],
			.deleted = deltas[i] == 0 ? 0 : number + i,
			.segment_count = SEGMENTS};
		info.segments = calloc(SEGMENTS, sizeof *info.segments);
		assert_non_null(info.segments);
		for (uint32_t j = 0; j < SEGMENTS; j++) {
			info.segments[j] = (struct base_segment_info){
				.prefix = (uint64_t)j << 61,
				.prefix_bits = j,
				.rows = UINT32_MAX - 1 - j,
				.offset = (UINT64_C(1) << 30) + j,
				.bytes = UINT64_C(1000) * j,
				.hash = UINT64_MAX / (j + 1),
			};
		}
		for (uint32_t j = 0; j < SEGMENTS; j++) {
			table->rows += info.segments[j].rows;
		}
		table->rows -= info.deleted;
		assert_int_equal(table_add_file(table, &info), STATUS_OK);
	}
	table->next_file += number;
	assert_int_equal(table->level_count, 3);
	assert_int_equal(table->levels[1]->number, 4);
	assert_int_equal(table->levels[2]->number, 9);
}

void files_fixture_expect(const struct table *a, const struct table *b)
{
	const size_t files = table_file_count(a);
	assert_int_equal(table_file_count(b), files);
	assert_int_equal(a->level_count, b->level_count);
	assert_int_equal(a->next_file, b->next_file);
	for (size_t i = 0; i < files; i++) {
		const struct base_file_info *left = table_file(a, i);
		const struct base_file_info *right = table_file(b, i);
		assert_int_equal(left->number, right->number);
		assert_int_equal(left->bytes, right->bytes);
		assert_true(left->outside_hash == right->outside_hash);
		assert_int_equal(left->delta, right->delta);
		assert_int_equal(left->deleted, right->deleted);
		assert_int_equal(left->segment_count, right->segment_count);
		assert_memory_equal(left->segments, right->segments,
			left->segment_count * sizeof *left->segments);
	}
	for (size_t i = 0; i < a->level_count; i++) {
		assert_int_equal(a->levels[i]->number, b->levels[i]->number);
		assert_int_equal(a->levels[i]->rows, b->levels[i]->rows);
	}
}
