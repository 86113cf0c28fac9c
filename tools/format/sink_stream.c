/* sink_stream.c - dumps to one stream: msgpack maps, or JSON lines. */
#include "tools/format/sink.h"

#include "schema/dtype.h"
#include "schema/key.h"
#include "schema/spec.h"
#include "schema/wire.h"
#include "tools/format/dump_format.h"
#include "tools/format/jsonl_row.h"
#include "tools/format/output.h"

#include <stdlib.h>
#include <string.h>

struct sink_stream {
	struct sink sink;           /* first */
	struct rep_table_spec spec; /* with the dump's dtype */
	bool raw;
	struct output output;
	struct wire_writer writer; /* holds the map that is being written */
};

static enum status flush_map(struct sink_stream *sink, struct error *err)
{
	enum status status = sink->writer.status;
	if (status != STATUS_OK) {
		return error_set(err, status, "a map of rows could not be built");
	}
	status = output_write(&sink->output, sink->writer.data, sink->writer.len, err);
	wire_writer_clear(&sink->writer);
	return status;
}

/* ---- msgpack ---- */

static enum status write_header(struct sink_stream *sink, struct error *err)
{
	const struct rep_table_spec *spec = &sink->spec;
	struct table_spec header = {
		.entity = (enum entity)spec->entity,
		.kind = (enum kind)spec->kind,
		.dtype = sink->raw ? DTYPE_F32 : (enum dtype)spec->dtype, /* the table's */
		.key_type = (enum key_type)spec->key_type,
		.dim = spec->dim,
		.views = spec->views / (spec->history != 0 ? (uint32_t)spec->history : 1),
		.history = (uint32_t)spec->history,
		.ttl_ms = spec->ttl_ms,
		.tags = spec->tags,
		.decay_events = spec->decay_events,
		.half_life_ms = spec->half_life_ms,
		.reading = (enum reading)spec->reading,
		.state = (enum state_kind)spec->state,
	};
	memcpy(header.name.text, spec->name, strnlen(spec->name, sizeof header.name.text - 1));
	wire_write_map(&sink->writer, 2 + spec_fields(&header));
	wire_write_str(&sink->writer, "format");
	wire_write_str(&sink->writer, DUMP_FORMAT_NAME);
	wire_write_str(&sink->writer, "version");
	wire_write_uint(&sink->writer, sink->raw ? DUMP_FORMAT_VERSION_RAW : DUMP_FORMAT_VERSION);
	spec_write(&sink->writer, &header);
	return flush_map(sink, err);
}

static void write_column(struct wire_writer *writer, const char *name, const void *data, size_t len)
{
	if (data != NULL) {
		wire_write_str(writer, name);
		wire_write_bin(writer, data, len);
	}
}

static enum status write_msgpack(struct sink *base, const struct rep_scan *scan, struct error *err)
{
	struct sink_stream *sink = (struct sink_stream *)base;
	struct wire_writer *writer = &sink->writer;
	size_t n = scan->keys.count;
	if (n == 0) {
		return STATUS_OK;
	}
	const int64_t *times = scan->history != 0 ? NULL : scan->times;
	wire_write_map(writer, 3 + (size_t)(scan->scales != NULL) + (size_t)(times != NULL) +
				       (size_t)(scan->tags != NULL) +
				       (size_t)(scan->weights != NULL) +
				       (scan->history != 0 ? 2 : 0));
	wire_write_str(writer, "n");
	wire_write_uint(writer, n);
	write_column(writer, "keys", scan->keys.data, scan->keys.bytes);
	write_column(writer, "rows", scan->rows, n * scan->stride);
	write_column(writer, "scales", scan->scales, n * sizeof(float));
	write_column(writer, "times", times, n * sizeof(int64_t));
	write_column(writer, "tags", scan->tags, n * sizeof(uint64_t));
	write_column(writer, "weights", scan->weights, n * sizeof(double));
	write_column(writer, "counts", scan->history_counts, n * sizeof(uint32_t));
	write_column(writer, "history_times", scan->history_times,
		n * scan->history * sizeof(int64_t));
	base->rows += n;
	return flush_map(sink, err);
}

