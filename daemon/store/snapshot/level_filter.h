/* level_filter.h - one byte a bucket of hashes: which deltas of a table may have a key.
 *
 * Bit i stands for level i of the table. A key goes straight to the newest level that its byte names;
 * only when that level does not have it, it goes on to the next. The bucket of a key follows from the
 * low half of its hash, which is what slots have, so that no key is read to build a filter. Of a delta
 * with damaged slots the bits of all buckets are set.
 *
 * Threads: constant once it is made.
 */
#ifndef DAEMON_STORE_SNAPSHOT_LEVEL_FILTER_H
#define DAEMON_STORE_SNAPSHOT_LEVEL_FILTER_H

#include "schema/status.h"

#include <stdbool.h>
#include <stdint.h>

struct hash_range;
struct table;

struct level_filter {
	uint32_t buckets;
	uint8_t bytes[];
};

static inline const uint8_t *level_filter_at(const struct level_filter *filter, uint64_t hash)
{
	return &filter->bytes[((hash & UINT32_MAX) * filter->buckets) >> 32];
}

/* Makes the filter of a table with deltas, and gives it to the table if it has none yet. Reads the slots
 * of all deltas, and checks their pages. The caller holds the table. Errors:
 * NO_MEMORY, after which all deltas are asked for each key. */
enum status level_filter_make(struct table *table);

/* Gives a table that was made of another one by table_renew_range a copy of its filter: bits of rows that are gone lead
 * nowhere, and those of what the level took in are added. False: a delta is gone, or there is no memory, or no filter. */
bool level_filter_renew(struct table *table, const struct table *from, size_t level,
	const struct hash_range *range);

#endif
