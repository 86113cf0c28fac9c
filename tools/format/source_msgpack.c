/* source_msgpack.c - rows from a msgpack dump (dump_format.h). */
#include "tools/format/source.h"

#include "schema/dtype.h"
#include "schema/key.h"
#include "schema/limits.h"
#include "schema/spec.h"
#include "schema/wire.h"
#include "tools/format/dump_format.h"
#include "tools/format/file_kind.h"
#include "tools/format/stream.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One map of rows; its columns are in the message's memory. */
struct batch {
	uint32_t n;
	struct wire_bytes keys;
	struct wire_bytes rows;
	struct wire_bytes scales;
	struct wire_bytes times;
	struct wire_bytes tags;
	struct wire_bytes weights;
	struct wire_bytes counts;
	struct wire_bytes history_times;
};

struct source_msgpack {
	struct source source; /* first */
	struct source_options options;
	struct rep_table_spec table; /* that options.spec leads to */
	struct stream stream;
	struct wire_message *message; /* owned; the map that `batch` points into */
	size_t message_bytes;         /* its bytes, which are still in the stream */
	struct table_spec spec;       /* of the file */
	size_t row_bytes;
	struct batch batch;
	uint32_t at;         /* how many rows of the batch were handed out */
	uint32_t *key_at;    /* owned; offsets of keys of bytes */
	uint64_t rows;       /* handed out in all */
	bool ended;          /* the last map was read */
	bool is_raw;         /* rows are sums, with their weights */
	bool is_old_raw;     /* both in f32 */
	struct buffer times; /* this and the next: slices of columns, copied to be aligned */
	struct buffer scales;
	struct buffer tags;
	struct buffer weights;
	struct buffer counts;
	struct buffer history_times;
};

static enum status wrong(const struct source_msgpack *source, struct error *err, const char *what)
{
	return error_set(err, STATUS_BAD_REQUEST, "%s: at byte %" PRIu64 ": %s",
		source->stream.name, source->stream.taken, what);
}

static void drop_message(struct source_msgpack *source)
{
	wire_close(source->message);
	source->message = NULL;
	stream_take(&source->stream, source->message_bytes);
	source->message_bytes = 0;
}

/* Reads the next whole map. end: out, the stream has ended before it. */
static enum status read_map(struct source_msgpack *source, bool *end, struct error *err)
{
	struct stream *stream = &source->stream;
	struct wire_skim skim = {0};
	drop_message(source);
	*end = false;
	for (;;) {
		enum status status = STATUS_AGAIN;
		if (stream_len(stream) > 0) {
			status = wire_skim(&skim, stream_data(stream), stream_len(stream));
		}
		if (status == STATUS_OK) {
			break;
		}
		if (status != STATUS_AGAIN) {
			const char *kind =
				file_kind_by_content(stream_data(stream), stream_len(stream));
			return wrong(source, err,
				kind != NULL ? kind : "not MessagePack, or over a limit");
		}
		if (stream->ended) {
			*end = stream_len(stream) == 0;
			return *end ? STATUS_OK : wrong(source, err, "cut in the middle of a map");
		}
		status = stream_more(stream, err);
		if (status != STATUS_OK) {
			return status;
		}
	}
	enum status status = wire_open(stream_data(stream), skim.at, &source->message);
	if (status != STATUS_OK) {
		return error_set(err, status, "%s: at byte %" PRIu64 ": a map could not be read",
			stream->name, stream->taken);
	}
	source->message_bytes = skim.at;
	if (wire_type(wire_root(source->message)) != WIRE_MAP) {
		return wrong(source, err, "not a map");
	}
	return STATUS_OK;
}

/* ---- the header ---- */

