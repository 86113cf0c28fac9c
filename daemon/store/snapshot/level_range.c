/* level_range.c - which files of a table belong together, and the table that follows when they are written anew. */
#include "daemon/store/snapshot/level_range.h"

#include "daemon/store/snapshot/level.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct hash_range range_of_file(const struct base_file_info *info)
{
	assert(info->segment_count > 0);
	const struct base_segment_info *last = &info->segments[info->segment_count - 1];
	return (struct hash_range){
		.first = info->segments[0].prefix,
		.last = segment_prefix_end(last->prefix, last->prefix_bits) - 1,
	};
}

bool range_has_file(const struct hash_range *range, const struct base_file_info *info)
{
	return hash_range_has(range, info->segments[0].prefix);
}

/* Grows a range by a file that it has a part of. True: it has grown. */
static bool take_in(struct hash_range *range, const struct base_file_info *info)
{
	const struct hash_range file = range_of_file(info);
	if (file.last < range->first || file.first > range->last ||
		(file.first >= range->first && file.last <= range->last)) {
		return false;
	}
	range->first = file.first < range->first ? file.first : range->first;
	range->last = file.last > range->last ? file.last : range->last;
	return true;
}

struct hash_range table_range(const struct table *table, size_t base_file)
{
	assert(base_file < table->levels[0]->file_count);
	struct hash_range range = range_of_file(&table->levels[0]->files[base_file]);
	const size_t count = table_file_count(table);
	bool grown = true;
	while (grown) {
		grown = false;
		for (size_t i = 0; i < count; i++) {
			grown = take_in(&range, table_file(table, i)) || grown;
		}
	}
	return range;
}

static uint64_t level_range_bytes(const struct level *level, const struct hash_range *range)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < level->file_count; i++) {
		bytes += range_has_file(range, &level->files[i]) ? level->files[i].bytes : 0;
	}
	return bytes;
}

uint64_t table_range_bytes(const struct table *table, size_t first, const struct hash_range *range)
{
	uint64_t bytes = 0;
	for (size_t i = first; i < table->level_count; i++) {
		bytes += level_range_bytes(table->levels[i], range);
	}
	return bytes;
}

uint64_t table_range_delta_bytes(const struct table *table, const struct hash_range *range)
{
	return table_range_bytes(table, 1, range);
}

uint64_t table_range_base_bytes(const struct table *table, const struct hash_range *range)
{
	return level_range_bytes(table->levels[0], range);
}

uint64_t table_range_age(const struct table *table, const struct hash_range *range)
{
	const struct level *base = table->levels[0];
	uint64_t oldest = UINT64_MAX;
	for (size_t i = 0; i < base->file_count; i++) {
		const struct base_file_info *info = &base->files[i];
		oldest = range_has_file(range, info) && info->number < oldest ? info->number
									      : oldest;
	}
	return oldest;
}

bool table_range_is_damaged(const struct table *table, size_t first, const struct hash_range *range)
{
	for (size_t i = first; i < table->level_count; i++) {
		const struct base_set *set = table->levels[i]->set;
		for (size_t j = 0; j < set->segment_count; j++) {
			if (hash_range_has(range, set->segments[j]->info->prefix) &&
				base_segment_state(set->segments[j]) == BASE_DAMAGED) {
				return true;
			}
		}
	}
	return false;
}

/* ---- the table that follows ---- */

static void free_files(struct base_file_info *files, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		base_file_info_fini(&files[i]);
	}
	free(files);
}

static size_t count_kept(const struct level *level, const struct hash_range *range)
{
	size_t kept = 0;
	for (size_t i = 0; i < level->file_count; i++) {
		kept += !range_has_file(range, &level->files[i]);
	}
	return kept;
}

/* Copies the files of a level that are in front of a range, or behind it. */
static enum status copy_files(const struct level *level, bool in_front,
	const struct hash_range *range, struct base_file_info *out, size_t *count)
{
	for (size_t i = 0; i < level->file_count; i++) {
		const struct base_file_info *info = &level->files[i];
		if (range_has_file(range, info) ||
			(info->segments[0].prefix < range->first) != in_front) {
			continue;
		}
		if (base_file_info_copy(info, &out[*count]) != STATUS_OK) {
			return STATUS_NO_MEMORY;
		}
		++*count;
	}
	return STATUS_OK;
}

/* Adds a level with the files of another one, in which these, if any, take the place of those of a range. */
static enum status add_renewed(struct table *table, const struct level *level,
	const struct hash_range *range, struct base_file_info *files, size_t count)
{
	const size_t kept = count_kept(level, range);
	struct base_file_info *all = calloc(kept + count + 1, sizeof *all);
	size_t filled = 0;
	enum status status =
		all == NULL ? STATUS_NO_MEMORY : copy_files(level, true, range, all, &filled);
	if (status != STATUS_OK) {
		free_files(all, filled);
		free_files(files, count);
		return status;
	}
	if (count > 0) {
		memcpy(all + filled, files, count * sizeof *files);
	}
	filled += count;
	free(files);
	status = copy_files(level, false, range, all, &filled);
	if (status != STATUS_OK) {
		free_files(all, filled);
		return status;
	}
	assert(filled == kept + count);
	return table_add_level(table, level->number, all, filled);
}

enum status table_renew_range(struct table *table, const struct table *from,
	const struct range_files *renewed)
{
	const struct hash_range *range = &renewed->range;
	assert(renewed->level < from->level_count);
	assert(renewed->count > 0); /* a base has each hash, and a delta keeps tombstones */
	table_share_levels(table, from, renewed->level);
	enum status status = add_renewed(table, from->levels[renewed->level], range, renewed->files,
		renewed->count);
	for (size_t i = renewed->level + 1; status == STATUS_OK && i < from->level_count; i++) {
		struct level *level = from->levels[i];
		const size_t kept = count_kept(level, range);
		if (kept == level->file_count) {
			table_share_level(table, level);
		} else if (kept > 0) {
			status = add_renewed(table, level, range, NULL, 0);
		}
	}
	return status;
}
