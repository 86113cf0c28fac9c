/* find.h - finds the rows of a block of keys in the segments: prefetch, probe, compare.
 *
 * Threads: any, while a snapshot or a reference holds the base set.
 */
#ifndef DAEMON_STORE_BASE_FIND_H
#define DAEMON_STORE_BASE_FIND_H

#include "daemon/store/base/base.h"
#include "schema/key.h"

#include <stdint.h>

/* Keys that are looked up together. They are enough to keep the memory system busy with cache
 * misses, and few enough that what was prefetched is still in the cache when it is used. */
enum { FIND_BLOCK = 128 };

struct row_version;

/* Where a key's row is. `segment` NULL: the key is absent. `row` FIND_CORRUPT: its segment is
 * damaged. */
struct found_row {
	struct base_segment *segment;
	uint32_t row;
};
enum { FIND_CORRUPT = -1 };

/* Looks up keys [first, first + count) of a batch, count <= FIND_BLOCK.
 *   hashes       of these keys, so hashes[0] belongs to key `first`
 *   known        of these keys, what the memtable has: such keys are passed over; or NULL
 *   wants_times  prefetch the rows' times too
 *   may_block    false: STATUS_AGAIN if a segment is not in memory or not checked
 *   rows         out: struct found_row[count]; their row numbers are within their segments */
struct find {
	struct base_set *set;
	const struct keys *keys;
	const uint64_t *hashes;
	const struct row_version *const *known;
	bool wants_times;
	bool may_block;
};
enum status find_rows(const struct find *find, uint32_t first, uint32_t count,
	struct found_row *rows);

#endif
