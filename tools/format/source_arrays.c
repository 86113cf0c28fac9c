/* source_arrays.c - rows from arrays, one a column: npy files, an npz or a safetensors file. */
#include "tools/format/source_arrays.h"

#include "schema/dtype.h"
#include "schema/limits.h"
#include "tools/format/format_name.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum status wrong(const struct array *array, struct error *err, const char *what)
{
	return error_set(err, STATUS_BAD_REQUEST, "'%s': %s", array->name, what);
}

/* ---- rows ---- */

static enum dtype dtype_of_array(const struct npy *npy)
{
	static const struct {
		size_t bytes;
		enum dtype dtype;
		char kind;
	} types[] = {{8, DTYPE_F64, 'f'}, {4, DTYPE_F32, 'f'}, {2, DTYPE_F16, 'f'},
		{2, DTYPE_BF16, 'u'}, {1, DTYPE_I8, 'i'}, {1, DTYPE_BIT, 'u'}};
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		if (npy->kind == types[i].kind && npy->item_bytes == types[i].bytes) {
			return types[i].dtype;
		}
	}
	return DTYPE_NONE;
}

static enum status check_rows(struct source_arrays *source, struct error *err)
{
	const struct rep_table_spec *spec = source->options.spec;
	const struct array *keys = &source->columns.arrays[COLUMN_KEYS];
	const struct array *rows = &source->columns.arrays[COLUMN_ROWS];
	const struct npy *npy = &rows->npy;
	char shape[NPY_SHAPE_BYTES];
	source->dtype = dtype_of_array(npy);
	if (source->dtype == DTYPE_NONE) {
		return source_wrong_descr(rows, err,
			"rows are f4, f2, u2 (bf16), i1 (i8, with scales), u1 (packed bits) or, of sums, f8: save x.astype('f4')");
	}
	if (source->dtype == DTYPE_F64 && spec->kind != REP_CR) {
		return source_wrong_descr(rows, err,
			"f8 rows are sums, which only tables of kind cr take: save x.astype('f4')");
	}
	if (!dtype_convertible(source->dtype, (enum dtype)spec->dtype)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': descr: %s rows do not convert into %s, which the table holds",
			rows->name, dtype_name(source->dtype), dtype_name((enum dtype)spec->dtype));
	}
	source->row_bytes = dtype_row_bytes(source->dtype, spec->dim, spec->views);
	size_t elements = source->row_bytes / npy->item_bytes;
	bool flat = npy->dims == 2 && npy->shape[1] == elements;
	bool viewed = npy->dims == 3 && npy->shape[1] == spec->views &&
		      npy->shape[2] == elements / spec->views;
	if (!flat && !viewed) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': shape: %s given, rows of this table are [n, %zu] or [n, %u, %zu]",
			rows->name, npy_shape(npy->shape, npy->dims, shape), elements, spec->views,
			elements / spec->views);
	}
	if (npy->shape[0] != keys->npy.shape[0]) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': shape: %" PRIu64 " rows, but '%s' has %" PRIu64 " keys", rows->name,
			npy->shape[0], keys->name, keys->npy.shape[0]);
	}
	return STATUS_OK;
}

/* ---- other columns ---- */

/* What these columns are. */
static const struct {
	enum column column;
	char kind;
	size_t bytes;
} others[] = {{COLUMN_SCALES, 'f', 4}, {COLUMN_TIMES, 'i', 8}, {COLUMN_TAGS, 'u', 8},
	{COLUMN_WEIGHTS, 'f', 8}, {COLUMN_COUNTS, 'u', 4}, {COLUMN_HISTORY_TIMES, 'i', 8}};
enum { OTHERS = sizeof others / sizeof others[0] };

/* Whether they are weights in f4, which were all that there were once. */
static bool is_narrow(enum column number, const struct array *column)
{
	return number == COLUMN_WEIGHTS && source_is_type(column, 'f', sizeof(float));
}

