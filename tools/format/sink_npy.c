/* sink_npy.c - dumps to NumPy arrays, one file a column, in the order asked for.
 *
 * Columns are written as they are scanned. For another order they are mapped at the
 * end and written once more, row by row. That needs twice the room on disk, and memory
 * of 8 bytes a row to sort, or 16 to 32 bytes a row to follow a file. Keys of bytes are
 * always written twice, since the width of the longest must be known first.
 */
#include "tools/format/sink.h"

#include "schema/dtype.h"
#include "tools/format/key_order.h"
#include "tools/format/npy.h"
#include "tools/format/output.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct column {
	struct output output;
	char descr[24];
	uint32_t dims;
	uint64_t shape[NPY_DIMS_MAX];
	size_t item_bytes;   /* of one row; 0: keys of bytes, packed */
	size_t header_bytes; /* before the rows; 0: packed */
};

struct sink_npy {
	struct sink sink; /* first */
	struct sink_options options;
	struct column keys; /* open too if an order is wanted but no file of keys */
	struct column rows;
	struct column times;
	struct column scales;
	struct column tags;
	struct column weights;
	uint64_t key_bytes; /* of packed keys written */
};

static const char *descr_of(enum rep_dtype dtype)
{
	switch (dtype) {
	case REP_F32:
		return "<f4";
	case REP_F16:
		return "<f2";
	case REP_BF16:
		return "<u2";
	case REP_I8:
		return "|i1";
	case REP_BIT:
		return "|u1";
	case REP_DTYPE_TABLE:
		break;
	}
	return "";
}

/* ---- columns ---- */

static enum status write_header(struct column *column, struct output *output, uint64_t rows,
	struct error *err)
{
	uint8_t header[NPY_HEADER_BYTES_WRITTEN];
	column->shape[0] = rows;
	column->header_bytes = npy_write_header(column->descr, column->shape, column->dims, header);
	return output_write(output, header, column->header_bytes, err);
}

static enum status open_column(struct column *column, const char *path, const char *descr,
	struct error *err)
{
	if (path == NULL) {
		return STATUS_OK;
	}
	snprintf(column->descr, sizeof column->descr, "%s", descr);
	if (column->dims == 0) {
		column->dims = 1;
	}
	enum status status = output_open(path, &column->output, err);
	if (status == STATUS_OK && column->item_bytes > 0) {
		status = write_header(column, &column->output, 0, err);
	}
	return status;
}

static enum status write_items(struct column *column, const void *data, size_t count,
	struct error *err)
{
	if (column->output.file == NULL || count == 0) {
		return STATUS_OK;
	}
	return output_write(&column->output, data, count * column->item_bytes, err);
}

/* Maps what a column's file holds so far. */
static enum status map_column(const struct column *column, size_t len, const uint8_t **out,
	struct error *err)
{
	*out = NULL;
	if (len == 0) {
		return STATUS_OK;
	}
	void *map = MAP_FAILED;
	if (fflush(column->output.file) == 0) {
		map = mmap(NULL, len, PROT_READ, MAP_SHARED, fileno(column->output.file), 0);
	}
	if (map == MAP_FAILED) {
		return error_set(err, STATUS_IO, "'%s' could not be read again",
			column->output.path);
	}
	*out = map;
	return STATUS_OK;
}

/* Writes the rows that `order` names into a new file, in its order. */
static enum status reorder_column(struct column *column, const struct key_order *order,
	uint64_t scanned, struct error *err)
{
	if (column->output.file == NULL) {
		return STATUS_OK;
	}
	struct output sorted = {0};
	const uint8_t *map = NULL;
	size_t len = column->header_bytes + scanned * column->item_bytes;
	enum status status = map_column(column, len, &map, err);
	if (status == STATUS_OK) {
		status = output_open_beside(&column->output, &sorted, err);
	}
	if (status == STATUS_OK) {
		status = write_header(column, &sorted, order->count, err);
	}
	for (uint64_t i = 0; i < order->count && status == STATUS_OK; i++) {
		assert(order->from[i] < scanned);
		const uint8_t *row =
			map + column->header_bytes + order->from[i] * column->item_bytes;
		status = output_write(&sorted, row, column->item_bytes, err);
	}
	if (map != NULL) {
		munmap((void *)map, len);
	}
	output_abort(&column->output);
	column->output = sorted;
	return status;
}

