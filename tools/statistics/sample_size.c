/* sample_size.c - bounds of the sample that statistics are made of. */
#include "tools/statistics/sample_size.h"

#include <assert.h>
#include <stddef.h>

/* Floating-point operations, as counted below. With the reference BLAS one core was measured at
 * 4.5e9 to 6e9 of them a second, so this is some 20 seconds. */
static const double work_max = 1e11;

uint64_t sample_row_bytes(uint32_t dim, uint32_t views)
{
	return (uint64_t)dim * views * (sizeof(float) + sizeof(double));
}

uint64_t sample_rows_max(uint32_t dim, uint32_t views)
{
	assert(dim > 0 && views > 0);
	const uint64_t rows = SAMPLE_BYTES_MAX / sample_row_bytes(dim, views);
	return rows > 0 ? rows : 1;
}

/* The work of singular values by way of a bidiagonal matrix. Source: Golub and Van Loan, Matrix
 * Computations, 5.4.8, for a matrix that is not much taller than wide. */
static double spectrum_work(double rows, double columns)
{
	const double few = rows < columns ? rows : columns;
	const double many = rows < columns ? columns : rows;
	return 4 * many * few * few;
}

/* The work of each element of a product, and of centring both views before. */
static double pairs_work(double rows, double dim, double views)
{
	return views * (views - 1) / 2 * rows * dim * (2 * dim + 8);
}

static double work_of(uint64_t rows, uint32_t dim, uint32_t views)
{
	const double count = (double)rows;
	double work = spectrum_work(count, (double)dim * views);
	if (views > 1) {
		work += views * spectrum_work(count, dim) + pairs_work(count, dim, views);
	}
	return work;
}

uint64_t sample_rows_default(uint32_t dim, uint32_t views)
{
	const uint64_t most = sample_rows_max(dim, views);
	uint64_t rows = SAMPLE_ROWS_DEFAULT;
	while (rows > SAMPLE_ROWS_FEW && work_of(rows, dim, views) > work_max) {
		rows -= SAMPLE_ROWS_FEW;
	}
	return rows < most ? rows : most;
}

bool sample_affords_pairs(uint64_t rows, uint32_t dim, uint32_t views)
{
	return pairs_work((double)rows, dim, views) <= work_max;
}