static enum status check_column(const struct source_arrays *source, size_t i, struct error *err)
{
	const struct array *column = &source->columns.arrays[others[i].column];
	const char kind = others[i].kind;
	const size_t bytes = others[i].bytes;
	char shape[NPY_SHAPE_BYTES];
	const uint64_t count = source->columns.arrays[COLUMN_KEYS].npy.shape[0];
	if (column->name == NULL) {
		return STATUS_OK;
	}
	if (!source_is_type(column, kind, bytes) && !is_narrow(others[i].column, column)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': descr: %c%zu given, this column is %c%zu: save x.astype('%c%zu')",
			column->name, column->npy.kind, column->npy.item_bytes, kind, bytes, kind,
			bytes);
	}
	const uint64_t places = source->options.spec->history;
	if (others[i].column == COLUMN_HISTORY_TIMES) {
		const bool is_right = column->npy.dims == 2 && column->npy.shape[0] == count &&
				      column->npy.shape[1] == places;
		return is_right ? STATUS_OK
				: error_set(err, STATUS_BAD_REQUEST,
					  "'%s': shape: %s given, [%" PRIu64 ", %" PRIu64
					  "] allowed: the places of each key",
					  column->name,
					  npy_shape(column->npy.shape, column->npy.dims, shape),
					  count, places);
	}
	if (column->npy.dims != 1 || column->npy.shape[0] != count) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': shape: %s given, [%" PRIu64 "] is as many as there are keys",
			column->name, npy_shape(column->npy.shape, column->npy.dims, shape), count);
	}
	return STATUS_OK;
}

/* Histories come with their counts and times, other rows without. */
static enum status check_history_columns(const struct source_arrays *source, struct error *err)
{
	const struct array *arrays = source->columns.arrays;
	const bool has_history = source->options.spec->history != 0;
	for (size_t i = COLUMN_COUNTS; i <= COLUMN_HISTORY_TIMES; i++) {
		if (!has_history && arrays[i].name != NULL) {
			return wrong(&arrays[i], err, "this table has no histories");
		}
		if (has_history && arrays[i].name == NULL) {
			return wrong(&arrays[COLUMN_ROWS], err,
				"rows of this table are histories, and come with counts (--counts) and "
				"history_times (--history-times); append adds single vectors");
		}
	}
	return has_history && arrays[COLUMN_TIMES].name != NULL
		       ? wrong(&arrays[COLUMN_TIMES], err,
				 "a history has the time of its newest vector (history_times)")
		       : STATUS_OK;
}

static enum status check_columns(const struct source_arrays *source, struct error *err)
{
	const struct array *arrays = source->columns.arrays;
	bool i8 = source->dtype == DTYPE_I8;
	if (i8 && arrays[COLUMN_SCALES].name == NULL) {
		return wrong(&arrays[COLUMN_ROWS], err,
			"i8 rows need scales (--scales), one f4 a row");
	}
	if (!i8 && arrays[COLUMN_SCALES].name != NULL) {
		return wrong(&arrays[COLUMN_SCALES], err, "only i8 rows have scales");
	}
	if (arrays[COLUMN_TAGS].name != NULL && !source->options.spec->tags) {
		return wrong(&arrays[COLUMN_TAGS], err, "this table has no tags");
	}
	if (arrays[COLUMN_WEIGHTS].name != NULL &&
		(source->options.spec->kind != REP_CR || source->options.spec->history != 0)) {
		return wrong(&arrays[COLUMN_WEIGHTS], err,
			"only tables of kind cr have weights, and none with a history");
	}
	enum status status = check_history_columns(source, err);
	for (size_t i = 0; i < OTHERS && status == STATUS_OK; i++) {
		status = check_column(source, i, err);
	}
	return status;
}

/* ---- handing out ---- */

/* Reads a slice of a column that is not keys. */
static enum status take(struct source_arrays *source, enum column column, uint64_t first,
	uint32_t count, const void **out, struct error *err)
{
	struct array *array = &source->columns.arrays[column];
	const size_t each = column == COLUMN_HISTORY_TIMES ? source->options.spec->history : 1;
	const size_t bytes =
		column == COLUMN_ROWS ? source->row_bytes : array->npy.item_bytes * each;
	return array->name == NULL ? STATUS_OK
				   : array_read(array, first * bytes, count * bytes, out, err);
}

