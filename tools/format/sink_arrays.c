/* sink_arrays.c - dumps to NumPy arrays, one file a column, or to one npz or safetensors file, in the
 * order asked for.
 *
 * Columns are written as they are scanned. For another order they are mapped at the
 * end and written once more, row by row. That needs twice the room on disk, and memory
 * of 8 bytes a row to sort, or 16 to 32 bytes a row to follow a file. Keys of bytes are
 * always written twice, since the width of the longest must be known first. One file for all columns
 * is made of them at the end, which needs twice the room, too.
 */
#include "tools/format/sink.h"

#include "schema/dtype.h"
#include "tools/format/archive.h"
#include "tools/format/column.h"
#include "tools/format/format_name.h"
#include "tools/format/key_order.h"
#include "tools/format/npy.h"
#include "tools/format/output.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct column_file {
	struct output output;
	char descr[24];
	uint32_t dims;
	uint64_t shape[NPY_DIMS_MAX];
	size_t item_bytes;   /* of one row; 0: keys of bytes, packed */
	size_t header_bytes; /* before the rows; 0: packed */
};

struct sink_arrays {
	struct sink sink; /* first */
	struct sink_options options;
	enum format format;
	struct output archive; /* all columns in one file; not open: each has a file of its own */
	/* That of keys is open too if an order is wanted but no keys. */
	struct column_file columns[COLUMNS];
	bool has_keys;      /* keys are wanted */
	uint64_t key_bytes; /* of packed keys written */
};

