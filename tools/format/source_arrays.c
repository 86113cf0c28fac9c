/* source_arrays.c - rows from arrays, one a column: npy files, an npz or a safetensors file. */
#include "tools/format/source.h"

#include "schema/dtype.h"
#include "schema/limits.h"
#include "tools/format/buffer.h"
#include "tools/format/columns.h"
#include "tools/format/format_name.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct source_arrays {
	struct source source; /* first */
	struct source_options options;
	struct columns columns;
	enum dtype dtype;
	size_t row_bytes;
	/* Of one chunk: keys packed, times in milliseconds, and weights that came in f4 as f64. */
	struct buffer key_buffer;
	struct buffer time_buffer;
	struct buffer weight_buffer;
};

static enum status wrong(const struct array *array, struct error *err, const char *what)
{
	return error_set(err, STATUS_BAD_REQUEST, "'%s': %s", array->name, what);
}

/* The array's descr is not one that the table takes. */
static enum status wrong_descr(const struct array *array, struct error *err, const char *allowed)
{
	return error_set(err, STATUS_BAD_REQUEST, "'%s': descr: %c%zu given, %s", array->name,
		array->npy.kind, array->npy.item_bytes, allowed);
}

static bool is_type(const struct array *array, char kind, size_t bytes)
{
	return array->npy.kind == kind && array->npy.item_bytes == bytes;
}

/* ---- keys ---- */

/* Reads an integer of any size. negative: out, whether it is below 0. */
static uint64_t integer_at(const struct npy *npy, const uint8_t *at, bool *negative)
{
	uint64_t value = 0;
	memcpy(&value, at, npy->item_bytes);
	*negative = npy->kind == 'i' && (at[npy->item_bytes - 1] & 0x80) != 0;
	return value;
}

static int64_t signed_of(const struct npy *npy, uint64_t value)
{
	const unsigned unused_bits = (unsigned)(64 - 8 * npy->item_bytes);
	return (int64_t)(value << unused_bits) >> unused_bits;
}

/* How many bytes a string has without the NULs that NumPy pads it with. */
static size_t string_bytes(const struct npy *npy, const uint8_t *at)
{
	size_t len = npy->item_bytes;
	while (len > 0 && at[len - 1] == 0) {
		len--;
	}
	return len;
}

static enum status check_keys(const struct source_arrays *source, struct error *err)
{
	const struct array *keys = &source->columns.arrays[COLUMN_KEYS];
	const bool strings = source->options.spec->key_type == REP_KEY_BYTES;
	char shape[NPY_SHAPE_BYTES];
	if (keys->npy.dims != 1) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': shape: %s given, keys have one dimension", keys->name,
			npy_shape(keys->npy.shape, keys->npy.dims, shape));
	}
	if (strings && keys->npy.kind != 'S') {
		return wrong_descr(keys, err,
			"keys of this table are byte strings: save x.astype('S')");
	}
	if (!strings && keys->npy.kind != 'u' && keys->npy.kind != 'i') {
		return wrong_descr(keys, err,
			"keys of this table are integers: save x.astype('u8')");
	}
	return STATUS_OK;
}

/* Packs one key; i: its row. */
static enum status pack_key(struct source_arrays *source, const uint8_t *at, uint64_t i,
	struct error *err)
{
	const struct array *keys = &source->columns.arrays[COLUMN_KEYS];
	const struct npy *npy = &keys->npy;
	struct buffer *buffer = &source->key_buffer;
	enum status status = STATUS_OK;
	if (npy->kind == 'S') {
		const size_t len = string_bytes(npy, at);
		const uint8_t packed_len = (uint8_t)len;
		if (len == 0 || len > LIMIT_KEY_BYTES) {
			return error_set(err, STATUS_BAD_REQUEST,
				"'%s': key %" PRIu64 " has %zu bytes; 1 to %u are allowed",
				keys->name, i, len, LIMIT_KEY_BYTES);
		}
		status = buffer_add(buffer, &packed_len, 1);
		if (status == STATUS_OK) {
			status = buffer_add(buffer, at, len);
		}
	} else {
		bool negative = false;
		const uint64_t key = integer_at(npy, at, &negative);
		if (negative) {
			return error_set(err, STATUS_BAD_REQUEST,
				"'%s': key %" PRIu64 " is %" PRId64
				"; keys of this table are 0 to 2^64 - 1",
				keys->name, i, signed_of(npy, key));
		}
		status = buffer_add(buffer, &key, sizeof key);
	}
	return status == STATUS_OK ? status : error_set(err, status, "no memory for keys");
}

