/* test_memtable.c - what a memtable says of itself after versions were taken back. */
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/memtable/memtable_pin.h"
#include "daemon/store/system/grace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct table_spec spec = {
	.kind = KIND_IR,
	.dtype = DTYPE_F32,
	.key_type = KEY_U64,
	.dim = 1,
	.views = 1,
};

static const struct key_seed seed = {{1, 2}};

static void put(struct memtable *memtable, struct memtable_usage *usage, uint64_t sequence,
	uint64_t key)
{
	const float value = (float)sequence;
	const struct frame_row row = {
		.key = (const uint8_t *)&key,
		.key_len = sizeof key,
		.data = (const uint8_t *)&value,
	};
	const struct memtable_change change = {
		.spec = &spec,
		.usage = usage,
		.sequence = sequence,
		.probe_max = MEMTABLE_PROBE_MAX,
	};
	assert_int_equal(memtable_put(memtable, &change, siphash_u64(&seed, key), &row), STATUS_OK);
}

static void undo(struct memtable *memtable, uint64_t key, uint64_t visible)
{
	memtable_undo(memtable, siphash_u64(&seed, key), (const uint8_t *)&key, sizeof key,
		visible);
}

/* Of two writes that fail together, the second was the first one of this table. The next write has
 * the sequence of the first, and the log must be kept from there on. */
static void a_sequence_that_is_used_again_is_the_oldest(void **state)
{
	(void)state;
	struct memtable_usage usage = {0};
	struct memtable *memtable = memtable_new();
	assert_non_null(memtable);
	assert_int_equal(memtable_oldest(memtable), 0);
	put(memtable, &usage, 6, 1);
	undo(memtable, 1, 4);
	put(memtable, &usage, 5, 2);
	assert_int_equal(memtable_oldest(memtable), 5);
	put(memtable, &usage, 6, 3);
	assert_int_equal(memtable_oldest(memtable), 5);
	assert_true(memtable_freeze(memtable, 6));
	assert_int_equal(memtable_oldest(memtable), 5);
	assert_int_equal(memtable_frozen_last(memtable), 6);
	memtable_drop(memtable);
	assert_int_equal(usage.bytes, 0);
	assert_int_equal(usage.rows, 0);
}

static float value_at(const struct memtable *memtable, uint64_t visible, uint64_t key)
{
	float value = 0;
	const struct row_version *version = memtable_get(memtable, visible, siphash_u64(&seed, key),
		(const uint8_t *)&key, sizeof key);
	if (version != NULL) {
		memcpy(&value, version->row, sizeof value);
	}
	return value;
}

/* Both generations stay for whoever has pinned them, also when merges are done with both. */
static void what_is_pinned_stays(void **state)
{
	(void)state;
	struct memtable_usage usage = {0};
	struct memtable pinned;
	struct memtable *memtable = memtable_new();
	assert_non_null(memtable);
	put(memtable, &usage, 1, 1);
	put(memtable, &usage, 2, 2);
	assert_true(memtable_freeze(memtable, 2));
	put(memtable, &usage, 3, 2);
	grace_register();
	grace_enter();
	memtable_pin(memtable, &pinned);
	grace_pin();
	generation_free(memtable_take_frozen(memtable));
	put(memtable, &usage, 4, 1);
	assert_true(memtable_freeze(memtable, 4));
	generation_free(memtable_take_frozen(memtable));
	assert_true(memtable_is_empty(memtable));
	assert_int_equal(usage.bytes, 0);
	assert_int_equal(usage.rows, 0);
	assert_true(usage.pinned_bytes > 0);
	assert_true(value_at(&pinned, 3, 1) == 1);
	assert_true(value_at(&pinned, 3, 2) == 3);
	assert_int_equal(memtable_rows(&pinned), 4);
	memtable_unpin(&pinned);
	assert_int_equal(usage.pinned_bytes, 0);
	grace_unpin();
	grace_unregister();
	memtable_drop(memtable);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sequence_that_is_used_again_is_the_oldest),
		cmocka_unit_test(what_is_pinned_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
