/* covariance.c - the cross-covariance of two views, a few rows of it at a time. */
#include "tools/statistics/covariance.h"

#include <assert.h>
#include <cblas.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* Rows of C that are in memory at once. */
enum { TILE_ROWS = 64 };

/* Subtracts from each element the mean of its column. `means` has room for one a column. */
static void centre(const struct matrix *matrix, double *means, double *centred)
{
	for (size_t column = 0; column < matrix->columns; column++) {
		means[column] = 0;
	}
	for (size_t row = 0; row < matrix->rows; row++) {
		const float *from = matrix->data + row * matrix->stride;
		for (size_t column = 0; column < matrix->columns; column++) {
			means[column] += from[column];
		}
	}
	for (size_t column = 0; column < matrix->columns; column++) {
		means[column] /= (double)matrix->rows;
	}
	for (size_t row = 0; row < matrix->rows; row++) {
		const float *from = matrix->data + row * matrix->stride;
		double *to = centred + row * matrix->columns;
		for (size_t column = 0; column < matrix->columns; column++) {
			to[column] = from[column] - means[column];
		}
	}
}

static double sum_abs(const double *values, size_t count)
{
	double sum = 0;
	for (size_t i = 0; i < count; i++) {
		sum += fabs(values[i]);
	}
	return sum;
}

/* The memory of one call. */
struct room {
	double *a;    /* owned; centred */
	double *b;    /* owned; centred */
	double *tile; /* owned; TILE_ROWS x columns of b; used for the means before that */
};

static double mean_abs(const struct matrix *a, const struct matrix *b, const struct room *room)
{
	const int columns_a = (int)a->columns;
	const int columns_b = (int)b->columns;
	const double scale = 1.0 / (double)(a->rows - 1);
	double sum = 0;
	for (int first = 0; first < columns_a; first += TILE_ROWS) {
		const int count = columns_a - first < TILE_ROWS ? columns_a - first : TILE_ROWS;
		cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, count, columns_b, (int)a->rows,
			scale, room->a + first, columns_a, room->b, columns_b, 0, room->tile,
			columns_b);
		sum += sum_abs(room->tile, (size_t)count * b->columns);
	}
	return sum / (double)a->columns / (double)b->columns;
}

enum status covariance_mean_abs(const struct matrix *a, const struct matrix *b, double *out)
{
	assert(a->rows == b->rows && a->rows > 1);
	assert(a->columns > 0 && b->columns > 0);
	assert(a->stride >= a->columns && b->stride >= b->columns);
	const size_t widest = a->columns > b->columns ? a->columns : b->columns;
	const struct room room = {
		.a = malloc(a->rows * a->columns * sizeof(double)),
		.b = malloc(b->rows * b->columns * sizeof(double)),
		.tile = malloc(TILE_ROWS * widest * sizeof(double)),
	};
	const bool all = room.a != NULL && room.b != NULL && room.tile != NULL;
	if (all) {
		centre(a, room.tile, room.a);
		centre(b, room.tile, room.b);
		*out = mean_abs(a, b, &room);
	}
	free(room.a);
	free(room.b);
	free(room.tile);
	return all ? STATUS_OK : STATUS_NO_MEMORY;
}
