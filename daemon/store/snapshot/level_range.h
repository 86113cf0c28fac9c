/* level_range.h - the ranges of a table: parts of its hashes that are written anew by themselves.
 *
 * Each file of the base holds a range of the hashes. A file of a delta lies within that of one file of the base, as
 * the base was when it was written. So a merge can take one file of the base, and with it the files that the deltas
 * have for it; then the deltas go on without these, and one that has none left is gone. In the same way a delta takes in
 * what newer ones have for a range. What a level has taken in is told by nothing else: a delta says nothing of hashes
 * that it has no file for.
 *
 * Threads: a table is constant, but for the states of its segments.
 */
#ifndef DAEMON_STORE_SNAPSHOT_LEVEL_RANGE_H
#define DAEMON_STORE_SNAPSHOT_LEVEL_RANGE_H

#include "daemon/store/base/base.h"
#include "daemon/store/snapshot/snapshot.h"

struct hash_range {
	uint64_t first;
	uint64_t last;
};

static const struct hash_range hash_range_all = {0, UINT64_MAX};

static inline bool hash_range_has(const struct hash_range *range, uint64_t hash)
{
	return hash >= range->first && hash <= range->last;
}

/* What a file covers: from its first segment to the end of its last. */
struct hash_range range_of_file(const struct base_file_info *info);

/* The smallest range that holds a file of the base, and of no file of any level a part. Where the base was cut anew
 * since a delta was written, several of its files belong together. */
struct hash_range table_range(const struct table *table, size_t base_file);

/* Whether this file is in a range. Both are as table_range says, so none is in part. */
bool range_has_file(const struct hash_range *range, const struct base_file_info *info);

/* Bytes of the files that level `first` and newer ones have for a range. */
uint64_t table_range_bytes(const struct table *table, size_t first, const struct hash_range *range);
/* The same of deltas, and of the base alone. */
uint64_t table_range_delta_bytes(const struct table *table, const struct hash_range *range);
uint64_t table_range_base_bytes(const struct table *table, const struct hash_range *range);

/* The number of the oldest file that the base has for a range: which was written first. */
uint64_t table_range_age(const struct table *table, const struct hash_range *range);

/* Whether a segment of level `first` or a newer one is known to be damaged there. */
bool table_range_is_damaged(const struct table *table, size_t first,
	const struct hash_range *range);

static inline bool table_is_damaged(const struct table *table)
{
	return table_range_is_damaged(table, 0, &hash_range_all);
}

/* New files of one level for a range, in the place of what it and newer ones have there. */
struct range_files {
	size_t level;
	struct hash_range range;
	struct base_file_info *files; /* owned */
	size_t count;                 /* above 0 */
};

/* Gives a table that has no levels those of `from`, but for a range: there a level has these files, and newer ones have
 * none. A level that has no file any more is gone. Takes the files over, also after a failure. The admin lock is
 * held. Errors: NO_MEMORY. */
enum status table_renew_range(struct table *table, const struct table *from,
	const struct range_files *renewed);

#endif
