/* source_jsonl.c - rows from JSON lines: one object a row.
 *
 *   {"key": 7, "vector": [0.5, -1], "time": 1700000000000, "tags": 3, "scale": 0.25}
 *
 * A key of bytes is a string, or "key_hex". With several views `vector` is an array of
 * arrays; of a history it has the vectors that there are, oldest first, and "history_times" their times. With "scale" the elements are codes of i8; in a table of bits they are 0
 * and 1. All rows must have the members that the first row has.
 */
#include "tools/format/source.h"

#include "schema/dtype.h"
#include "schema/limits.h"
#include "tools/format/json_lines.h"
#include "tools/format/jsonl_row.h"
#include "tools/format/stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How long rows wait for more from a stream. */
enum { PAUSE_MS = 500 };

struct source_jsonl {
	struct source source; /* first */
	struct source_options options;
	struct rep_table_spec spec; /* that options.spec leads to */
	struct stream stream;
	struct jsonl_reader *reader; /* owned */
	struct jsonl_batch batch;
	int64_t batch_ms; /* when its first row came; of a stream that may pause */
	bool begun;       /* the beginning was looked at */
	uint64_t line;    /* number of the next line, from 1 */
	uint64_t rows;    /* handed out */
};

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Whether the batch must be handed out, since no more has come for it in time. */
static bool is_late(const struct source_jsonl *source)
{
	if (!source->options.prompt || source->stream.regular || source->batch.count == 0) {
		return false;
	}
	const int64_t left = source->batch_ms + PAUSE_MS - now_ms();
	return left <= 0 || !stream_is_ready(&source->stream, (int)left);
}

/* late: out, the line has not come in time. */
static enum status find_line(struct source_jsonl *source, struct json_line *out, bool *late,
	struct error *err)
{
	size_t seen = 0;
	*out = (struct json_line){0};
	*late = false;
	while (!json_lines_find(&source->stream, &seen, out)) {
		enum status status = json_lines_check(&source->stream, source->line, err);
		if (status != STATUS_OK) {
			return status;
		}
		if (is_late(source)) {
			*late = true;
			return STATUS_OK;
		}
		status = stream_more(&source->stream, err);
		if (status != STATUS_OK) {
			return status;
		}
	}
	return STATUS_OK;
}

/* Adds the row of the next line to the batch. Blank lines have none. last: out, no further line has
 * come. */
static enum status take_line(struct source_jsonl *source, bool *last, struct error *err)
{
	struct json_line line;
	bool late = false;
	enum status status = find_line(source, &line, &late, err);
	if (status != STATUS_OK) {
		return status;
	}
	source->source.idle = late;
	*last = line.end || late;
	if (*last) {
		return STATUS_OK;
	}
	const uint8_t *text = stream_data(&source->stream);
	if (!json_line_is_blank(text, line.len)) {
		struct error why = {0};
		status = jsonl_read(source->reader, (const char *)text, line.len, &source->batch,
			&why);
		if (status != STATUS_OK) {
			return error_set(err, status, "%s:%" PRIu64 ": %s%s", source->stream.name,
				source->line, why.text, json_line_advice(text, line.len, why.text));
		}
	}
	stream_take(&source->stream, line.with_end);
	source->line++;
	return STATUS_OK;
}

static enum status next(struct source *base, struct rep_rows *out, struct error *err)
{
	struct source_jsonl *source = (struct source_jsonl *)base;
	bool end = false;
	jsonl_batch_clear(&source->batch);
	source->batch_ms = 0;
	if (!source->begun) {
		const enum status status = json_lines_begin(&source->stream, err);
		if (status != STATUS_OK) {
			return status;
		}
		source->begun = true;
	}
	while (!end && source->batch.count < source->options.chunk_rows) {
		enum status status = take_line(source, &end, err);
		if (status != STATUS_OK) {
			return status;
		}
		if (source->batch.count == 1 && source->batch_ms == 0 && !source->stream.regular) {
			source->batch_ms = now_ms();
		}
	}
	jsonl_batch_rows(&source->batch, out);
	out->allow_nonfinite = source->options.allow_nonfinite;
	out->any_time = source->options.time.any;
	enum status status =
		row_times_take(&source->options.time, (int64_t *)(void *)source->batch.times.data,
			out->times != NULL ? source->batch.count : 0, source->stream.name,
			source->rows, err);
	if (status == STATUS_OK && out->history != 0) {
		status = source_take_histories(out, &source->options, source->stream.name,
			source->rows, err);
	}
	if (status == STATUS_OK) {
		status =
			source_check(out, &source->options, source->stream.name, source->rows, err);
	}
	source->rows += source->batch.count;
	base->done = source->stream.taken;
	return status;
}

static void close_jsonl(struct source *base)
{
	struct source_jsonl *source = (struct source_jsonl *)base;
	stream_close(&source->stream);
	jsonl_reader_close(source->reader);
	jsonl_batch_fini(&source->batch);
	free(source);
}

enum status source_open_jsonl(const struct source_options *options, struct source **out,
	struct error *err)
{
	struct source_jsonl *source = calloc(1, sizeof *source);
	if (source == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for an import");
	}
	source->source = (struct source){.next = next, .close = close_jsonl};
	source->options = *options;
	source->spec = *options->spec;
	source->options.spec = &source->spec;
	source->line = 1;
	source->stream.fd = -1;
	enum status status = stream_open(options->path, &source->stream, err);
	if (status == STATUS_OK) {
		status = jsonl_reader_open(options->spec, &source->reader, err);
	}
	if (status != STATUS_OK) {
		close_jsonl(&source->source);
		return status;
	}
	source->source.total = source->stream.size;
	*out = &source->source;
	return STATUS_OK;
}