/* Reads keys, those of u64 in place. Others are read some at a time, since strings may be wide. */
static enum status take_keys(struct source_arrays *source, uint64_t first, uint32_t count,
	struct rep_keys *out, struct error *err)
{
	enum { PIECE_BYTES = 1 << 20 };
	struct array *keys = &source->columns.arrays[COLUMN_KEYS];
	const size_t item_bytes = keys->npy.item_bytes;
	const void *data = NULL;
	if (is_type(keys, 'u', 8)) {
		const enum status status =
			array_read(keys, first * 8, (size_t)count * 8, &data, err);
		*out = (struct rep_keys){REP_KEY_U64, count, data, (size_t)count * 8};
		return status;
	}
	const uint64_t some = PIECE_BYTES / item_bytes;
	assert(some > 0); /* readers bound the width */
	const uint64_t end = first + count;
	source->key_buffer.len = 0;
	for (uint64_t at = first; at < end;) {
		const size_t n = (size_t)(end - at < some ? end - at : some);
		enum status status = array_read(keys, at * item_bytes, n * item_bytes, &data, err);
		for (size_t i = 0; i < n && status == STATUS_OK; i++) {
			status = pack_key(source, (const uint8_t *)data + i * item_bytes, at + i,
				err);
		}
		if (status != STATUS_OK) {
			return status;
		}
		at += n;
	}
	*out = (struct rep_keys){keys->npy.kind == 'S' ? REP_KEY_BYTES : REP_KEY_U64, count,
		source->key_buffer.data, source->key_buffer.len};
	return STATUS_OK;
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
		return wrong_descr(rows, err,
			"rows are f4, f2, u2 (bf16), i1 (i8, with scales), u1 (packed bits) or, of sums, f8: save x.astype('f4')");
	}
	if (source->dtype == DTYPE_F64 && spec->kind != REP_CR) {
		return wrong_descr(rows, err,
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
	{COLUMN_WEIGHTS, 'f', 8}};
enum { OTHERS = sizeof others / sizeof others[0] };

/* Whether they are weights in f4, which were all that there were once. */
static bool is_narrow(enum column number, const struct array *column)
{
	return number == COLUMN_WEIGHTS && is_type(column, 'f', sizeof(float));
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
	if (!is_type(column, kind, bytes) && !is_narrow(others[i].column, column)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': descr: %c%zu given, this column is %c%zu: save x.astype('%c%zu')",
			column->name, column->npy.kind, column->npy.item_bytes, kind, bytes, kind,
			bytes);
	}
	if (column->npy.dims != 1 || column->npy.shape[0] != count) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': shape: %s given, [%" PRIu64 "] is as many as there are keys",
			column->name, npy_shape(column->npy.shape, column->npy.dims, shape), count);
	}
	return STATUS_OK;
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
	if (arrays[COLUMN_WEIGHTS].name != NULL && source->options.spec->kind != REP_CR) {
		return wrong(&arrays[COLUMN_WEIGHTS], err, "only tables of kind cr have weights");
	}
	enum status status = STATUS_OK;
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
	const size_t bytes = column == COLUMN_ROWS ? source->row_bytes : array->npy.item_bytes;
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
	enum status status = take_keys(source, first, count, &out->keys, err);
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
	enum status status = open_columns(source, format, err);
	if (status == STATUS_OK) {
		status = check_keys(source, err);
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