/* Turns times into milliseconds, in memory of our own. */
static enum status take_times(struct source_arrays *source, uint64_t first, uint32_t count,
	const int64_t **out, struct error *err)
{
	const struct array *times = &source->columns.arrays[COLUMN_TIMES];
	const void *given = NULL;
	enum status status = take(source, COLUMN_TIMES, first, count, &given, err);
	if (status != STATUS_OK || given == NULL) {
		return status;
	}
	char what[256];
	source->time_buffer.len = 0;
	status = buffer_add(&source->time_buffer, given, count * sizeof(int64_t));
	if (status != STATUS_OK) {
		return error_set(err, status, "no memory for the times of %u rows", count);
	}
	snprintf(what, sizeof what, "'%s'", times->name);
	int64_t *own = (int64_t *)(void *)source->time_buffer.data;
	*out = own;
	return row_times_take(&source->options.time, own, count, what, first, err);
}

/* Weights as f64, in memory of our own if they come in f4. */
static enum status take_weights(struct source_arrays *source, uint64_t first, uint32_t count,
	const void **out, struct error *err)
{
	enum status status = take(source, COLUMN_WEIGHTS, first, count, out, err);
	if (status == STATUS_OK && *out != NULL &&
		is_narrow(COLUMN_WEIGHTS, &source->columns.arrays[COLUMN_WEIGHTS])) {
		source->weight_buffer.len = 0;
		status = buffer_add_widened(&source->weight_buffer, *out, count);
		*out = source->weight_buffer.data;
		if (status != STATUS_OK) {
			error_set(err, status, "no memory for the weights of %u rows", count);
		}
	}
	return status;
}

/* The same of histories, and how many places are taken; the times of the others become 0. */
static enum status take_histories(struct source_arrays *source, uint64_t first,
	struct rep_rows *out, struct error *err)
{
	const uint32_t count = out->keys.count;
	const size_t history = source->options.spec->history;
	const void *counts = NULL;
	const void *times = NULL;
	char what[256];
	enum status status = take(source, COLUMN_COUNTS, first, count, &counts, err);
	if (status == STATUS_OK) {
		status = take(source, COLUMN_HISTORY_TIMES, first, count, &times, err);
	}
	if (status != STATUS_OK || counts == NULL) {
		return status;
	}
	source->place_buffer.len = 0;
	status = buffer_add(&source->place_buffer, times, count * history * sizeof(int64_t));
	if (status != STATUS_OK) {
		return error_set(err, status, "no memory for the times of %u rows", count);
	}
	snprintf(what, sizeof what, "'%s'", source->columns.arrays[COLUMN_HISTORY_TIMES].name);
	out->history = history;
	out->history_counts = counts;
	out->history_times = (const int64_t *)(const void *)source->place_buffer.data;
	return source_take_histories(out, &source->options, what, first, err);
}

static enum status slice(struct source_arrays *source, uint64_t first, uint32_t count,
	struct rep_rows *out, struct error *err)
{
	const void *rows = NULL;
	const void *scales = NULL;
	const void *tags = NULL;
	const void *weights = NULL;
	*out = (struct rep_rows){
		.dtype = (enum rep_dtype)source->dtype,
		.allow_nonfinite = source->options.allow_nonfinite,
		.any_time = source->options.time.any,
	};
	enum status status = source_keys_take(source, first, count, &out->keys, err);
	if (status == STATUS_OK) {
		status = take(source, COLUMN_ROWS, first, count, &rows, err);
	}
	if (status == STATUS_OK) {
		status = take(source, COLUMN_SCALES, first, count, &scales, err);
	}
	if (status == STATUS_OK) {
		status = take_times(source, first, count, &out->times, err);
	}
	if (status == STATUS_OK) {
		status = take(source, COLUMN_TAGS, first, count, &tags, err);
	}
	if (status == STATUS_OK) {
		status = take_weights(source, first, count, &weights, err);
	}
	if (status == STATUS_OK) {
		status = take_histories(source, first, out, err);
	}
	out->rows = rows;
	out->scales = scales;
	out->tags = tags;
	out->weights = weights;
	return status;
}

