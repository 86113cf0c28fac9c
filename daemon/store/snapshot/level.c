/* level.c - adds and shares the levels of tables, and finds keys in them. */
#include "daemon/store/snapshot/level.h"

#include "daemon/store/base/at_hand.h"
#include "daemon/store/index/indexes.h"
#include "daemon/store/snapshot/level_filter.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static_assert(TABLE_LEVELS_MAX == 8, "a byte of the filter has a bit for each level");

void level_drop(struct level *level)
{
	if (level == NULL) {
		return;
	}
	assert(level->refs > 0);
	if (--level->refs > 0) {
		return;
	}
	indexes_close(atomic_load(&level->images));
	base_set_close(level->set);
	for (size_t i = 0; i < level->file_count; i++) {
		base_file_info_fini(&level->files[i]);
	}
	free(level->files);
	free(level);
}

static void count_file(struct table *table, struct level *level, const struct base_file_info *info)
{
	uint64_t rows = 0;
	for (size_t i = 0; i < info->segment_count; i++) {
		rows += info->segments[i].rows;
	}
	/* What a damaged record says may be less; catalog_check_rows tells that. */
	rows -= info->deleted < rows ? info->deleted : rows;
	level->rows += rows;
	level->deleted += info->deleted;
	level->is_counted = level->is_counted && info->hides != BASE_HIDES_UNKNOWN;
	level->hides += info->hides != BASE_HIDES_UNKNOWN ? info->hides : 0;
	level->bytes += info->bytes;
	table->bytes += info->bytes;
	table->next_file = info->number >= table->next_file ? info->number + 1 : table->next_file;
}

static struct level *level_new(uint64_t number)
{
	struct level *level = calloc(1, sizeof *level);
	if (level != NULL) {
		level->number = number;
		level->is_counted = true;
		level->refs = 1;
	}
	return level;
}

enum status table_add_level(struct table *table, uint64_t number, struct base_file_info *files,
	size_t count)
{
	struct level *level = table->level_count < TABLE_LEVELS_MAX ? level_new(number) : NULL;
	if (level == NULL) {
		for (size_t i = 0; i < count; i++) {
			base_file_info_fini(&files[i]);
		}
		free(files);
		return table->level_count < TABLE_LEVELS_MAX ? STATUS_NO_MEMORY : STATUS_CORRUPT;
	}
	assert(table->level_count == 0 || table->levels[table->level_count - 1]->number < number);
	level->files = files;
	level->file_count = count;
	for (size_t i = 0; i < count; i++) {
		count_file(table, level, &files[i]);
	}
	table->levels[table->level_count++] = level;
	table->rows += level->rows;
	return STATUS_OK;
}

void table_share_level(struct table *table, struct level *level)
{
	assert(table->level_count < TABLE_LEVELS_MAX);
	assert(level->refs > 0);
	level->refs++;
	table->levels[table->level_count++] = level;
	table->rows += level->rows;
	table->bytes += level->bytes;
}

void table_share_levels(struct table *table, const struct table *from, size_t count)
{
	assert(table->level_count == 0);
	assert(count <= from->level_count);
	for (size_t i = 0; i < count; i++) {
		table_share_level(table, from->levels[i]);
	}
	table->bases = count == 0 ? NULL : from->bases;
}

/* ---- files, as the catalog names them one by one ---- */

/* The level of this number; one is made in its place if there is none. */
static enum status find_level(struct table *table, uint64_t number, struct level **out)
{
	size_t at = table->level_count;
	while (at > 0 && table->levels[at - 1]->number > number) {
		at--;
	}
	if (at > 0 && table->levels[at - 1]->number == number) {
		*out = table->levels[at - 1];
		return STATUS_OK;
	}
	if (table->level_count == TABLE_LEVELS_MAX) {
		return STATUS_CORRUPT;
	}
	struct level *level = level_new(number);
	if (level == NULL) {
		return STATUS_NO_MEMORY;
	}
	memmove(&table->levels[at + 1], &table->levels[at],
		(table->level_count - at) * sizeof(struct level *));
	table->levels[at] = level;
	table->level_count++;
	*out = level;
	return STATUS_OK;
}

