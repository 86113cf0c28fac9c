/* merge_plan.c - whether new rows of a table become a delta or, with all levels, a base; which deltas are merged first where
 * there are as many as there may be; and whether levels are written anew range by range. */
#include "daemon/store/memtable/memtable_merge.h"
#include "daemon/store/merge/merge_range.h"
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
	return keeps_base(job) && !is_small(job);
}

/* About what a row takes in a file beside its data: slot, key, time. */
enum { ROW_BYTES_BESIDE = 64 };

uint64_t merge_frozen_bytes(const struct merge_job *job)
{
	return memtable_frozen_rows(job->table->memtable) *
	       (spec_stored_bytes(&job->table->spec) + ROW_BYTES_BESIDE);
}

bool merge_makes_base(const struct merge_job *job)
{
	const struct table *table = job->table;
	const struct store_sizes *sizes = &job->store->options.sizes;
	if (!keeps_base(job) || (job->whole && !merge_goes_by_range(job))) {
		return true;
	}
	const uint64_t bytes = merge_frozen_bytes(job);
	const uint64_t base = table->levels[0]->bytes;
	const bool is_much = is_above(bytes, sizes->delta_share, base);
	/* A delta of new rows alone reads nothing, so it can be made also where a base is damaged. */
	return (is_small(job) || is_much) && !table_is_damaged(table);
}

bool merge_has_room(const struct merge_job *job)
{
	return job->table->level_count <= job->store->options.sizes.deltas_max;
}

/* The newest two, and older ones as long as they are no larger than what comes into them, and above them. So bytes are
 * written anew about as often as the logarithm of the number of merges says. */
size_t merge_tier(const struct merge_job *job)
{
	const struct table *table = job->table;
	assert(table->level_count > 2);
	size_t first = table->level_count - 2;
	uint64_t bytes = merge_frozen_bytes(job) + table->levels[first]->bytes +
			 table->levels[first + 1]->bytes;
	while (first > 1 && table->levels[first - 1]->bytes <= bytes) {
		first--;
		bytes += table->levels[first]->bytes;
	}
	return first;
}

void merge_expect(const struct merge_job *job, uint64_t share, uint64_t left[MERGE_STEPS])
{
	const struct table *table = job->table;
	if (memtable_is_frozen(table->memtable)) {
		const bool is_base = merge_makes_base(job);
		left[is_base ? MERGE_STEP_BASE : MERGE_STEP_DELTA] +=
			merge_frozen_bytes(job) +
			(is_base ? table_range_bytes(table, 0, &hash_range_all) : 0);
	}
	if (merge_goes_by_range(job)) {
		left[MERGE_STEP_RANGE] += merge_ranges_bytes(job, share);
	}
	if (!merge_has_room(job) && !merge_makes_base(job)) {
		left[MERGE_STEP_TIER] += table_range_bytes(table, merge_tier(job), &hash_range_all);
	}
}

bool merge_deltas_are_above(uint64_t deltas, uint64_t base, uint64_t share)
{
	return deltas > 0 && is_above(deltas, share, base);
}
