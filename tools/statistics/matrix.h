/* matrix.h - rows of f32 in memory, as the statistics take them. */
#ifndef TOOLS_STATISTICS_MATRIX_H
#define TOOLS_STATISTICS_MATRIX_H

#include <assert.h>
#include <stddef.h>

/* A value that borrows its elements: a whole sample, or one view of each of its rows. */
struct matrix {
	const float *data;
	size_t rows;
	size_t columns;
	size_t stride; /* elements from a row to the next, >= columns */
};

/* Columns [first, first + columns) of each row. */
static inline struct matrix matrix_columns(const struct matrix *whole, size_t first, size_t columns)
{
	assert(first <= whole->columns && columns <= whole->columns - first);
	return (struct matrix){whole->data + first, whole->rows, columns, whole->stride};
}

#endif