static uint64_t first_prefix(const struct base_file_info *info)
{
	return info->segment_count == 0 ? 0 : info->segments[0].prefix;
}

enum status table_add_file(struct table *table, struct base_file_info *info)
{
	struct level *level = NULL;
	enum status status = find_level(table, info->delta, &level);
	struct base_file_info *grown =
		status != STATUS_OK
			? NULL
			: realloc(level->files, (level->file_count + 1) * sizeof *grown);
	if (grown == NULL) {
		base_file_info_fini(info);
		return status != STATUS_OK ? status : STATUS_NO_MEMORY;
	}
	level->files = grown;
	size_t at = level->file_count++;
	assert(level->set == NULL); /* it was opened with the files that there are */
	for (; at > 0 && first_prefix(&grown[at - 1]) > first_prefix(info); at--) {
		grown[at] = grown[at - 1];
	}
	grown[at] = *info;
	count_file(table, level, info);
	return STATUS_OK;
}

bool table_has_level(const struct table *table, const struct level *level)
{
	bool has = false;
	for (size_t i = 0; table != NULL && i < table->level_count; i++) {
		has = has || table->levels[i] == level;
	}
	return has;
}

bool table_has_file(const struct table *table, uint64_t number)
{
	for (size_t i = 0; i < table->level_count; i++) {
		const struct level *level = table->levels[i];
		for (size_t j = 0; j < level->file_count; j++) {
			if (level->files[j].number == number) {
				return true;
			}
		}
	}
	return false;
}

size_t table_file_count(const struct table *table)
{
	size_t count = 0;
	for (size_t i = 0; i < table->level_count; i++) {
		count += table->levels[i]->file_count;
	}
	return count;
}

const struct base_file_info *table_file(const struct table *table, size_t i)
{
	size_t level = 0;
	while (i >= table->levels[level]->file_count) {
		i -= table->levels[level++]->file_count;
		assert(level < table->level_count);
	}
	return &table->levels[level]->files[i];
}

uint64_t table_count_rows(const struct table *table, bool *exact)
{
	uint64_t hides = 0;
	*exact = true;
	for (size_t i = 0; i < table->level_count; i++) {
		hides += table->levels[i]->hides;
		*exact = *exact && table->levels[i]->is_counted;
	}
	assert(hides <= table->rows); /* catalog_check_rows */
	return table->rows - hides;
}

uint64_t release_count_rows(const struct release *release, bool *exact)
{
	uint64_t rows = 0;
	*exact = true;
	for (size_t i = 0; i < release->table_count; i++) {
		bool of_table;
		rows += table_count_rows(release->tables[i], &of_table);
		*exact = *exact && of_table;
	}
	return rows;
}

size_t table_segment_count(const struct table *table)
{
	size_t count = 0;
	for (size_t i = 0; i < table->level_count; i++) {
		count += table->levels[i]->set != NULL ? table->levels[i]->set->segment_count : 0;
	}
	return count;
}

bool table_is_at_hand(const struct table *table)
{
	for (size_t i = 0; i < table->level_count; i++) {
		struct base_set *set = table->levels[i]->set;
		if (set != NULL && !base_set_is_at_hand(set)) {
			return false;
		}
	}
	return true;
}

/* ---- look-up ---- */

static uint8_t all_levels(const struct table *table)
{
	return (uint8_t)((1u << table->level_count) - 1);
}

/* NULL: there is none. */
static const struct level_filter *filter_of(const struct table *table)
{
	return atomic_load_explicit(&((struct table *)table)->filter, memory_order_acquire);
}

/* Of each key those of the oldest `below` levels that may have it; the base always may. */
static void ask_filter(const struct table *table, size_t below, const struct find *find,
	uint32_t count, uint8_t *asks)
{
	const uint8_t levels = (uint8_t)((1u << below) - 1);
	const struct level_filter *filter = filter_of(table);
	for (uint32_t i = 0; filter != NULL && i < count; i++) {
		__builtin_prefetch(level_filter_at(filter, find->hashes[i]), 0, 2);
	}
	for (uint32_t i = 0; i < count; i++) {
		if (find->known != NULL && find->known[i] != NULL) {
			asks[i] = 0;
		} else if (filter == NULL) {
			asks[i] = levels;
		} else {
			asks[i] = (*level_filter_at(filter, find->hashes[i]) & levels) | 1u;
		}
	}
}

