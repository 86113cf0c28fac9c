/* table_index.c - what a table tells its index. */
#include "daemon/store/snapshot/table_index.h"

#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/snapshot.h"

/* When more than a part in STALE_PART of the rows has changed since balls and recalls were found, the
 * recalls may be wrong, and are not promised any more. */
enum { STALE_PART = 4 };

bool table_wants_index(const struct table *table, uint64_t rows_min)
{
	/* Merges give such a table no deltas; one that was adopted may have some. */
	return table->spec.index == INDEX_BALLS && table->rows >= rows_min &&
	       table->rows <= BALLS_ROWS_MAX && table->level_count < 2;
}

struct index_owner table_index_owner(const struct table *table, uint64_t release)
{
	const struct level *base = table->level_count == 0 ? NULL : table->levels[0];
	return (struct index_owner){
		.release = release,
		.table = table->number,
		.rows = table->rows,
		.dim = table->spec.dim,
		.files = base == NULL ? NULL : base->files,
		.file_count = base == NULL ? 0 : base->file_count,
	};
}

bool table_index_file_name(char *out, size_t size, const struct table *table)
{
	const struct index_owner owner = table_index_owner(table, 0);
	return index_file_name(out, size, &owner);
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
