/* table_index.c - what a table tells its index. */
#include "daemon/store/snapshot/table_index.h"

#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/snapshot.h"

#include <assert.h>
#include <stdlib.h>

/* When more than a part in STALE_PART of the rows has changed since balls and recalls were found, the
 * recalls may be wrong, and are not promised any more. */
enum { STALE_PART = 4 };

/* To scan so many rows takes about as long as to look into the balls of an image. */
enum { IMAGE_ROWS_MIN = 2048 };

bool table_wants_index(const struct table *table, uint64_t rows_min)
{
	return table->spec.index == INDEX_BALLS && table->level_count > 0 &&
	       table->levels[0]->rows >= rows_min && table->levels[0]->rows <= BALLS_ROWS_MAX;
}

bool table_wants_image(const struct table *table, size_t level, size_t file)
{
	assert(level < table->level_count && file < table->levels[level]->file_count);
	const struct base_file_info *info = &table->levels[level]->files[file];
	const uint64_t rows = index_file_rows(info);
	return rows <= BALLS_ROWS_MAX &&
	       (level == 0 ? rows > 0 : rows >= info->deleted + IMAGE_ROWS_MIN);
}

struct indexes *table_images(const struct table *table, size_t level)
{
	assert(level > 0);
	return atomic_load_explicit(&table->levels[level]->images, memory_order_acquire);
}

bool table_images_are_whole(const struct table *table, size_t level, const struct indexes *images)
{
	bool whole = images != NULL;
	for (size_t i = 0; whole && i < images->count; i++) {
		whole = indexes_of(images, i) != NULL || !table_wants_image(table, level, i);
	}
	return whole;
}

size_t table_next_image(const struct table *table)
{
	for (size_t i = 1; i < table->level_count; i++) {
		for (size_t j = 0;
			table_images(table, i) == NULL && j < table->levels[i]->file_count; j++) {
			if (table_wants_image(table, i, j)) {
				return i;
			}
		}
	}
	return 0;
}

struct index_owner table_index_owner(const struct table *table, size_t level, size_t file,
	uint64_t release)
{
	assert(level < table->level_count && file < table->levels[level]->file_count);
	return (struct index_owner){
		.release = release,
		.table = table->number,
		.dim = table->spec.dim,
		.file = &table->levels[level]->files[file],
	};
}

size_t table_indexed_levels(const struct table *table, uint64_t rows_min)
{
	return table_wants_index(table, rows_min) ? table->level_count : 0;
}

static struct indexes *index_of(const struct table *table)
{
	return atomic_load_explicit(&((struct table *)table)->index, memory_order_acquire);
}

bool table_has_index(const struct table *table)
{
	return indexes_lead(index_of(table)) != NULL;
}

struct indexes *table_index_hold(const struct table *table)
{
	struct indexes *indexes = index_of(table);
	indexes_hold(indexes);
	return indexes;
}

void table_index_let_go(struct indexes *indexes)
{
	indexes_close(indexes);
}

bool table_index_lacks(const struct table *table, const struct indexes *indexes, size_t file)
{
	return indexes_alike(indexes, file) == NULL && table_wants_image(table, 0, file);
}

bool table_index_is_partial(const struct table *table)
{
	const struct indexes *indexes = index_of(table);
	bool lacks = false;
	for (size_t i = 0; indexes != NULL && i < indexes->count; i++) {
		lacks = lacks || table_index_lacks(table, indexes, i);
	}
	return lacks;
}

void table_index_file_name(char *out, size_t size, const struct table *table, uint64_t file)
{
	index_file_name(out, size, table->number, file);
}

bool table_index_is_stale(const struct indexes *indexes)
{
	const struct indexes_sums sums = indexes_sum(indexes);
	return sums.changed > sums.rows / STALE_PART;
}

uint64_t table_index_changed_at_most(uint64_t rows)
{
	return rows / STALE_PART;
}

/* ---- what tables share ---- */

static struct index *index_of_number(const struct level_indexes *of, uint64_t number)
{
	for (size_t i = 0; of->indexes != NULL && i < of->level->file_count; i++) {
		if (of->level->files[i].number == number) {
			return indexes_of(of->indexes, i);
		}
	}
	return NULL;
}

struct indexes *level_join_indexes(const struct level *level, const struct level_indexes *of,
	size_t count)
{
	struct index **all = calloc(level->file_count + 1, sizeof(struct index *));
	const struct indexes *before = NULL;
	for (size_t i = 0; all != NULL && i < level->file_count; i++) {
		for (size_t j = 0; j < count && all[i] == NULL; j++) {
			all[i] = index_of_number(&of[j], level->files[i].number);
		}
		index_hold(all[i]);
	}
	for (size_t j = 0; j < count; j++) {
		before = of[j].indexes != NULL ? of[j].indexes : before;
	}
	struct indexes *joined = all == NULL ? NULL : indexes_new(all, level->file_count, before);
	free(all);
	return joined;
}

/* The level of the same number in another table; NULL: there is none. */
static const struct level *level_in(const struct table *table, const struct level *level)
{
	for (size_t i = 0; i < table->level_count; i++) {
		if (table->levels[i]->number == level->number) {
			return table->levels[i];
		}
	}
	return NULL;
}

static void give_images(struct table *table, size_t i, const struct table *from,
	struct indexes *indexes)
{
	const struct level *before = level_in(from, table->levels[i]);
	const struct level_indexes of[] = {
		{table->levels[i], indexes},
		{before, before == NULL ? NULL : atomic_load(&((struct level *)before)->images)},
	};
	struct indexes *images = level_join_indexes(table->levels[i], of, 2);
	indexes_close(indexes);
	if (table_images_are_whole(table, i, images)) {
		atomic_store(&table->levels[i]->images, images);
	} else {
		indexes_close(
			images); /* the indexer opens them, and makes those that are missing */
	}
}

void table_give_indexes(struct table *table, size_t level, const struct table *from,
	struct indexes *indexes)
{
	if (level > 0) {
		give_images(table, level, from, indexes);
		return;
	}
	assert(atomic_load(&table->index) == NULL);
	atomic_store(&table->index, indexes); /* table_share_indexes adds the others */
}

void table_share_indexes(struct table *table, const struct table *from)
{
	if (table->level_count == 0 || from->level_count == 0) {
		return;
	}
	struct indexes *own = atomic_load(&table->index);
	struct indexes *joined = index_of(from);
	if (table->levels[0] == from->levels[0]) {
		indexes_hold(joined);
	} else {
		const struct level_indexes of[] = {
			{table->levels[0], own},
			{from->levels[0], joined},
		};
		joined = level_join_indexes(table->levels[0], of, 2);
	}
	atomic_store(&table->index, joined);
	indexes_close(own);
	for (size_t i = 1; i < table->level_count; i++) {
		if (level_in(from, table->levels[i]) != table->levels[i] &&
			table_images(table, i) == NULL) {
			give_images(table, i, from, NULL);
		}
	}
}
