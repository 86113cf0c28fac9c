/* column.c - the names of columns. */
#include "tools/format/column.h"

#include <assert.h>
#include <string.h>

static const char *const names[COLUMNS] = {
	[COLUMN_KEYS] = "keys",
	[COLUMN_ROWS] = "rows",
	[COLUMN_TIMES] = "times",
	[COLUMN_SCALES] = "scales",
	[COLUMN_TAGS] = "tags",
	[COLUMN_WEIGHTS] = "weights",
	[COLUMN_COUNTS] = "counts",
	[COLUMN_HISTORY_TIMES] = "history_times",
};

const char *column_name(enum column column)
{
	assert(column < COLUMNS);
	return names[column];
}

enum column column_find(const char *name, size_t len)
{
	size_t i = 0;
	while (i < COLUMNS && (strlen(names[i]) != len || memcmp(names[i], name, len) != 0)) {
		i++;
	}
	return (enum column)i;
}
