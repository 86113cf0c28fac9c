/* stored.c - rows into and out of the form in which they are stored. */
#include "daemon/store/row/stored.h"

#include "daemon/aggregate/aggregate.h"
#include "daemon/aggregate/history.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool stored_is_given(const struct table_spec *spec, const struct row_batch *batch)
{
	return batch->dtype == spec->dtype && !spec_aggregates(spec) && spec->history == 0;
}

/* Each row becomes a state: the sum that was given, and the weight, which was given in a column of
 * its own. */
static void take_states(const struct table_spec *spec, const struct row_batch *batch, uint8_t *rows)
{
	assert(spec->dtype == DTYPE_F32); /* of every aggregating table */
	const size_t given_bytes = dtype_row_bytes(batch->dtype, spec->dim, spec->views);
	const size_t stored_bytes = spec_stored_bytes(spec);
	for (uint32_t i = 0; i < batch->keys.count; i++) {
		const uint8_t *given = batch->rows + i * given_bytes;
		uint8_t *row = rows + i * stored_bytes;
		const double weight = batch_weight(batch, i);
		if (batch->dtype == DTYPE_F64) {
			aggregate_make(spec, given, weight, row);
			continue;
		}
		const struct dtype_rows to = {.dtype = DTYPE_F32, .rows = row};
		const struct dtype_rows from = {
			.dtype = batch->dtype,
			.rows = (void *)given,
			.scales = batch->scales == NULL ? NULL
							: (void *)(batch->scales + (size_t)i * 4),
		};
		dtype_convert(&to, &from, 1, spec->dim, spec->views);
		aggregate_make(spec, NULL, weight, row);
	}
}

/* Each row becomes a history of the places that are taken. */
static void take_histories(const struct table_spec *spec, const struct row_batch *batch,
	uint8_t *rows)
{
	const size_t given_bytes = dtype_row_bytes(batch->dtype, spec->dim, spec_row_views(spec));
	for (uint32_t i = 0; i < batch->keys.count; i++) {
		const struct dtype_rows vectors = {
			.dtype = batch->dtype,
			.rows = (void *)(batch->rows + i * given_bytes),
			.scales = batch->scales == NULL ? NULL
							: (void *)(batch->scales + (size_t)i * 4),
		};
		history_make(spec, &vectors, batch_history_times(batch, i),
			batch_history_count(batch, i), rows + i * spec_row_bytes(spec));
	}
}

void stored_take(const struct table_spec *spec, const struct row_batch *batch, uint8_t *rows,
	float *scales)
{
	/* batch_check has said so. */
	assert(batch->keys.type == spec->key_type);
	assert(batch->rows_bytes ==
		batch->keys.count * dtype_row_bytes(batch->dtype, spec->dim, spec_row_views(spec)));
	assert(spec->dtype != DTYPE_I8 || scales != NULL);
	if (spec_aggregates(spec)) {
		take_states(spec, batch, rows);
		return;
	}
	if (spec->history != 0) {
		take_histories(spec, batch, rows);
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
	assert(dtype != DTYPE_F64 || (raw && spec_aggregates(spec))); /* no other row has sums */
	if (!spec_aggregates(spec) && dtype == spec->dtype) {
		/* Behind the vectors of a history are their times. */
		reader->same_bytes = dtype_row_bytes(dtype, spec->dim, spec_row_views(spec));
	}
	if (!spec_aggregates(spec) || dtype == DTYPE_F32 || dtype == DTYPE_F64) {
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

/* Reads a state: the plain sum if that is wanted, in f64 or f32, else as the table's spec says, in
 * f32. */
static void read_state(const struct stored_reader *reader, const uint8_t *state, const uint8_t *low,
	uint8_t *out)
{
	if (reader->dtype == DTYPE_F64) {
		aggregate_read_sums(reader->spec, state, low, out);
	} else if (reader->raw) {
		memcpy(out, state, spec_elements(reader->spec) * sizeof(float));
	} else {
		aggregate_read(reader->spec, state, out);
	}
}

void stored_read_otherwise(const struct stored_reader *reader, const struct stored_row *stored,
	uint8_t *target, uint8_t *target_scale)
{
	const struct table_spec *spec = reader->spec;
	const uint8_t *row = stored->data;
	const float *scale = stored->scale;
	if (spec_aggregates(spec)) {
		read_state(reader, row, stored->low, reader->row == NULL ? target : reader->row);
		if (reader->row == NULL) {
			return;
		}
		row = reader->row;
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
	dtype_convert(&to, &from, 1, spec->dim, spec_row_views(spec));
}
