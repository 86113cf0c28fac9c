/* merge_range.c - which ranges of a level take in what newer ones have for them, and in which order. */
#include "daemon/store/merge/merge_range.h"

#include "daemon/store/base/base_files.h"
#include "daemon/store/memtable/memtable_merge.h"
#include "daemon/store/merge/merger.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/level_range.h"
#include "daemon/store/state/state.h"

#include <assert.h>
#include <stdlib.h>

struct range {
	struct hash_range hashes;
	uint64_t age; /* the lower, the longer it has waited */
	bool damaged;
};

static int compare_ages(const void *a, const void *b)
{
	const struct range *left = a;
	const struct range *right = b;
	return (left->age > right->age) - (left->age < right->age);
}

/* Whether two neighbours among the ranges are one change of the catalog: of deltas, where they are small; of the base, where
 * they would be one range today. Those of a table with an index were smaller once. */
static bool fit_together(const struct merge_job *job, const struct range_wish *wish,
	uint32_t base_bits, const struct range *a, const struct range *b)
{
	const uint64_t bytes = table_range_bytes(job->table, wish->level, &a->hashes) +
			       table_range_bytes(job->table, wish->level, &b->hashes);
	if (a->damaged || b->damaged) {
		return false;
	}
	return wish->level > 0 ? bytes <= job->store->options.sizes.range_bytes
			       : base_is_one_range(base_bits, a->hashes.first, b->hashes.last) &&
					 bytes <= job->store->options.sizes.file_bytes;
}

/* All ranges of a table, the one that waited longest first. The caller frees *out. */
static enum status list_ranges(const struct merge_job *job, const struct range_wish *wish,
	struct range **out, size_t *count)
{
	const struct table *table = job->table;
	const struct level *base = table->levels[0];
	struct range *ranges = calloc(base->file_count + 1, sizeof *ranges);
	if (ranges == NULL) {
		return STATUS_NO_MEMORY;
	}
	const struct base_sizes sizes = store_base_sizes(job->store);
	const struct base_extent extent = {
		.bytes = base->bytes,
		.rows = base->rows,
		.is_indexed = table->spec.index != INDEX_NONE,
	};
	const uint32_t base_bits = base_range_bits(&sizes, &extent);
	*count = 0;
	for (size_t i = 0; i < base->file_count; i++) {
		if (*count > 0 && range_has_file(&ranges[*count - 1].hashes, &base->files[i])) {
			continue;
		}
		struct range *range = &ranges[*count];
		range->hashes = table_range(table, i);
		range->age = table_range_age(table, &range->hashes);
		range->damaged = table_range_is_damaged(table, wish->level, &range->hashes);
		if (*count > 0 && fit_together(job, wish, base_bits, &ranges[*count - 1], range)) {
			ranges[*count - 1].hashes.last = range->hashes.last;
			ranges[*count - 1].age = range->age < ranges[*count - 1].age
							 ? range->age
							 : ranges[*count - 1].age;
		} else {
			++*count;
		}
	}
	qsort(ranges, *count, sizeof *ranges, compare_ages);
	*out = ranges;
	return STATUS_OK;
}

/* Whether deltas have more than a share of the base. What is damaged stays as it is, so it counts on neither side:
 * otherwise the sound ranges would be written anew again and again. */
static bool is_much(const struct table *table, const struct range *ranges, size_t count,
	uint64_t share)
{
	uint64_t deltas = 0;
	uint64_t base = 0;
	for (size_t i = 0; i < count; i++) {
		if (!ranges[i].damaged) {
			const struct hash_range *hashes = &ranges[i].hashes;
			deltas += table_range_delta_bytes(table, hashes);
			base += table_range_base_bytes(table, hashes);
		}
	}
	return merge_deltas_are_above(deltas, base, share);
}

/* Goes through the ranges. A merge of one leaves the others as they are. */
static enum status merge_listed(struct merge_job *job, const struct range_wish *wish,
	struct range *ranges, size_t count, struct error *err)
{
	enum status status = STATUS_OK;
	size_t merged = 0;
	for (size_t i = 0; i < count && merged < wish->most; i++) {
		const struct hash_range *hashes = &ranges[i].hashes;
		if (wish->older_than > 0 && ranges[i].age >= wish->older_than) {
			continue;
		}
		const bool has_newer = table_range_bytes(job->table, wish->level + 1, hashes) > 0;
		const bool is_due = has_newer && wish->share > 0 && !ranges[i].damaged &&
				    is_much(job->table, ranges, count, wish->share);
		const bool is_asked = (has_newer && wish->share == 0) ||
				      (wish->expired && merge_range_has_expired(job, hashes));
		if (!is_due && !is_asked) {
			continue;
		}
		if (ranges[i].damaged) {
			status = error_set(err, STATUS_CORRUPT,
				"merge: a range stays as it is, since a segment is damaged");
			continue;
		}
		const enum status of_range = merge_table_range(job, wish->level, hashes, err);
		if (of_range == STATUS_CORRUPT) {
			ranges[i].damaged = true; /* the others go on */
			status = of_range;
		} else if (of_range != STATUS_OK) {
			return of_range;
		} else {
			merged++;
		}
	}
	job->ranges += merged;
	return status;
}

enum status merge_ranges(struct merge_job *job, const struct range_wish *wish, struct error *err)
{
	struct range *ranges = NULL;
	size_t count = 0;
	enum status status = list_ranges(job, wish, &ranges, &count);
	if (status != STATUS_OK) {
		return error_set(err, status, "merge: no memory");
	}
	status = merge_listed(job, wish, ranges, count, err);
	free(ranges);
	return status;
}

uint64_t merge_ranges_bytes(const struct merge_job *job, uint64_t share)
{
	const struct range_wish wish = {.level = 0};
	struct range *ranges = NULL;
	size_t count = 0;
	if (list_ranges(job, &wish, &ranges, &count) != STATUS_OK) {
		return 0; /* then it is not known */
	}
	const uint64_t news = merge_frozen_bytes(job) / (count + 1); /* that each range gets */
	const uint64_t base = table_range_base_bytes(job->table, &hash_range_all);
	uint64_t deltas = table_range_delta_bytes(job->table, &hash_range_all) + news * count;
	uint64_t bytes = 0;
	for (size_t i = 0; i < count && merge_deltas_are_above(deltas, base, share); i++) {
		const struct hash_range *hashes = &ranges[i].hashes;
		const uint64_t of_range = table_range_delta_bytes(job->table, hashes) + news;
		bytes += table_range_base_bytes(job->table, hashes) + of_range;
		deltas -= of_range < deltas ? of_range : deltas;
	}
	free(ranges);
	return bytes;
}

enum status merge_make_room(struct merge_job *job, struct error *err)
{
	if (merge_makes_base(job) || merge_has_room(job)) {
		return STATUS_OK;
	}
	const struct range_wish wish = {.level = merge_tier(job), .most = SIZE_MAX};
	const enum status status = merge_ranges(job, &wish, err);
	/* A range that stays may have nothing of the deltas that are gone. */
	return status == STATUS_CORRUPT && merge_has_room(job) ? STATUS_OK : status;
}
