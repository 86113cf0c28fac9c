/* find.h - finds the rows of a block of keys in the segments: prefetch, probe, compare.
 *
 * Threads: any, while a snapshot or a reference holds the base set.
 */
#ifndef DAEMON_STORE_BASE_FIND_H
#define DAEMON_STORE_BASE_FIND_H

#include "daemon/store/base/pages.h"
#include "schema/key.h"

#include <stdint.h>

/* Keys that are looked up together. They are enough to keep the memory system busy with cache
 * misses, and few enough that what was prefetched is still in the cache when it is used. */
enum { FIND_BLOCK = 128 };

struct row_version;

/* Where a key's row is. `segment` NULL: the key is absent. `row` FIND_CORRUPT: a page that would tell is
 * damaged. FIND_PENDING is never returned. */
struct found_row {
	struct base_segment *segment;
	uint32_t row;
};
enum { FIND_CORRUPT = -1, FIND_PENDING = -2 };

/* What is read of a row that is found. */
enum find_wants {
	FIND_ROWS = 1, /* with their scales */
	FIND_TIMES = 2,
	FIND_TAGS = 4,
	FIND_LOWS = 8,
};

/* Whether a row that was found is a tombstone. */
static inline bool found_is_deleted(const struct found_row *found)
{
	return segment_is_deleted(&found->segment->view, found->row);
}

/* Looks up keys [first, first + count) of a batch, count <= FIND_BLOCK.
 *   hashes       of these keys, so hashes[0] belongs to key `first`
 *   known        of these keys, what the memtable has: such keys are passed over; or NULL
 *   sets, asks   several sets: each key is looked for in the one that the highest bit of its byte
 *                in `asks` names, and passed over where that is 0; `set` is any of them. NULL: in
 *                `set`
 *   wants        enum find_wants, or'ed
 *   may_block    false: STATUS_AGAIN if a page is not in memory or not checked
 *   rows         out: struct found_row[count]; their row numbers are within their segments, and the pages of
 *                what is wanted of them were checked */
struct find {
	struct base_set *set;
	const struct keys *keys;
	const uint64_t *hashes;
	const struct row_version *const *known;
	struct base_set *const *sets;
	const uint8_t *asks;
	unsigned wants;
	bool may_block;
};
enum status find_rows(const struct find *find, uint32_t first, uint32_t count,
	struct found_row *rows);

#endif
