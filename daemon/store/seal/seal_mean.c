/* seal_mean.c - sums up the rows of a table, segment by segment. */
#include "daemon/store/seal/seal_mean.h"

#include "daemon/store/base/base.h"
#include "daemon/store/system/mapfault.h"
#include "daemon/store/system/stop.h"

#include <assert.h>
#include <stdlib.h>

/* Rows are made f32 in blocks of about this size, which stay in the first-level cache. */
enum { BLOCK_BYTES = 16 << 10 };

struct mean {
	const struct table_spec *spec;
	size_t elements;
	double *sums; /* owned */
	float *block; /* owned */
	uint32_t block_rows;
	uint64_t rows; /* that are in the sums */
};

static enum status mean_init(struct mean *mean, const struct table_spec *spec)
{
	const size_t elements = spec_elements(spec);
	const size_t rows = BLOCK_BYTES / (elements * sizeof(float));
	assert(!spec_aggregates(spec) && spec->dtype != DTYPE_BIT); /* such have no mean */
	*mean = (struct mean){.spec = spec,
		.elements = elements,
		.block_rows = rows > 0 ? (uint32_t)rows : 1};
	mean->sums = calloc(elements, sizeof *mean->sums);
	mean->block = malloc(mean->block_rows * elements * sizeof *mean->block);
	return mean->sums == NULL || mean->block == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

static void mean_fini(struct mean *mean)
{
	free(mean->sums);
	free(mean->block);
}

/* Adds `count` rows of the block. One with NaN or infinity in it would be all that is left of the
 * others. */
static void add_block(struct mean *mean, uint32_t count)
{
	const size_t all = count * mean->elements;
	const bool is_finite = dtype_first_nonfinite(DTYPE_F32, mean->block, all) == all;
	for (uint32_t i = 0; i < count; i++) {
		const float *row = mean->block + i * mean->elements;
		if (!is_finite &&
			dtype_first_nonfinite(DTYPE_F32, row, mean->elements) != mean->elements) {
			continue;
		}
		for (size_t j = 0; j < mean->elements; j++) {
			mean->sums[j] += (double)row[j];
		}
		mean->rows++;
	}
}

static enum status add_segment(struct mean *mean, const struct segment *view,
	const struct stop *stop, struct error *err)
{
	const struct table_spec *spec = mean->spec;
	const struct dtype_rows to = {.dtype = DTYPE_F32, .rows = mean->block};
	for (uint32_t first = 0; first < view->rows; first += mean->block_rows) {
		const uint32_t left = view->rows - first;
		const uint32_t count = left < mean->block_rows ? left : mean->block_rows;
		const struct dtype_rows from = {
			.dtype = spec->dtype,
			.rows = (void *)(view->row_data + first * view->row_bytes),
			.scales = view->scales == NULL ? NULL : (void *)(view->scales + first),
		};
		dtype_convert(&to, &from, count, spec->dim, spec->views);
		add_block(mean, count);
	}
	return stop_check(stop, err);
}

/* The mean, over the beginning of the block, which is large enough. */
static enum status keep(struct mean *mean, struct table *table)
{
	for (size_t j = 0; j < mean->elements; j++) {
		const double sum = mean->sums[j];
		mean->block[j] = mean->rows > 0 ? (float)(sum / (double)mean->rows) : 0;
	}
	const struct default_row row = {.dtype = DTYPE_F32,
		.bytes = mean->elements * sizeof(float),
		.row = (const uint8_t *)mean->block};
	return table_set_default(table, &row);
}

enum status seal_mean(struct table *table, const struct stop *stop, struct error *err)
{
	struct mean mean;
	const struct base_set *set = table->bases;
	const unsigned faults = mapfault_count();
	enum status status = mean_init(&mean, &table->spec);
	for (size_t i = 0; status == STATUS_OK && set != NULL && i < set->segment_count; i++) {
		status = add_segment(&mean, &set->segments[i]->view, stop, err);
	}
	if (status == STATUS_OK && mapfault_count() != faults) {
		status = error_set(err, STATUS_CORRUPT,
			"seal: table '%s': its files cannot be read", table->spec.name.text);
	}
	if (status == STATUS_OK) {
		status = keep(&mean, table);
	}
	mean_fini(&mean);
	return status == STATUS_NO_MEMORY ? error_set(err, status, "seal: the mean of table '%s'",
						    table->spec.name.text)
					  : status;
}
