/* merge_plan.c - which levels of a table a merge takes together with its new rows, and whether the base is written
 * anew range by range. */
#include "daemon/store/memtable/memtable_merge.h"
#include "daemon/store/merge/merger.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/level_range.h"
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

/* Whether all levels become a base together when deltas hold much, and not range by range: an index is of the whole
 * base. */
static bool goes_together(const struct table *table)
{
	return table->spec.index != INDEX_NONE;
}

static uint64_t delta_bytes(const struct table *table)
{
	return table_range_delta_bytes(table, &hash_range_all);
}

/* What a replay could not add to damaged states is in the log alone, so a delta may not let go of it: a merge must
 * read all, and fail. */
static bool keeps_base(const struct merge_job *job)
{
	const struct table *table = job->table;
	return table->level_count > 0 && !memtable_frozen_keeps_log(table->memtable);
}

static bool is_small(const struct merge_job *job)
{
	return job->table->levels[0]->bytes < job->store->options.sizes.delta_base_min;
}

bool merge_goes_by_range(const struct merge_job *job)
{
	return keeps_base(job) && !is_small(job) && !goes_together(job->table);
}

size_t merge_first_level(const struct merge_job *job, uint64_t bytes)
{
	const struct table *table = job->table;
	const struct store_sizes *sizes = &job->store->options.sizes;
	if (!keeps_base(job) || (job->whole && !merge_goes_by_range(job))) {
		return 0;
	}
	const uint64_t base = table->levels[0]->bytes;
	const bool is_much = is_above(bytes, sizes->delta_share, base) ||
			     (goes_together(table) && is_above(bytes + delta_bytes(table),
							      sizes->deltas_share, base));
	/* A delta of new rows alone reads nothing, so it can be made also where a base is damaged. */
	if ((is_small(job) || is_much) && !table_is_damaged(table)) {
		return 0;
	}
	return table->level_count <= sizes->deltas_max ? table->level_count
						       : first_of_tier(table, bytes);
}

bool merge_deltas_are_above(uint64_t deltas, uint64_t base, uint64_t share)
{
	return deltas > 0 && is_above(deltas, share, base);
}
