/* column.h - the columns of a table in a file, and what they are called there.
 *
 * Threads: any; there is no state.
 */
#ifndef TOOLS_FORMAT_COLUMN_H
#define TOOLS_FORMAT_COLUMN_H

#include <stddef.h>

enum column {
	COLUMN_KEYS = 0,
	COLUMN_ROWS,
	COLUMN_TIMES,
	COLUMN_SCALES,        /* of rows of i8 */
	COLUMN_TAGS,          /* of a table with tags */
	COLUMN_WEIGHTS,       /* of sums */
	COLUMN_COUNTS,        /* of histories: how many places are taken */
	COLUMN_HISTORY_TIMES, /* and the times of all of them */
	COLUMNS,
};
/* All names, for a message about another one. */
#define COLUMN_NAMES "keys, rows, times, scales, tags, weights, counts, history_times"

const char *column_name(enum column column);
/* COLUMNS: no column has this name. */
enum column column_find(const char *name, size_t len);

#endif