static uint32_t chunk_at(const struct source_arrays *source, uint64_t first)
{
	const uint64_t count = source->columns.arrays[COLUMN_KEYS].npy.elements;
	assert(first <= count);
	uint64_t left = count - first;
	return left < source->options.chunk_rows ? (uint32_t)left : source->options.chunk_rows;
}

static enum status next(struct source *base, struct rep_rows *out, struct error *err)
{
	struct source_arrays *source = (struct source_arrays *)base;
	uint32_t count = chunk_at(source, base->done);
	if (count == 0) {
		*out = (struct rep_rows){0};
		return STATUS_OK;
	}
	enum status status = slice(source, base->done, count, out, err);
	if (status != STATUS_OK) {
		return status;
	}
	base->done += count;
	/* One byte of each page: rows are not copied, and are to be there when they are sent. */
	enum { PAGE_BYTES = 4096 };
	const volatile uint8_t *rows = out->rows;
	assert(rows != NULL);
	for (size_t at = 0; at < count * source->row_bytes; at += PAGE_BYTES) {
		(void)rows[at];
	}
	return mapping_check(err);
}

/* Checks every value of every row, before anything is sent. */
static enum status check_values(struct source_arrays *source, struct error *err)
{
	char what[256];
	snprintf(what, sizeof what, "'%s'", source->columns.arrays[COLUMN_ROWS].name);
	for (uint64_t first = 0; first < source->columns.arrays[COLUMN_KEYS].npy.elements;) {
		struct rep_rows rows;
		uint32_t count = chunk_at(source, first);
		enum status status = slice(source, first, count, &rows, err);
		if (status == STATUS_OK) {
			status = source_check(&rows, &source->options, what, first, err);
		}
		if (status != STATUS_OK) {
			return status;
		}
		if (mapping_check(err) != STATUS_OK) {
			return STATUS_BAD_REQUEST;
		}
		source->source.content =
			source_content(source->source.content, &rows, count * source->row_bytes);
		first += count;
	}
	return STATUS_OK;
}

static void close_arrays(struct source *base)
{
	struct source_arrays *source = (struct source_arrays *)base;
	columns_close(&source->columns);
	buffer_fini(&source->key_buffer);
	buffer_fini(&source->time_buffer);
	buffer_fini(&source->weight_buffer);
	buffer_fini(&source->place_buffer);
	free(source);
}

static enum status open_columns(struct source_arrays *source, enum format format, struct error *err)
{
	const struct source_options *options = &source->options;
	if (format == FORMAT_NPZ) {
		return columns_open_npz(options->path, &source->columns, err);
	}
	if (format == FORMAT_SAFETENSORS) {
		return columns_open_safetensors(options->path,
			options->spec->key_type == REP_KEY_BYTES, &source->columns, err);
	}
	return columns_open_npy(options, &source->columns, err);
}

static enum status open_source(const struct source_options *options, enum format format,
	struct source **out, struct error *err)
{
	struct source_arrays *source = calloc(1, sizeof *source);
	if (source == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for an import");
	}
	source->source = (struct source){.next = next, .close = close_arrays};
	source->options = *options;
	source->spec = *options->spec;
	source->options.spec = &source->spec;
	enum status status = open_columns(source, format, err);
	if (status == STATUS_OK) {
		status = source_keys_check(source, err);
	}
	if (status == STATUS_OK) {
		status = check_rows(source, err);
	}
	if (status == STATUS_OK) {
		status = check_columns(source, err);
	}
	if (status == STATUS_OK) {
		status = check_values(source, err);
	}
	if (status != STATUS_OK) {
		close_arrays(&source->source);
		return status;
	}
	source->source.total = source->columns.arrays[COLUMN_KEYS].npy.elements;
	*out = &source->source;
	return STATUS_OK;
}

enum status source_open_npy(const struct source_options *options, struct source **out,
	struct error *err)
{
	return open_source(options, FORMAT_NPY, out, err);
}

enum status source_open_npz(const struct source_options *options, struct source **out,
	struct error *err)
{
	return open_source(options, FORMAT_NPZ, out, err);
}

enum status source_open_safetensors(const struct source_options *options, struct source **out,
	struct error *err)
{
	return open_source(options, FORMAT_SAFETENSORS, out, err);
}