static const char *descr_of(enum rep_dtype dtype)
{
	switch (dtype) {
	case REP_F64:
		return "<f8";
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

static enum status write_header(struct column_file *column, struct output *output, uint64_t rows,
	struct error *err)
{
	uint8_t header[NPY_HEADER_BYTES_WRITTEN];
	column->shape[0] = rows;
	column->header_bytes = npy_write_header(column->descr, column->shape, column->dims, header);
	return output_write(output, header, column->header_bytes, err);
}

static enum status write_items(struct column_file *column, const void *data, size_t count,
	struct error *err)
{
	if (column->output.file == NULL || count == 0) {
		return STATUS_OK;
	}
	return output_write(&column->output, data, count * column->item_bytes, err);
}

/* Maps what a column's file holds so far. */
static enum status map_column(const struct column_file *column, size_t len, const uint8_t **out,
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
static enum status reorder_column(struct column_file *column, const struct key_order *order,
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

static enum status write_keys(struct sink_arrays *sink, const struct rep_keys *keys,
	struct error *err)
{
	struct column_file *column = &sink->columns[COLUMN_KEYS];
	if (column->output.file == NULL) {
		return STATUS_OK;
	}
	sink->key_bytes += keys->bytes;
	return output_write(&column->output, keys->data, keys->bytes, err);
}

static enum status write_rows(struct sink *base, const struct rep_scan *scan, struct error *err)
{
	struct sink_arrays *sink = (struct sink_arrays *)base;
	const void *const given[COLUMNS] = {
		[COLUMN_ROWS] = scan->rows,
		[COLUMN_TIMES] = scan->times,
		[COLUMN_SCALES] = scan->scales,
		[COLUMN_TAGS] = scan->tags,
		[COLUMN_WEIGHTS] = scan->weights,
		[COLUMN_COUNTS] = scan->history_counts,
		[COLUMN_HISTORY_TIMES] = scan->history_times,
	};
	size_t n = scan->keys.count;
	enum status status = write_keys(sink, &scan->keys, err);
	for (size_t i = COLUMN_ROWS; i < COLUMNS && status == STATUS_OK; i++) {
		status = write_items(&sink->columns[i], given[i], n, err);
	}
	base->rows += n;
	return status;
}

/* ---- finishing ---- */

/* Writes the keys in the order, as an array. Packed keys get the width of the longest. */
static enum status finish_keys(struct sink_arrays *sink, const struct key_order *order,
	struct error *err)
{
	struct column_file *column = &sink->columns[COLUMN_KEYS];
	if (!sink->has_keys) {
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

static enum status finish_column(struct sink_arrays *sink, struct column_file *column,
	const struct key_order *order, struct error *err)
{
	if (column->output.file == NULL) {
		return STATUS_OK;
	}
	if (order->from != NULL && column != &sink->columns[COLUMN_KEYS]) {
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

/* Puts the files into their places, or all of them into the archive. */
static enum status commit_columns(struct sink_arrays *sink, struct error *err)
{
	enum status status = STATUS_OK;
	if (sink->archive.file != NULL) {
		struct output *columns[COLUMNS];
		for (size_t i = 0; i < COLUMNS; i++) {
			columns[i] = &sink->columns[i].output;
		}
		status = archive_write(sink->format, &sink->archive, columns, err);
		return status == STATUS_OK ? output_commit(&sink->archive, err) : status;
	}
	for (size_t i = 0; i < COLUMNS && status == STATUS_OK; i++) {
		if (sink->columns[i].output.file != NULL) {
			status = output_commit(&sink->columns[i].output, err);
		}
	}
	return status;
}

static enum status finish_columns(struct sink_arrays *sink, const struct key_order *order,
	struct error *err)
{
	enum status status = finish_keys(sink, order, err);
	for (size_t i = 0; i < COLUMNS && status == STATUS_OK; i++) {
		status = finish_column(sink, &sink->columns[i], order, err);
	}
	return status == STATUS_OK ? commit_columns(sink, err) : status;
}

static enum status finish(struct sink *base, struct error *err)
{
	struct sink_arrays *sink = (struct sink_arrays *)base;
	const struct column_file *column = &sink->columns[COLUMN_KEYS];
	const uint8_t *keys = NULL;
	size_t header_bytes = column->header_bytes;
	size_t len = header_bytes + sink->key_bytes;
	bool mapped = column->output.file != NULL;
	enum status status = mapped ? map_column(column, len, &keys, err) : STATUS_OK;
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

static void close_arrays(struct sink *base)
{
	struct sink_arrays *sink = (struct sink_arrays *)base;
	for (size_t i = 0; i < COLUMNS; i++) {
		output_abort(&sink->columns[i].output);
	}
	output_abort(&sink->archive);
	free(sink);
}

/* ---- opening ---- */

/* Sets the shapes of all columns; rows with views are [n, views, elements]. */
static void set_shapes(struct sink_arrays *sink)
{
	static const char *const descrs[COLUMNS] = {
		[COLUMN_KEYS] = "<u8",
		[COLUMN_TIMES] = "<i8",
		[COLUMN_SCALES] = "<f4",
		[COLUMN_TAGS] = "<u8",
		[COLUMN_WEIGHTS] = "<f8",
		[COLUMN_COUNTS] = "<u4",
		[COLUMN_HISTORY_TIMES] = "<i8",
	};
	const struct rep_table_spec *spec = sink->options.spec;
	size_t element_bytes = dtype_row_bytes((enum dtype)spec->dtype, spec->dim, 1) /
			       (spec->dtype == REP_BIT ? (spec->dim + 7) / 8 : spec->dim);
	size_t view_elements =
		dtype_row_bytes((enum dtype)spec->dtype, spec->dim, 1) / element_bytes;
	for (size_t i = 0; i < COLUMNS; i++) {
		struct column_file *column = &sink->columns[i];
		const char *descr = i == COLUMN_ROWS ? descr_of(spec->dtype) : descrs[i];
		snprintf(column->descr, sizeof column->descr, "%s", descr);
		column->dims = 1;
		/* "<f4" and "<u8" end in the bytes of an element. */
		column->item_bytes = (size_t)(descr[2] - '0');
	}
	if (spec->key_type == REP_KEY_BYTES) {
		sink->columns[COLUMN_KEYS].item_bytes = 0;
	}
	struct column_file *rows = &sink->columns[COLUMN_ROWS];
	rows->item_bytes = dtype_row_bytes((enum dtype)spec->dtype, spec->dim, spec->views);
	const bool has_views = spec->views > 1 || spec->history != 0;
	rows->dims = has_views ? 3 : 2;
	rows->shape[1] = has_views ? spec->views : view_elements;
	rows->shape[2] = view_elements;
	struct column_file *times = &sink->columns[COLUMN_HISTORY_TIMES];
	times->item_bytes = spec->history * sizeof(int64_t);
	times->dims = 2;
	times->shape[1] = spec->history;
}

/* Opens a column's file by `path`, or as a part of the archive if that is open. */
static enum status open_column(struct sink_arrays *sink, enum column column, const char *path,
	struct error *err)
{
	struct column_file *file = &sink->columns[column];
	if (path == NULL) {
		return STATUS_OK;
	}
	enum status status = sink->archive.file != NULL ? output_open_part(sink->archive.path, path,
								  &file->output, err)
							: output_open(path, &file->output, err);
	if (status == STATUS_OK && file->item_bytes > 0) {
		status = write_header(file, &file->output, 0, err);
	}
	return status;
}

static enum status open_files(struct sink_arrays *sink, struct error *err)
{
	const struct sink_options *options = &sink->options;
	const char *const paths[COLUMNS] = {
		[COLUMN_KEYS] = options->keys,
		[COLUMN_ROWS] = options->rows,
		[COLUMN_TIMES] = options->times,
		[COLUMN_SCALES] = options->scales,
		[COLUMN_TAGS] = options->tags,
		[COLUMN_WEIGHTS] = options->weights,
		[COLUMN_COUNTS] = options->counts,
		[COLUMN_HISTORY_TIMES] = options->history_times,
	};
	enum status status = STATUS_OK;
	sink->has_keys = options->keys != NULL;
	for (size_t i = 0; i < COLUMNS && status == STATUS_OK; i++) {
		status = open_column(sink, (enum column)i, paths[i], err);
	}
	/* An order needs the keys, even if no file of keys is wanted. */
	if (status == STATUS_OK && !sink->has_keys && options->sort != SINK_AS_SCANNED) {
		status = output_open_beside(&sink->columns[COLUMN_ROWS].output,
			&sink->columns[COLUMN_KEYS].output, err);
	}
	return status;
}

/* All columns that the table has go into the archive. */
static enum status open_archive(struct sink_arrays *sink, struct error *err)
{
	const struct sink_options *options = &sink->options;
	const bool has[COLUMNS] = {
		[COLUMN_KEYS] = true,
		[COLUMN_ROWS] = true,
		[COLUMN_TIMES] = options->spec->history == 0, /* those of histories are in them */
		[COLUMN_SCALES] = options->spec->dtype == REP_I8,
		[COLUMN_TAGS] = options->spec->tags,
		[COLUMN_WEIGHTS] = options->raw,
		[COLUMN_COUNTS] = options->spec->history != 0,
		[COLUMN_HISTORY_TIMES] = options->spec->history != 0,
	};
	enum status status =
		strcmp(options->path, "-") == 0
			? error_set(err, STATUS_BAD_REQUEST,
				  "npz and safetensors go into a file, not to standard output")
			: output_open(options->path, &sink->archive, err);
	sink->has_keys = true;
	for (size_t i = 0; i < COLUMNS && status == STATUS_OK; i++) {
		if (has[i]) {
			status =
				open_column(sink, (enum column)i, column_name((enum column)i), err);
		}
	}
	return status;
}

static enum status open_sink(const struct sink_options *options, enum format format,
	struct sink **out, struct error *err)
{
	struct sink_arrays *sink = calloc(1, sizeof *sink);
	if (sink == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for a dump");
	}
	sink->sink = (struct sink){.write = write_rows, .finish = finish, .close = close_arrays};
	sink->options = *options;
	sink->format = format;
	set_shapes(sink);
	const enum status status =
		format == FORMAT_NPY ? open_files(sink, err) : open_archive(sink, err);
	if (status != STATUS_OK) {
		close_arrays(&sink->sink);
		return status;
	}
	*out = &sink->sink;
	return STATUS_OK;
}

enum status sink_open_npy(const struct sink_options *options, struct sink **out, struct error *err)
{
	return open_sink(options, FORMAT_NPY, out, err);
}

enum status sink_open_npz(const struct sink_options *options, struct sink **out, struct error *err)
{
	return open_sink(options, FORMAT_NPZ, out, err);
}

enum status sink_open_safetensors(const struct sink_options *options, struct sink **out,
	struct error *err)
{
	return open_sink(options, FORMAT_SAFETENSORS, out, err);
}