/* ---- writing ---- */

static enum status write_keys(struct sink_npy *sink, const struct rep_keys *keys, struct error *err)
{
	if (sink->keys.output.file == NULL) {
		return STATUS_OK;
	}
	sink->key_bytes += keys->bytes;
	return output_write(&sink->keys.output, keys->data, keys->bytes, err);
}

static enum status write_npy(struct sink *base, const struct rep_scan *scan, struct error *err)
{
	struct sink_npy *sink = (struct sink_npy *)base;
	size_t n = scan->keys.count;
	enum status status = write_keys(sink, &scan->keys, err);
	if (status == STATUS_OK) {
		status = write_items(&sink->rows, scan->rows, n, err);
	}
	if (status == STATUS_OK) {
		status = write_items(&sink->times, scan->times, n, err);
	}
	if (status == STATUS_OK) {
		status = write_items(&sink->scales, scan->scales, n, err);
	}
	if (status == STATUS_OK) {
		status = write_items(&sink->tags, scan->tags, n, err);
	}
	if (status == STATUS_OK) {
		status = write_items(&sink->weights, scan->weights, n, err);
	}
	base->rows += n;
	return status;
}

/* ---- finishing ---- */

/* Writes the keys in the order, as an array. Packed keys get the width of the longest. */
static enum status finish_keys(struct sink_npy *sink, const struct key_order *order,
	struct error *err)
{
	struct column *column = &sink->keys;
	if (sink->options.keys == NULL) {
		output_abort(&column->output);
		return STATUS_OK;
	}
	if (sink->options.sort == SINK_BY_FILE) {
		/* The keys are those of the file, in its order: the file is copied. */
		struct output copy = {0};
		enum status status = output_open_beside(&column->output, &copy, err);
		if (status == STATUS_OK) {
			status = output_write(&copy, order->file, order->file_bytes, err);
		}
		output_abort(&column->output);
		column->output = copy;
		return status;
	}
	if (column->item_bytes > 0) {
		return order->from == NULL ? STATUS_OK
					   : reorder_column(column, order, sink->sink.rows, err);
	}
	struct output wide = {0};
	size_t width = order->key_bytes_max > 0 ? order->key_bytes_max : 1;
	snprintf(column->descr, sizeof column->descr, "|S%zu", width);
	enum status status = output_open_beside(&column->output, &wide, err);
	if (status == STATUS_OK) {
		status = write_header(column, &wide, order->count, err);
	}
	for (uint64_t i = 0; i < order->count && status == STATUS_OK; i++) {
		uint8_t padded[256] = {0};
		status = key_order_string(order, i, padded, err);
		if (status == STATUS_OK) {
			status = output_write(&wide, padded, width, err);
		}
	}
	output_abort(&column->output);
	column->output = wide;
	return status;
}

static enum status finish_column(struct sink_npy *sink, struct column *column,
	const struct key_order *order, struct error *err)
{
	if (column->output.file == NULL) {
		return STATUS_OK;
	}
	if (order->from != NULL && column != &sink->keys) {
		enum status status = reorder_column(column, order, sink->sink.rows, err);
		if (status != STATUS_OK) {
			return status;
		}
	}
	/* The header was written before the number of rows was known. */
	if (order->from == NULL && column->item_bytes > 0) {
		if (fseek(column->output.file, 0, SEEK_SET) != 0) {
			return error_set(err, STATUS_IO, "'%s' could not be rewound",
				column->output.path);
		}
		return write_header(column, &column->output, order->count, err);
	}
	return STATUS_OK;
}

static enum status finish_columns(struct sink_npy *sink, const struct key_order *order,
	struct error *err)
{
	struct column *columns[] = {&sink->keys, &sink->rows, &sink->times, &sink->scales,
		&sink->tags, &sink->weights};
	size_t count = sizeof columns / sizeof columns[0];
	enum status status = finish_keys(sink, order, err);
	for (size_t i = 0; i < count && status == STATUS_OK; i++) {
		status = finish_column(sink, columns[i], order, err);
	}
	for (size_t i = 0; i < count && status == STATUS_OK; i++) {
		if (columns[i]->output.file != NULL) {
			status = output_commit(&columns[i]->output, err);
		}
	}
	return status;
}