static enum status check_spec(struct source_msgpack *source, struct error *err)
{
	const struct rep_table_spec *table = source->options.spec;
	const struct table_spec *file = &source->spec;
	if ((int)file->key_type != (int)table->key_type) {
		return error_set(err, STATUS_BAD_REQUEST, "%s: key: %s; the table's are %s",
			source->stream.name, key_type_name(file->key_type),
			key_type_name((enum key_type)table->key_type));
	}
	if (file->history != table->history) {
		return error_set(err, STATUS_BAD_REQUEST,
			"%s: rows of %u places of history; the table's have %u",
			source->stream.name, file->history, table->history);
	}
	if (file->dim != table->dim || spec_row_views(file) != table->views) {
		return error_set(err, STATUS_BAD_REQUEST,
			"%s: rows of %u views x %u; the table's are %u x %u", source->stream.name,
			spec_row_views(file), file->dim, table->views, table->dim);
	}
	if (!dtype_convertible(file->dtype, (enum dtype)table->dtype)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"%s: dtype: %s does not convert into %s, which the table holds",
			source->stream.name, dtype_name(file->dtype),
			dtype_name((enum dtype)table->dtype));
	}
	if (source->is_raw != (table->kind == REP_CR && table->history == 0)) {
		return error_set(err, STATUS_BAD_REQUEST, "%s: %s", source->stream.name,
			source->is_raw
				? "sums with weights (dump --raw), only tables of kind cr take them"
				: "rows as a fetch reads them; a table of kind cr takes sums (dump --raw)");
	}
	if (file->tags && !table->tags) {
		return error_set(err, STATUS_BAD_REQUEST,
			"%s: tags: rows have them, the table has none", source->stream.name);
	}
	return STATUS_OK;
}

static enum status read_header(struct source_msgpack *source, struct error *err)
{
	bool end = false;
	enum status status = read_map(source, &end, err);
	if (status != STATUS_OK) {
		return status;
	}
	struct wire_value map = {0};
	struct wire_bytes format = {0};
	uint64_t version = 0;
	if (!end) {
		map = wire_root(source->message);
	}
	if (!wire_str(wire_get(map, "format"), &format) || format.len != strlen(DUMP_FORMAT_NAME) ||
		memcmp(format.data, DUMP_FORMAT_NAME, format.len) != 0) {
		const char *kind = file_kind_by_content(stream_data(&source->stream),
			stream_len(&source->stream));
		return wrong(source, err, kind != NULL ? kind : "not a " DUMP_FORMAT_NAME);
	}
	const bool read = wire_uint(wire_get(map, "version"), &version);
	source->is_old_raw = read && version == DUMP_FORMAT_VERSION_RAW_F32;
	source->is_raw = source->is_old_raw || (read && version == DUMP_FORMAT_VERSION_RAW);
	if (!read || (version != DUMP_FORMAT_VERSION && !source->is_raw)) {
		return error_set(err, STATUS_UNSUPPORTED,
			"%s: version %" PRIu64 " of the dump format; %d to %d are read",
			source->stream.name, version, DUMP_FORMAT_VERSION, DUMP_FORMAT_VERSION_RAW);
	}
	struct error why = {0};
	status = spec_read(map, SPEC_STORED, &source->spec, &why);
	if (status != STATUS_OK) {
		return wrong(source, err, why.text);
	}
	if (source->is_raw && !source->is_old_raw) {
		source->spec.dtype = DTYPE_F64;
	}
	source->row_bytes = dtype_row_bytes(source->spec.dtype, source->spec.dim,
		spec_row_views(&source->spec));
	return check_spec(source, err);
}

/* ---- batches ---- */

static bool has_bytes(struct wire_value map, const char *name, size_t len, struct wire_bytes *out)
{
	return wire_bin(wire_get(map, name), out) && out->len == len;
}

/* A column that may be left out. */
static bool may_have_bytes(struct wire_value map, const char *name, size_t len,
	struct wire_bytes *out)
{
	return wire_type(wire_get(map, name)) == WIRE_ABSENT || has_bytes(map, name, len, out);
}

static enum status index_keys(struct source_msgpack *source, struct error *err)
{
	struct batch *batch = &source->batch;
	uint32_t count = 0;
	struct error why = {0};
	enum status status =
		keys_count(source->spec.key_type, batch->keys.data, batch->keys.len, &count, &why);
	if (status != STATUS_OK || count != batch->n) {
		return wrong(source, err, status != STATUS_OK ? why.text : "keys: not n");
	}
	free(source->key_at);
	source->key_at = NULL;
	if (source->spec.key_type == KEY_BYTES && count > 0) {
		source->key_at = malloc(count * sizeof *source->key_at);
		if (source->key_at == NULL) {
			return error_set(err, STATUS_NO_MEMORY, "no memory for %u keys", count);
		}
		keys_find_offsets(batch->keys.data, count, source->key_at);
	}
	return STATUS_OK;
}

