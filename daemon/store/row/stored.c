/* stored.c - rows into and out of the form in which they are stored. */
#include "daemon/store/row/stored.h"

#include "daemon/aggregate/aggregate.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool stored_is_given(const struct table_spec *spec, const struct row_batch *batch)
{
	return batch->dtype == spec->dtype && !spec_aggregates(spec);
}

/* Each row becomes a state: the sum that was given, and behind it the weight, which was given in a
 * column of its own. */
static void take_states(const struct table_spec *spec, const struct row_batch *batch, uint8_t *rows)
{
	assert(spec->dtype == DTYPE_F32); /* of every aggregating table */
	const size_t given_bytes = dtype_row_bytes(batch->dtype, spec->dim, spec->views);
	const size_t row_bytes = spec_row_bytes(spec);
	const size_t sum_bytes = spec_elements(spec) * sizeof(float);
	for (uint32_t i = 0; i < batch->keys.count; i++) {
		uint8_t *row = rows + i * row_bytes;
		const struct dtype_rows to = {.dtype = DTYPE_F32, .rows = row};
		const struct dtype_rows from = {
			.dtype = batch->dtype,
			.rows = (void *)(batch->rows + i * given_bytes),
			.scales = batch->scales == NULL ? NULL
							: (void *)(batch->scales + (size_t)i * 4),
		};
		const float weight = batch_weight(batch, i);
		dtype_convert(&to, &from, 1, spec->dim, spec->views);
		memcpy(row + sum_bytes, &weight, sizeof weight);
	}
}

void stored_take(const struct table_spec *spec, const struct row_batch *batch, uint8_t *rows,
	float *scales)
{
	/* batch_check has said so. */
	assert(batch->keys.type == spec->key_type);
	assert(batch->rows_bytes ==
		batch->keys.count * dtype_row_bytes(batch->dtype, spec->dim, spec->views));
	assert(spec->dtype != DTYPE_I8 || scales != NULL);
	if (spec_aggregates(spec)) {
		take_states(spec, batch, rows);
		return;
	}
	const struct dtype_rows to = {.dtype = spec->dtype, .rows = rows, .scales = scales};
	const struct dtype_rows from = {
		.dtype = batch->dtype,
		.rows = (void *)batch->rows,
		.scales = (void *)batch->scales,
	};
	dtype_convert(&to, &from, batch->keys.count, spec->dim, spec->views);
}

enum status stored_reader_init(struct stored_reader *reader, const struct table_spec *spec,
	enum dtype dtype, bool raw)
{
	*reader = (struct stored_reader){.spec = spec, .dtype = dtype, .raw = raw};
	if (!spec_aggregates(spec) || dtype == DTYPE_F32) {
		return STATUS_OK;
	}
	reader->row = malloc(dtype_row_bytes(DTYPE_F32, spec->dim, spec->views));
	return reader->row == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

void stored_reader_fini(struct stored_reader *reader)
{
	free(reader->row);
	reader->row = NULL;
}

/* Reads a state into f32: the plain sum if that is wanted, else as the table's spec says. */
static void read_state(const struct stored_reader *reader, const uint8_t *state, uint8_t *out)
{
	if (reader->raw) {
		memcpy(out, state, spec_elements(reader->spec) * sizeof(float));
	} else {
		aggregate_read(reader->spec, state, out);
	}
}

void stored_read(const struct stored_reader *reader, const uint8_t *row, const float *scale,
	uint8_t *target, uint8_t *target_scale)
{
	const struct table_spec *spec = reader->spec;
	if (spec_aggregates(spec)) {
		read_state(reader, row, reader->row == NULL ? target : reader->row);
		if (reader->row == NULL) {
			return;
		}
		row = reader->row;
	} else if (reader->dtype == spec->dtype) {
		memcpy(target, row, spec_row_bytes(spec));
		if (target_scale != NULL && scale != NULL) {
			memcpy(target_scale, scale, sizeof *scale);
		}
		return;
	}
	float unwanted;
	const struct dtype_rows to = {
		.dtype = reader->dtype,
		.rows = target,
		.scales = target_scale == NULL ? (void *)&unwanted : target_scale,
	};
	const struct dtype_rows from = {
		.dtype = spec->dtype,
		.rows = (void *)row,
		.scales = (void *)scale,
	};
	dtype_convert(&to, &from, 1, spec->dim, spec->views);
}