static enum status finish_npy(struct sink *base, struct error *err)
{
	struct sink_npy *sink = (struct sink_npy *)base;
	const uint8_t *keys = NULL;
	size_t header_bytes = sink->keys.header_bytes;
	size_t len = header_bytes + sink->key_bytes;
	bool mapped = sink->keys.output.file != NULL;
	enum status status = mapped ? map_column(&sink->keys, len, &keys, err) : STATUS_OK;
	struct key_order order = {0};
	if (status == STATUS_OK) {
		const struct rep_keys scanned = {sink->options.spec->key_type, 0,
			keys != NULL ? keys + header_bytes : NULL, sink->key_bytes};
		status = key_order_make(&scanned, base->rows, sink->options.sort,
			sink->options.order, &order, err);
	}
	if (status == STATUS_OK) {
		status = finish_columns(sink, &order, err);
		base->rows = order.count;
	}
	key_order_fini(&order);
	if (keys != NULL) {
		munmap((void *)keys, len);
	}
	return status;
}

static void close_npy(struct sink *base)
{
	struct sink_npy *sink = (struct sink_npy *)base;
	output_abort(&sink->keys.output);
	output_abort(&sink->rows.output);
	output_abort(&sink->times.output);
	output_abort(&sink->scales.output);
	output_abort(&sink->tags.output);
	output_abort(&sink->weights.output);
	free(sink);
}

/* Sets the shapes of all columns; rows with views are [n, views, elements]. */
static void set_shapes(struct sink_npy *sink)
{
	const struct rep_table_spec *spec = sink->options.spec;
	size_t element_bytes = dtype_row_bytes((enum dtype)spec->dtype, spec->dim, 1) /
			       (spec->dtype == REP_BIT ? (spec->dim + 7) / 8 : spec->dim);
	size_t view_elements =
		dtype_row_bytes((enum dtype)spec->dtype, spec->dim, 1) / element_bytes;
	sink->rows.item_bytes = dtype_row_bytes((enum dtype)spec->dtype, spec->dim, spec->views);
	if (spec->views > 1) {
		sink->rows.dims = 3;
		sink->rows.shape[1] = spec->views;
		sink->rows.shape[2] = view_elements;
	} else {
		sink->rows.dims = 2;
		sink->rows.shape[1] = view_elements;
	}
	sink->keys.item_bytes = spec->key_type == REP_KEY_U64 ? sizeof(uint64_t) : 0;
	sink->times.item_bytes = sizeof(int64_t);
	sink->scales.item_bytes = sizeof(float);
	sink->tags.item_bytes = sizeof(uint64_t);
	sink->weights.item_bytes = sizeof(float);
}

enum status sink_open_npy(const struct sink_options *options, struct sink **out, struct error *err)
{
	struct sink_npy *sink = calloc(1, sizeof *sink);
	if (sink == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for a dump");
	}
	sink->sink = (struct sink){.write = write_npy, .finish = finish_npy, .close = close_npy};
	sink->options = *options;
	set_shapes(sink);
	/* An order needs the keys, even if no file of keys is wanted. */
	const char *keys = options->keys;
	if (keys == NULL && options->sort != SINK_AS_SCANNED) {
		keys = options->rows;
	}
	enum status status =
		open_column(&sink->rows, options->rows, descr_of(options->spec->dtype), err);
	if (status == STATUS_OK && keys == options->rows) {
		sink->keys.dims = 1;
		status = output_open_beside(&sink->rows.output, &sink->keys.output, err);
	} else if (status == STATUS_OK) {
		status = open_column(&sink->keys, keys, "<u8", err);
	}
	if (status == STATUS_OK) {
		status = open_column(&sink->times, options->times, "<i8", err);
	}
	if (status == STATUS_OK) {
		status = open_column(&sink->scales, options->scales, "<f4", err);
	}
	if (status == STATUS_OK) {
		status = open_column(&sink->tags, options->tags, "<u8", err);
	}
	if (status == STATUS_OK) {
		status = open_column(&sink->weights, options->weights, "<f4", err);
	}
	if (status != STATUS_OK) {
		close_npy(&sink->sink);
		return status;
	}
	*out = &sink->sink;
	return STATUS_OK;
}