static enum status read_batch(struct source_msgpack *source, struct error *err)
{
	struct wire_value map = wire_root(source->message);
	struct batch batch = {0};
	uint64_t n = 0;
	bool i8 = source->spec.dtype == DTYPE_I8;
	if (!wire_uint(wire_get(map, "n"), &n) || n > LIMIT_KEYS) {
		return wrong(source, err, "n: not a number of rows");
	}
	batch.n = (uint32_t)n;
	if (!wire_bin(wire_get(map, "keys"), &batch.keys)) {
		return wrong(source, err, "keys: not a bin");
	}
	if (!has_bytes(map, "rows", n * source->row_bytes, &batch.rows)) {
		return wrong(source, err, "rows: not a bin of n rows");
	}
	if (i8 ? !has_bytes(map, "scales", n * sizeof(float), &batch.scales)
	       : wire_type(wire_get(map, "scales")) != WIRE_ABSENT) {
		return wrong(source, err, "scales: i8 rows have n of them, others none");
	}
	if (!may_have_bytes(map, "times", n * sizeof(int64_t), &batch.times) ||
		!may_have_bytes(map, "tags", n * sizeof(uint64_t), &batch.tags)) {
		return wrong(source, err, "times or tags: not a bin of n");
	}
	const size_t weight_bytes = source->is_old_raw ? sizeof(float) : sizeof(double);
	if (source->is_raw ? !has_bytes(map, "weights", n * weight_bytes, &batch.weights)
			   : wire_type(wire_get(map, "weights")) != WIRE_ABSENT) {
		return wrong(source, err, "weights: raw rows have n of them, others none");
	}
	const uint32_t history = source->spec.history;
	if (history != 0 && (!has_bytes(map, "counts", n * sizeof(uint32_t), &batch.counts) ||
				    !has_bytes(map, "history_times", n * history * sizeof(int64_t),
					    &batch.history_times))) {
		return wrong(source, err, "counts or history_times: not a bin of n");
	}
	source->batch = batch;
	source->at = 0;
	return index_keys(source, err);
}

/* Checks the last map; nothing may stand behind it. */
static enum status read_end(struct source_msgpack *source, uint64_t rows, struct error *err)
{
	bool end = false;
	if (rows != source->rows) {
		return wrong(source, err, "rows: another number than was read");
	}
	enum status status = read_map(source, &end, err);
	if (status == STATUS_OK && !end) {
		status = wrong(source, err, "more behind the last map");
	}
	source->ended = true;
	source->batch = (struct batch){0};
	source->at = 0;
	return status;
}

/* Reads maps until there are rows to hand out, or the last map has come. */
static enum status advance(struct source_msgpack *source, struct error *err)
{
	while (!source->ended && source->at == source->batch.n) {
		bool end = false;
		uint64_t rows = 0;
		enum status status = read_map(source, &end, err);
		if (status == STATUS_OK && end) {
			status = wrong(source, err, "cut: the last map is missing");
		}
		if (status != STATUS_OK) {
			return status;
		}
		struct wire_value map = wire_root(source->message);
		bool last = wire_size(map) == 1 && wire_uint(wire_get(map, "rows"), &rows);
		status = last ? read_end(source, rows, err) : read_batch(source, err);
		if (status != STATUS_OK) {
			return status;
		}
	}
	return STATUS_OK;
}

/* ---- handing out ---- */

static enum status copy_slice(const struct source_msgpack *source, struct buffer *buffer,
	struct wire_bytes column, size_t bytes, uint32_t count, const void **out)
{
	*out = NULL;
	if (column.data == NULL) {
		return STATUS_OK;
	}
	buffer->len = 0;
	enum status status = buffer_add(buffer, column.data + source->at * bytes, count * bytes);
	*out = buffer->data;
	return status;
}

/* The weights of some rows, as f64. */
static enum status copy_weights(struct source_msgpack *source, uint32_t count, const void **out)
{
	const struct wire_bytes given = source->batch.weights;
	if (!source->is_old_raw) {
		return copy_slice(source, &source->weights, given, sizeof(double), count, out);
	}
	source->weights.len = 0;
	const enum status status = buffer_add_widened(&source->weights,
		given.data + source->at * sizeof(float), count);
	*out = source->weights.data;
	return status;
}

static struct rep_keys slice_keys(const struct source_msgpack *source, uint32_t count)
{
	const struct batch *batch = &source->batch;
	if (source->spec.key_type == KEY_U64) {
		return (struct rep_keys){REP_KEY_U64, count,
			batch->keys.data + (size_t)source->at * 8, (size_t)count * 8};
	}
	assert(count > 0 && source->at + count <= batch->n);
	size_t first = source->key_at[source->at];
	uint32_t behind = source->at + count;
	size_t end = behind < batch->n ? source->key_at[behind] : batch->keys.len;
	return (struct rep_keys){REP_KEY_BYTES, count, batch->keys.data + first, end - first};
}