static enum status finish_msgpack(struct sink *base, struct error *err)
{
	struct sink_stream *sink = (struct sink_stream *)base;
	wire_write_map(&sink->writer, 1);
	wire_write_str(&sink->writer, "rows");
	wire_write_uint(&sink->writer, base->rows);
	enum status status = flush_map(sink, err);
	return status != STATUS_OK ? status : output_commit(&sink->output, err);
}

/* ---- jsonl ---- */

static enum status write_jsonl(struct sink *base, const struct rep_scan *scan, struct error *err)
{
	struct sink_stream *sink = (struct sink_stream *)base;
	const uint8_t *key = scan->keys.data;
	const uint8_t *rows = scan->rows;
	bool bytes = scan->keys.type == REP_KEY_BYTES;
	for (uint32_t i = 0; i < scan->keys.count; i++) {
		const struct jsonl_row row = {
			.key_type = scan->keys.type,
			.key = bytes ? key + 1 : key,
			.key_len = bytes ? key[0] : 8,
			.dtype = scan->dtype,
			.dim = scan->dim,
			.views = scan->views,
			.values = rows + i * scan->stride,
			.scale = scan->scales != NULL ? &scan->scales[i] : NULL,
			.time = scan->times != NULL && scan->history == 0 ? &scan->times[i] : NULL,
			.history = (uint32_t)scan->history,
			.taken = scan->history != 0 ? scan->history_counts[i] : 0,
			.history_times =
				scan->history != 0 ? scan->history_times + i * scan->history : NULL,
			.tags = scan->tags != NULL ? &scan->tags[i] : NULL,
			.weight = scan->weights != NULL ? &scan->weights[i] : NULL,
		};
		jsonl_write(sink->output.file, &row);
		key = row.key + row.key_len;
	}
	base->rows += scan->keys.count;
	return output_write(&sink->output, NULL, 0, err);
}

static enum status finish_jsonl(struct sink *base, struct error *err)
{
	struct sink_stream *sink = (struct sink_stream *)base;
	return output_commit(&sink->output, err);
}

/* ---- both ---- */

static void close_stream(struct sink *base)
{
	struct sink_stream *sink = (struct sink_stream *)base;
	output_abort(&sink->output);
	wire_writer_fini(&sink->writer);
	free(sink);
}

static enum status open_stream(const struct sink_options *options, struct sink methods,
	struct sink_stream **out, struct error *err)
{
	struct sink_stream *sink = calloc(1, sizeof *sink);
	if (sink == NULL) {
		error_set(err, STATUS_NO_MEMORY, "no memory for a dump");
		return STATUS_NO_MEMORY;
	}
	sink->sink = methods;
	sink->spec = *options->spec;
	sink->raw = options->raw;
	enum status status = output_open(options->path, &sink->output, err);
	if (status != STATUS_OK) {
		free(sink);
		return status;
	}
	*out = sink;
	return STATUS_OK;
}

enum status sink_open_msgpack(const struct sink_options *options, struct sink **out,
	struct error *err)
{
	const struct sink methods = {.write = write_msgpack,
		.finish = finish_msgpack,
		.close = close_stream};
	struct sink_stream *sink = NULL;
	enum status status = open_stream(options, methods, &sink, err);
	if (status == STATUS_OK && sink != NULL) {
		status = write_header(sink, err);
		if (status != STATUS_OK) {
			close_stream(&sink->sink);
		} else {
			*out = &sink->sink;
		}
	}
	return status;
}

enum status sink_open_jsonl(const struct sink_options *options, struct sink **out,
	struct error *err)
{
	const struct sink methods = {.write = write_jsonl,
		.finish = finish_jsonl,
		.close = close_stream};
	struct sink_stream *sink = NULL;
	enum status status = open_stream(options, methods, &sink, err);
	if (status == STATUS_OK) {
		*out = &sink->sink;
	}
	return status;
}
