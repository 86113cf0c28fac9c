/* merge_expired.c - which rows of a table have expired for good, and whether there is any. */
#include "daemon/store/base/base.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/memtable/memtable_merge.h"
#include "daemon/store/merge/merger.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/level_range.h"
#include "daemon/store/snapshot/snapshot.h"

/* An expired row stays for so long, since by another clock it may not have expired yet. */
enum { EXPIRED_KEPT_MS = 3600 * 1000 };

int64_t merge_expired_ms(const struct merge_job *job)
{
	const struct table *table = job->table;
	const int64_t kept_ms = (int64_t)table->spec.ttl_ms + EXPIRED_KEPT_MS;
	/* A table without a ttl keeps all. By a clock of 1970 nothing has expired. After a merge that had
	 * failed, frames of older clocks stay in the log: a replay of their samples needs the rows that
	 * had not expired by then. */
	return table->spec.ttl_ms == 0 || job->clock_ms < kept_ms ||
			       memtable_has_left(table->memtable, job->cut)
		       ? INT64_MIN
		       : job->clock_ms - kept_ms;
}

/* The time of a level's oldest row in a range; INT64_MIN if a segment is damaged: then a merge says so. */
static int64_t oldest_of(struct base_set *set, const struct hash_range *range)
{
	int64_t oldest_ms = INT64_MAX;
	for (size_t i = 0; i < set->segment_count; i++) {
		if (!hash_range_has(range, set->segments[i]->info->prefix)) {
			continue;
		}
		if (base_segment_wait(set, i) != BASE_READY) {
			return INT64_MIN;
		}
		const struct segment *view = &set->segments[i]->view;
		for (uint32_t row = 0; row < view->rows; row++) {
			if (view->times[row] < oldest_ms && !segment_is_deleted(view, row)) {
				oldest_ms = view->times[row];
			}
		}
	}
	return oldest_ms;
}

static int64_t oldest_in(const struct table *table, const struct hash_range *range)
{
	int64_t oldest_ms = INT64_MAX;
	for (size_t i = 0; i < table->level_count; i++) {
		const int64_t of_level = oldest_of(table->levels[i]->set, range);
		oldest_ms = of_level < oldest_ms ? of_level : oldest_ms;
	}
	return oldest_ms;
}

bool merge_has_expired(const struct merge_job *job)
{
	struct table *table = job->table;
	const int64_t expired_ms = merge_expired_ms(job);
	if (expired_ms == INT64_MIN) {
		return false;
	}
	if (!table->oldest_known) {
		table->oldest_ms = oldest_in(table, &hash_range_all);
		table->oldest_known = true;
	}
	return table->oldest_ms <= expired_ms;
}

int64_t merge_range_expired_ms(const struct merge_job *job)
{
	/* Samples of frames that are not in files yet may be of the time of such a row. */
	return memtable_is_frozen(job->table->memtable) ? INT64_MIN : merge_expired_ms(job);
}

bool merge_range_has_expired(const struct merge_job *job, const struct hash_range *range)
{
	const int64_t expired_ms = merge_range_expired_ms(job);
	return expired_ms != INT64_MIN && oldest_in(job->table, range) <= expired_ms;
}
