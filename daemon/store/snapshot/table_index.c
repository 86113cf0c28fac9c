/* table_index.c - what a table tells its index. */
#include "daemon/store/snapshot/table_index.h"

#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/snapshot.h"

#include <assert.h>

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

bool table_wants_image(const struct table *table, size_t level)
{
	assert(level > 0 && level < table->level_count);
	return table->levels[level]->rows >= IMAGE_ROWS_MIN &&
	       level_file_rows(table->levels[level]) <= BALLS_ROWS_MAX;
}

struct index *table_image(const struct table *table, size_t level)
{
	struct index *image =
		atomic_load_explicit(&table->levels[level]->image, memory_order_acquire);
	return image != NULL && index_is_sound(image) ? image : NULL;
}

size_t table_next_image(const struct table *table)
{
	for (size_t i = 1; i < table->level_count; i++) {
		if (atomic_load(&table->levels[i]->image) == NULL && table_wants_image(table, i)) {
			return i;
		}
	}
	return 0;
}

struct index_owner table_index_owner(const struct table *table, size_t level, uint64_t release)
{
	const struct level *of = level < table->level_count ? table->levels[level] : NULL;
	return (struct index_owner){
		.release = release,
		.table = table->number,
		.rows = of == NULL ? 0 : level_file_rows(of),
		.dim = table->spec.dim,
		.files = of == NULL ? NULL : of->files,
		.file_count = of == NULL ? 0 : of->file_count,
	};
}

bool table_index_file_name(char *out, size_t size, const struct table *table, size_t level)
{
	const struct index_owner owner = table_index_owner(table, level, 0);
	return index_file_name(out, size, &owner);
}

void table_index_file_name_of(char *out, size_t size, const struct table *table, uint64_t newest)
{
	index_file_name_of(out, size, table->number, newest);
}

size_t table_indexed_levels(const struct table *table, uint64_t rows_min)
{
	return table_wants_index(table, rows_min) ? table->level_count : 0;
}

static struct index *index_of(const struct table *table)
{
	return atomic_load_explicit(&((struct table *)table)->index, memory_order_acquire);
}

bool table_has_index(const struct table *table)
{
	return index_of(table) != NULL;
}

struct index *table_index_hold(const struct table *table)
{
	struct index *index = index_of(table);
	index_hold(index);
	return index;
}

void table_index_let_go(struct index *index)
{
	index_close(index);
}

bool table_index_is_damaged(const struct table *table)
{
	const struct index *index = index_of(table);
	return index != NULL && !index_is_sound(index);
}

bool table_index_is_stale(const struct index *index)
{
	return table_index_is_stale_at(index->changed, index->balls.rows);
}

bool table_index_is_stale_at(uint64_t changed, uint64_t rows)
{
	return changed > rows / STALE_PART;
}
