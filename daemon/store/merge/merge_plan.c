/* merge_plan.c - which levels of a table a merge takes together with its new rows. */
#include "daemon/store/memtable/memtable_merge.h"
#include "daemon/store/merge/merger.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/state/state.h"

#include <assert.h>

/* Whether `bytes` are more than so many thousandths of `whole`. */
static bool is_above(uint64_t bytes, uint64_t share, uint64_t whole)
{
	return bytes / share > whole / 1000;
}

/* The level from which on deltas are taken together with new rows of so many bytes, when there are as many
 * as there may be: the newest one, and older ones as long as they are no larger than what comes
 * into them. So bytes are written anew about as often as the logarithm of the number of merges says. */
static size_t first_of_tier(const struct table *table, uint64_t bytes)
{
	size_t first = table->level_count - 1;
	bytes += table->levels[first]->bytes;
	while (first > 1 && table->levels[first - 1]->bytes <= bytes) {
		first--;
		bytes += table->levels[first]->bytes;
	}
	assert(first >= 1);
	return first;
}

/* Whether all levels are to become a new base, whatever their sizes. What a replay could not add to
 * damaged states is in the log alone, so a delta may not let go of it: such a merge must fail. */
static bool is_whole(const struct merge_job *job)
{
	const struct table *table = job->table;
	return table->level_count == 0 || job->whole || table->spec.index != INDEX_NONE ||
	       memtable_frozen_keeps_log(table->memtable);
}

/* Whether deltas would no longer pay. */
static bool is_large(const struct merge_job *job, uint64_t bytes)
{
	const struct table *table = job->table;
	const struct store_sizes *sizes = &job->store->options.sizes;
	const uint64_t base = table->levels[0]->bytes;
	const uint64_t deltas = table->bytes - base;
	return base < sizes->delta_base_min || is_above(bytes, sizes->delta_share, base) ||
	       is_above(bytes + deltas, sizes->deltas_share, base);
}

size_t merge_first_level(const struct merge_job *job, uint64_t bytes)
{
	const struct table *table = job->table;
	/* A delta of new rows alone reads nothing, so it can be made also where a base is damaged. */
	if (is_whole(job) || (is_large(job, bytes) && !table_is_damaged(table))) {
		return 0;
	}
	return table->level_count <= job->store->options.sizes.deltas_max
		       ? table->level_count
		       : first_of_tier(table, bytes);
}