/* Of a bit for each level, of which there is one. */
static size_t highest(uint8_t asks)
{
	return (size_t)(31 - __builtin_clz((unsigned)asks));
}

static uint8_t without_highest(uint8_t asks)
{
	return (uint8_t)(asks & ~(1u << highest(asks)));
}

/* Each key goes to the newest level that may have it, and what is not there goes round again. */
static enum status find_in_levels(const struct table *table, size_t below, const struct find *find,
	uint32_t first, uint32_t count, struct found_row *rows)
{
	struct find here = *find;
	struct base_set *sets[TABLE_LEVELS_MAX];
	struct found_row found[FIND_BLOCK];
	uint8_t asks[FIND_BLOCK];
	bool more = true;
	for (size_t i = 0; i < table->level_count; i++) {
		sets[i] = table->levels[i]->set;
	}
	ask_filter(table, below, find, count, asks);
	here.set = table->bases;
	here.known = NULL;
	here.sets = sets;
	here.asks = asks;
	memset(rows, 0, count * sizeof *rows);
	while (more) {
		const enum status status = find_rows(&here, first, count, found);
		if (status != STATUS_OK) {
			return status;
		}
		more = false;
		for (uint32_t i = 0; i < count; i++) {
			if (asks[i] == 0) {
				continue;
			}
			if (found[i].segment != NULL) {
				rows[i] = found[i]; /* or that it cannot be told */
				asks[i] = 0;
			} else {
				asks[i] = without_highest(asks[i]);
			}
			more = more || asks[i] != 0;
		}
	}
	return STATUS_OK;
}

enum status table_find_below(const struct table *table, size_t below, const struct find *find,
	uint32_t first, uint32_t count, struct found_row *rows)
{
	if (below == 0 || table->bases == NULL) {
		memset(rows, 0, count * sizeof *rows);
		return STATUS_OK;
	}
	if (below > 1) {
		return find_in_levels(table, below, find, first, count, rows);
	}
	struct find here = *find;
	here.set = table->bases;
	return find_rows(&here, first, count, rows);
}

enum status table_find_rows(const struct table *table, const struct find *find, uint32_t first,
	uint32_t count, struct found_row *rows)
{
	return table_find_below(table, table->level_count, find, first, count, rows);
}

/* The levels above level i that may have a key; a bit for each. */
static uint8_t levels_above(const struct table *table, size_t i, uint64_t hash)
{
	const struct level_filter *filter = filter_of(table);
	const uint8_t asks = filter == NULL ? all_levels(table) : *level_filter_at(filter, hash);
	return (uint8_t)(asks & all_levels(table) & ~((2u << i) - 1));
}

void table_prefetch_filter(const struct table *table, uint64_t hash)
{
	const struct level_filter *filter = filter_of(table);
	if (filter != NULL) {
		__builtin_prefetch(level_filter_at(filter, hash));
	}
}

void table_prefetch_above(const struct table *table, size_t i, uint64_t hash)
{
	for (uint8_t asks = levels_above(table, i, hash); asks != 0; asks = without_highest(asks)) {
		const struct base_set *set = table->levels[highest(asks)]->set;
		const uint32_t number = base_set_find(set, hash);
		if (number != BASE_NO_SEGMENT) {
			const struct segment *view = &set->segments[number]->view;
			__builtin_prefetch(&view->slots[segment_home(view, hash)]);
		}
	}
}

bool table_is_above(const struct table *table, size_t i, uint64_t hash, const uint8_t *key,
	size_t len)
{
	for (uint8_t asks = levels_above(table, i, hash); asks != 0; asks = without_highest(asks)) {
		struct base_set *set = table->levels[highest(asks)]->set;
		const uint32_t number = base_set_find(set, hash);
		if (number == BASE_NO_SEGMENT) {
			continue;
		}
		if ((base_segment_state(set->segments[number]) != BASE_READY &&
			    base_segment_wait(set, number) != BASE_READY) ||
			segment_has(&set->segments[number]->view, hash, key, len)) {
			return true;
		}
	}
	return false;
}
