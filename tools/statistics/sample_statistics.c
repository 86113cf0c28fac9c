/* sample_statistics.c - computes all statistics of a sample of rows. */
#include "tools/statistics/sample_statistics.h"

#include "tools/statistics/covariance.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* ---- columns ---- */

static void find_constant(const struct matrix *rows, struct sample_statistics *out)
{
	for (size_t column = 0; column < rows->columns; column++) {
		out->constant[column] = true;
	}
	for (size_t row = 1; row < rows->rows; row++) {
		const float *elements = rows->data + row * rows->stride;
		for (size_t column = 0; column < rows->columns; column++) {
			out->constant[column] &= elements[column] == rows->data[column];
		}
	}
	for (size_t column = 0; column < rows->columns; column++) {
		out->constant_count += out->constant[column];
	}
}

static enum status look_at_columns(const struct matrix *rows, struct sample_statistics *out)
{
	double *sums = calloc(rows->columns, sizeof *sums);
	if (sums == NULL) {
		return STATUS_NO_MEMORY;
	}
	for (size_t row = 0; row < rows->rows; row++) {
		const float *elements = rows->data + row * rows->stride;
		for (size_t column = 0; column < rows->columns; column++) {
			sums[column] += elements[column];
		}
	}
	double sum = 0;
	for (size_t column = 0; column < rows->columns; column++) {
		sum += fabs(sums[column]);
	}
	free(sums);
	out->mean_abs_mean = sum / (double)rows->rows / (double)rows->columns;
	if (rows->rows < 2) {
		return STATUS_OK;
	}
	out->constant = malloc(rows->columns * sizeof *out->constant);
	if (out->constant == NULL) {
		return STATUS_NO_MEMORY;
	}
	find_constant(rows, out);
	return STATUS_OK;
}

/* ---- views ---- */

static enum status look_at_views(const struct matrix *rows, struct sample_statistics *out)
{
	const size_t dim = rows->columns / out->views;
	out->each_view = calloc(out->views, sizeof *out->each_view);
	if (out->each_view == NULL) {
		return STATUS_NO_MEMORY;
	}
	for (uint32_t view = 0; view < out->views; view++) {
		const struct matrix columns = matrix_columns(rows, view * dim, dim);
		struct spectrum spectrum = {0};
		const enum status status = spectrum_of(&columns, &spectrum);
		if (status != STATUS_OK) {
			return status;
		}
		out->each_view[view] = (struct view_statistics){
			.information_abundance = spectrum.information_abundance,
			.effective_rank = spectrum.effective_rank,
		};
		spectrum_fini(&spectrum);
	}
	return STATUS_OK;
}

static enum status look_at_pairs(const struct matrix *rows, struct sample_statistics *out)
{
	const size_t dim = rows->columns / out->views;
	const size_t count = (size_t)out->views * (out->views - 1) / 2;
	double sum = 0;
	out->pairs = calloc(count, sizeof *out->pairs);
	if (out->pairs == NULL) {
		return STATUS_NO_MEMORY;
	}
	for (uint32_t first = 0; first < out->views; first++) {
		const struct matrix a = matrix_columns(rows, first * dim, dim);
		for (uint32_t second = first + 1; second < out->views; second++) {
			const struct matrix b = matrix_columns(rows, second * dim, dim);
			struct pair_statistics *pair = &out->pairs[out->pair_count++];
			*pair = (struct pair_statistics){.first = first, .second = second};
			const enum status status =
				covariance_mean_abs(&a, &b, &pair->mean_abs_covariance);
			if (status != STATUS_OK) {
				return status;
			}
			sum += pair->mean_abs_covariance;
		}
	}
	assert(out->pair_count == count);
	out->pairs_mean = sum / (double)count;
	return STATUS_OK;
}

enum status sample_statistics_of(const struct matrix *rows, uint32_t views,
	enum sample_extent extent, struct sample_statistics *out)
{
	assert(views > 0 && rows->columns % views == 0 && rows->stride >= rows->columns);
	assert(out->constant == NULL && out->each_view == NULL && out->pairs == NULL);
	out->rows = rows->rows;
	out->width = rows->columns;
	out->views = views;
	if (rows->rows == 0) {
		return STATUS_OK;
	}
	enum status status = look_at_columns(rows, out);
	if (status == STATUS_OK) {
		status = spectrum_of(rows, &out->spectrum);
	}
	if (status == STATUS_OK && views > 1) {
		status = look_at_views(rows, out);
	}
	if (status == STATUS_OK && views > 1 && rows->rows > 1 && extent == SAMPLE_WHOLE) {
		status = look_at_pairs(rows, out);
	}
	return status;
}

void sample_statistics_fini(struct sample_statistics *statistics)
{
	free(statistics->constant);
	spectrum_fini(&statistics->spectrum);
	free(statistics->each_view);
	free(statistics->pairs);
	*statistics = (struct sample_statistics){0};
}
