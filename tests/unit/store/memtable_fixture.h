/* memtable_fixture.h - a memtable of rows of one f32, each of which is the sequence that wrote it.
 *
 * Threads: the test's own.
 */
#ifndef TESTS_UNIT_STORE_MEMTABLE_FIXTURE_H
#define TESTS_UNIT_STORE_MEMTABLE_FIXTURE_H

#include "daemon/store/memtable/memtable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct table_spec memtable_spec = {
	.kind = KIND_IR,
	.dtype = DTYPE_F32,
	.key_type = KEY_U64,
	.dim = 1,
	.views = 1,
};

static const struct key_seed memtable_seed = {{1, 2}};

static inline void put_at(struct memtable *memtable, struct memtable_usage *usage,
	uint64_t sequence, uint64_t key, uint64_t hash)
{
	const float value = (float)sequence;
	const struct frame_row row = {
		.key = (const uint8_t *)&key,
		.key_len = sizeof key,
		.data = (const uint8_t *)&value,
	};
	const struct memtable_change change = {
		.spec = &memtable_spec,
		.usage = usage,
		.sequence = sequence,
	};
	assert_int_equal(memtable_put(memtable, &change, hash, &row), STATUS_OK);
}

static inline void put(struct memtable *memtable, struct memtable_usage *usage, uint64_t sequence,
	uint64_t key)
{
	put_at(memtable, usage, sequence, key, siphash_u64(&memtable_seed, key));
}

static inline void undo(struct memtable *memtable, uint64_t key, uint64_t visible)
{
	memtable_undo(memtable, siphash_u64(&memtable_seed, key), (const uint8_t *)&key, sizeof key,
		visible);
}

static inline float value_at(const struct memtable *memtable, uint64_t visible, uint64_t key)
{
	float value = 0;
	const struct row_version *version = memtable_get(memtable, visible,
		siphash_u64(&memtable_seed, key), (const uint8_t *)&key, sizeof key);
	if (version != NULL) {
		memcpy(&value, version->row, sizeof value);
	}
	return value;
}

#endif
