/* table_index.c - what a table tells its index. */
#include "daemon/store/snapshot/table_index.h"

#include "daemon/store/snapshot/snapshot.h"

bool table_wants_index(const struct table *table, uint64_t rows_min)
{
	return table->spec.index == INDEX_BALLS && table->rows >= rows_min &&
	       table->rows <= BALLS_ROWS_MAX;
}

struct index_owner table_index_owner(const struct table *table, uint64_t release)
{
	return (struct index_owner){
		.release = release,
		.table = table->number,
		.rows = table->rows,
		.dim = table->spec.dim,
		.files = table->files,
		.file_count = table->file_count,
	};
}

bool table_index_file_name(char *out, size_t size, const struct table *table)
{
	const struct index_owner owner = table_index_owner(table, 0);
	return index_file_name(out, size, &owner);
}
