/* test_frame_samples.c - samples into the part of a frame and out of it, and parts that are none. */
#include "daemon/store/log/frame_samples.h"

#include "daemon/store/system/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { COUNT = 3, ELEMENTS = 5, TABLES = 2, PART_MAX = 1024 };

static const uint64_t tables[TABLES] = {7, 9};
static const uint64_t users[COUNT] = {1, UINT64_MAX, 3};
static const uint8_t items[] = "\1a\3bcd\2ef";
static const int64_t times[COUNT] = {10, 5, 20};
static const float rows[COUNT][ELEMENTS] = {{1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}, {0, -1, -2, -3, -4}};

static struct frame_samples made(bool has_users, bool has_items)
{
	return (struct frame_samples){
		.count = COUNT,
		.elements = ELEMENTS,
		.users = {has_users ? KEY_U64 : KEY_NONE, has_users ? COUNT : 0,
			(const uint8_t *)users, NULL},
		.items = {has_items ? KEY_BYTES : KEY_NONE, has_items ? COUNT : 0, items, NULL},
		.user_bytes = has_users ? sizeof users : 0,
		.item_bytes = has_items ? sizeof items - 1 : 0,
		.times = (const uint8_t *)times,
		.rows = rows[0],
		.table_count = TABLES,
		.tables = (const uint8_t *)tables,
	};
}

/* Writes a part into `data`, which is aligned as a frame is, and says what it is. */
static struct frame_part written(const struct frame_samples *samples, uint8_t data[PART_MAX])
{
	const size_t bytes = frame_samples_bytes(samples);
	assert_true(bytes <= PART_MAX && bytes % FRAME_ALIGN == 0);
	memset(data, 0xee, PART_MAX);
	assert_ptr_equal(frame_put_samples(data, samples), data + bytes);
	assert_int_equal(data[bytes], 0xee);
	return (struct frame_part){.kind = FRAME_SAMPLES,
		.rows = samples->count,
		.data = data + FRAME_PART_BYTES,
		.bytes = bytes - FRAME_PART_BYTES};
}

static void samples_come_back(void **state)
{
	(void)state;
	for (unsigned sides = 1; sides < 4; sides++) {
		_Alignas(8) uint8_t data[PART_MAX];
		const struct frame_samples samples = made((sides & 1) != 0, (sides & 2) != 0);
		const struct frame_part part = written(&samples, data);
		struct frame_samples back;
		assert_int_equal(frame_read_samples(&part, &back), STATUS_OK);
		assert_int_equal(back.count, COUNT);
		assert_int_equal(back.elements, ELEMENTS);
		assert_int_equal(back.users.type, samples.users.type);
		assert_int_equal(back.users.count, samples.users.count);
		assert_int_equal(back.items.type, samples.items.type);
		assert_int_equal(back.items.count, samples.items.count);
		assert_int_equal(back.user_bytes, samples.user_bytes);
		assert_int_equal(back.item_bytes, samples.item_bytes);
		assert_memory_equal(back.users.packed, users, samples.user_bytes);
		assert_memory_equal(back.items.packed, items, samples.item_bytes);
		assert_memory_equal(back.times, times, sizeof times);
		assert_memory_equal(back.rows, rows, sizeof rows);
		assert_int_equal(back.table_count, TABLES);
		assert_int_equal(frame_samples_table(&back, 0), 7);
		assert_int_equal(frame_samples_table(&back, 1), 9);
	}
}

static void what_does_not_fit_is_refused(void **state)
{
	static const struct {
		size_t at;
		uint64_t value;
		size_t bytes;
	} wrong[] = {
		{0, 3, 1},
		{0, KEY_NONE, 1},
		{0, KEY_BYTES, 1},
		{1, 3, 1},
		{1, KEY_NONE, 1},
		{1, KEY_U64, 1},
		{2, 0, 2},
		{2, 1, 2},
		{2, 65535, 2},
		{4, ELEMENTS + 1, 4},
		{4, UINT32_MAX, 4},
		{4, 0, 4},
		{8, 16, 8},
		{8, UINT64_MAX, 8},
		{8, UINT64_MAX - 7, 8},
		{16, 1, 8},
		{16, UINT64_MAX, 8},
		{24, 1, 8},
	};
	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		_Alignas(8) uint8_t data[PART_MAX];
		const struct frame_samples samples = made(true, true);
		const struct frame_part part = written(&samples, data);
		struct frame_samples back;
		memcpy(data + FRAME_PART_BYTES + wrong[i].at, &wrong[i].value, wrong[i].bytes);
		assert_int_equal(frame_read_samples(&part, &back), STATUS_CORRUPT);
	}
	_Alignas(8) uint8_t data[PART_MAX];
	const struct frame_samples samples = made(true, true);
	struct frame_part part = written(&samples, data);
	struct frame_samples back;
	for (size_t bytes = 0; bytes < part.bytes; bytes += FRAME_ALIGN) {
		struct frame_part cut = part;
		cut.bytes = bytes;
		assert_int_equal(frame_read_samples(&cut, &back), STATUS_CORRUPT);
	}
	const uint32_t counts[] = {0, COUNT - 1, COUNT + 1, UINT32_MAX};
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		part.rows = counts[i];
		assert_int_equal(frame_read_samples(&part, &back), STATUS_CORRUPT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_come_back),
		cmocka_unit_test(what_does_not_fit_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