static enum status slice_histories(struct source_msgpack *source, uint32_t count,
	struct rep_rows *out, struct error *err)
{
	const void *counts = NULL;
	const void *times = NULL;
	const size_t history = source->spec.history;
	if (history == 0) {
		return STATUS_OK;
	}
	enum status status = copy_slice(source, &source->counts, source->batch.counts,
		sizeof(uint32_t), count, &counts);
	if (status == STATUS_OK) {
		status = copy_slice(source, &source->history_times, source->batch.history_times,
			history * sizeof(int64_t), count, &times);
	}
	if (status != STATUS_OK) {
		return error_set(err, status, "no memory for a chunk of %u rows", count);
	}
	out->history = history;
	out->history_counts = counts;
	out->history_times = times;
	return source_take_histories(out, &source->options, source->stream.name, source->rows, err);
}

static enum status slice(struct source_msgpack *source, uint32_t count, struct rep_rows *out,
	struct error *err)
{
	const void *scales = NULL;
	const void *times = NULL;
	const void *tags = NULL;
	const void *weights = NULL;
	const struct batch *batch = &source->batch;
	enum status status =
		copy_slice(source, &source->scales, batch->scales, sizeof(float), count, &scales);
	if (status == STATUS_OK) {
		status = copy_slice(source, &source->times, batch->times, sizeof(int64_t), count,
			&times);
	}
	if (status == STATUS_OK) {
		status = copy_slice(source, &source->tags, batch->tags, sizeof(uint64_t), count,
			&tags);
	}
	if (status == STATUS_OK) {
		status = copy_weights(source, count, &weights);
	}
	if (status != STATUS_OK) {
		return error_set(err, status, "no memory for a chunk of %u rows", count);
	}
	status = row_times_take(&source->options.time, (int64_t *)(void *)source->times.data,
		times != NULL ? count : 0, source->stream.name, source->rows, err);
	if (status != STATUS_OK) {
		return status;
	}
	*out = (struct rep_rows){
		.keys = slice_keys(source, count),
		.dtype = (enum rep_dtype)source->spec.dtype,
		.rows = batch->rows.data + source->at * source->row_bytes,
		.scales = scales,
		.times = times,
		.tags = tags,
		.weights = weights,
		.allow_nonfinite = source->options.allow_nonfinite,
		.any_time = source->options.time.any,
	};
	status = slice_histories(source, count, out, err);
	if (status != STATUS_OK) {
		return status;
	}
	return source_check(out, &source->options, source->stream.name, source->rows, err);
}

static enum status next(struct source *base, struct rep_rows *out, struct error *err)
{
	struct source_msgpack *source = (struct source_msgpack *)base;
	enum status status = advance(source, err);
	if (status != STATUS_OK) {
		return status;
	}
	assert(source->at <= source->batch.n);
	uint32_t count = source->batch.n - source->at;
	if (count > source->options.chunk_rows) {
		count = source->options.chunk_rows;
	}
	base->done = source->stream.taken;
	base->idle = !stream_is_ready(&source->stream, 0);
	if (count == 0) {
		*out = (struct rep_rows){0};
		return STATUS_OK;
	}
	status = slice(source, count, out, err);
	source->at += count;
	source->rows += count;
	return status;
}

static void close_msgpack(struct source *base)
{
	struct source_msgpack *source = (struct source_msgpack *)base;
	wire_close(source->message);
	stream_close(&source->stream);
	free(source->key_at);
	buffer_fini(&source->times);
	buffer_fini(&source->scales);
	buffer_fini(&source->tags);
	buffer_fini(&source->weights);
	buffer_fini(&source->counts);
	buffer_fini(&source->history_times);
	free(source);
}

enum status source_open_msgpack(const struct source_options *options, struct source **out,
	struct error *err)
{
	struct source_msgpack *source = calloc(1, sizeof *source);
	if (source == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for an import");
	}
	source->source = (struct source){.next = next, .close = close_msgpack};
	source->options = *options;
	source->table = *options->spec;
	source->options.spec = &source->table;
	source->stream.fd = -1;
	enum status status = stream_open(options->path, &source->stream, err);
	if (status == STATUS_OK) {
		status = read_header(source, err);
	}
	if (status != STATUS_OK) {
		close_msgpack(&source->source);
		return status;
	}
	source->source.total = source->stream.size;
	*out = &source->source;
	return STATUS_OK;
}
