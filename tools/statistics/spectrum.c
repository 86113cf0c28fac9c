/* spectrum.c - singular values by LAPACK, in double precision. */
#include "tools/statistics/spectrum.h"

#include <assert.h>
#include <lapacke.h>
#include <stdlib.h>

static const double energy_share = 0.99;

/* One call of dgesdd. */
struct decomposition {
	const struct matrix *matrix;
	double *elements;  /* owned; a copy, overwritten */
	lapack_int *whole; /* owned; integers that dgesdd works in */
	double *values;    /* owned; room for min(rows, columns) */
};

/* Calls dgesdd for the values alone, without vectors. LAPACK expects columns first, so it sees the
 * matrix transposed, which has the same singular values. With work_len -1 it only puts into *work
 * how long `work` has to be. */
static lapack_int decompose(const struct decomposition *task, double *work, lapack_int work_len)
{
	const lapack_int columns = (lapack_int)task->matrix->columns;
	return LAPACKE_dgesdd_work(LAPACK_COL_MAJOR, 'N', columns, (lapack_int)task->matrix->rows,
		task->elements, columns, task->values, NULL, 1, NULL, 1, work, work_len,
		task->whole);
}

static double *copy_elements(const struct matrix *matrix)
{
	double *elements = malloc(matrix->rows * matrix->columns * sizeof *elements);
	for (size_t row = 0; elements != NULL && row < matrix->rows; row++) {
		const float *from = matrix->data + row * matrix->stride;
		double *to = elements + row * matrix->columns;
		for (size_t column = 0; column < matrix->columns; column++) {
			to[column] = from[column];
		}
	}
	return elements;
}

/* Computes the figures from the values, which stand largest first. */
static void describe(struct spectrum *spectrum)
{
	double sum = 0;
	double energy = 0;
	for (size_t i = 0; i < spectrum->count; i++) {
		sum += spectrum->values[i];
		energy += spectrum->values[i] * spectrum->values[i];
	}
	if (energy == 0) {
		return;
	}
	assert(spectrum->values[0] > 0 && spectrum->values[0] <= sum);
	spectrum->information_abundance = sum / spectrum->values[0];
	double held = 0;
	while (spectrum->effective_rank < spectrum->count && held < energy_share * energy) {
		const double value = spectrum->values[spectrum->effective_rank++];
		held += value * value;
	}
}

static enum status find_values(const struct decomposition *task)
{
	double need = 0;
	lapack_int info = decompose(task, &need, -1);
	if (info != 0) {
		return STATUS_INTERNAL;
	}
	double *work = malloc((size_t)need * sizeof *work);
	if (work == NULL) {
		return STATUS_NO_MEMORY;
	}
	info = decompose(task, work, (lapack_int)need);
	free(work);
	return info == 0 ? STATUS_OK : STATUS_INTERNAL;
}

enum status spectrum_of(const struct matrix *matrix, struct spectrum *out)
{
	enum { WHOLE_PER_VALUE = 8 };
	assert(matrix->rows > 0 && matrix->columns > 0 && matrix->stride >= matrix->columns);
	const size_t count = matrix->rows < matrix->columns ? matrix->rows : matrix->columns;
	const struct decomposition task = {
		.matrix = matrix,
		.elements = copy_elements(matrix),
		.whole = malloc(count * WHOLE_PER_VALUE * sizeof(lapack_int)),
		.values = malloc(count * sizeof(double)),
	};
	enum status status = STATUS_NO_MEMORY;
	if (task.elements != NULL && task.whole != NULL && task.values != NULL) {
		status = find_values(&task);
	}
	free(task.elements);
	free(task.whole);
	if (status != STATUS_OK) {
		free(task.values);
		return status;
	}
	*out = (struct spectrum){.values = task.values, .count = count};
	describe(out);
	return STATUS_OK;
}

void spectrum_fini(struct spectrum *spectrum)
{
	free(spectrum->values);
	*spectrum = (struct spectrum){0};
}
