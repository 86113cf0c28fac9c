/* sample_lines.c - spreads the members of lines over files, one a column, and maps them. */
#include "tools/evaluation/sample_lines.h"

#include "tools/evaluation/sample_arrays.h"
#include "tools/format/format_name.h"
#include "tools/format/json_lines.h"
#include "tools/format/sample_row.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The columns before those of layers. Keys that are strings are packed at first, a byte of length before
 * each, until the longest is known. */
enum { COLUMN_TIMES = SAMPLE_SIDES, COLUMN_LAYERS };

struct spool {
	struct output file; /* owned */
	uint64_t bytes;
	void *map; /* owned; NULL: not yet mapped */
};

struct sample_lines {
	const struct sample_paths *paths; /* borrowed */
	const char *beside;               /* borrowed */
	struct stream stream;             /* owned */
	struct sample_row_reader reader;  /* owned */
	struct spool *columns;            /* owned; [COLUMN_LAYERS + layers] */
	size_t column_count;
	uint64_t count;              /* samples */
	uint64_t line;               /* number of the next line, from 1 */
	size_t widest[SAMPLE_SIDES]; /* the longest key */
};

bool sample_lines_are(const struct sample_paths *paths)
{
	return paths->archive != NULL && (strcmp(paths->archive, "-") == 0 ||
						 format_find(NULL, paths->archive) == FORMAT_JSONL);
}

/* ---- files ---- */

/* Opens the file of a column; a name is that of a layer, or one that no layer has. */
static enum status open_spool(const struct sample_lines *lines, size_t column, struct spool *out,
	struct error *err)
{
	static const char *const names[COLUMN_LAYERS] = {"=users", "=items", "=times"};
	char name[LIMIT_NAME_BYTES + 2];
	if (column < COLUMN_LAYERS) {
		return output_open_part(lines->beside, names[column], &out->file, err);
	}
	const char *layer = lines->paths->layers[column - COLUMN_LAYERS];
	(void)snprintf(name, sizeof name, "=%.*s", (int)strcspn(layer, "="), layer);
	return output_open_part(lines->beside, name, &out->file, err);
}

static enum status add(struct spool *spool, const void *data, size_t len, struct error *err)
{
	spool->bytes += len;
	return output_write(&spool->file, data, len, err);
}

static enum status map_spool(struct spool *spool, struct error *err)
{
	assert(spool->bytes > 0);
	if (fflush(spool->file.file) != 0) {
		return error_set(err, status_of_errno(errno), "write beside '%s': %s",
			spool->file.path, strerror(errno));
	}
	void *map = mmap(NULL, spool->bytes, PROT_READ, MAP_SHARED, fileno(spool->file.file), 0);
	if (map == MAP_FAILED) {
		return error_set(err, status_of_errno(errno), "map what is beside '%s': %s",
			spool->file.path, strerror(errno));
	}
	spool->map = map;
	return STATUS_OK;
}

static void close_spool(struct spool *spool)
{
	if (spool->map != NULL) {
		munmap(spool->map, spool->bytes);
	}
	output_abort(&spool->file);
	*spool = (struct spool){0};
}

/* ---- lines ---- */

static enum status add_sample(struct sample_lines *lines, struct error *err)
{
	const struct sample_row_reader *reader = &lines->reader;
	enum status status = STATUS_OK;
	for (size_t side = 0; side < SAMPLE_SIDES && status == STATUS_OK; side++) {
		const struct sample_key *key = &reader->keys[side];
		const uint8_t len = (uint8_t)key->len;
		if (key->is_string) {
			status = add(&lines->columns[side], &len, sizeof len, err);
		}
		if (status == STATUS_OK) {
			status = add(&lines->columns[side], key->bytes, key->len, err);
		}
		lines->widest[side] =
			key->len > lines->widest[side] ? key->len : lines->widest[side];
	}
	if (status == STATUS_OK) {
		status =
			add(&lines->columns[COLUMN_TIMES], &reader->time, sizeof reader->time, err);
	}
	for (size_t i = 0; i < reader->layer_count && status == STATUS_OK; i++) {
		const struct buffer *vector = &reader->layers[i].vector;
		status = add(&lines->columns[COLUMN_LAYERS + i], vector->data, vector->len, err);
	}
	lines->count++;
	return status;
}

/* Reads the next line. end: out, there is none. */
static enum status take_line(struct sample_lines *lines, bool *end, struct error *err)
{
	struct stream *stream = &lines->stream;
	struct json_line line = {0};
	struct error why = {0};
	size_t seen = 0;
	enum status status = STATUS_OK;
	while (!json_lines_find(stream, &seen, &line)) {
		status = json_lines_check(stream, lines->line, err);
		if (status == STATUS_OK) {
			status = stream_more(stream, err);
		}
		if (status != STATUS_OK) {
			return status;
		}
	}
	*end = line.end;
	const uint8_t *text = stream_data(stream);
	if (!line.end && !json_line_is_blank(text, line.len)) {
		status = sample_row_read(&lines->reader, (const char *)text, line.len, &why);
		if (status != STATUS_OK) {
			return error_set(err, status, "%s:%" PRIu64 ": %s%s", stream->name,
				lines->line, why.text, json_line_advice(text, line.len, why.text));
		}
		status = add_sample(lines, err);
	}
	stream_take(stream, line.with_end);
	lines->line++;
	return status;
}

static enum status take_lines(struct sample_lines *lines, struct error *err)
{
	bool end = false;
	enum status status = json_lines_begin(&lines->stream, err);
	while (status == STATUS_OK && !end) {
		status = take_line(lines, &end, err);
	}
	return status == STATUS_OK && lines->count == 0
		       ? error_set(err, STATUS_BAD_REQUEST, "%s: no samples, one or more is needed",
				 lines->stream.name)
		       : status;
}

/* ---- arrays ---- */

/* Gives all strings the width of the longest one. */
static enum status pad_keys(struct sample_lines *lines, size_t side, struct error *err)
{
	static const uint8_t nothing[LIMIT_KEY_BYTES];
	struct spool *packed = &lines->columns[side];
	struct spool padded = {0};
	enum status status = map_spool(packed, err);
	if (status == STATUS_OK) {
		/* The name of the other file stays its own until that is gone. */
		status = output_open_part(lines->beside,
			side == SAMPLE_USER ? "=users+" : "=items+", &padded.file, err);
	}
	const uint8_t *at = packed->map;
	for (uint64_t i = 0; i < lines->count && status == STATUS_OK; i++) {
		const size_t len = *at++;
		status = add(&padded, at, len, err);
		if (status == STATUS_OK) {
			status = add(&padded, nothing, lines->widest[side] - len, err);
		}
		at += len;
	}
	close_spool(packed);
	*packed = padded;
	return status;
}

/* What a column is when all of it is there. */
static enum status open_array(struct sample_lines *lines, size_t column, struct npy npy,
	struct array *out, struct error *err)
{
	static const char *const names[COLUMN_LAYERS] = {"user", "item", "time"};
	const enum status status = map_spool(&lines->columns[column], err);
	if (status != STATUS_OK) {
		return status;
	}
	npy.shape[0] = lines->count;
	npy.elements = lines->count * (npy.dims == 2 ? npy.shape[1] : 1);
	npy.data = lines->columns[column].map;
	assert(npy.elements * npy.item_bytes == lines->columns[column].bytes);
	char name[LIMIT_NAME_BYTES + 1];
	if (column >= COLUMN_LAYERS) {
		const char *layer = lines->paths->layers[column - COLUMN_LAYERS];
		(void)snprintf(name, sizeof name, "%.*s", (int)strcspn(layer, "="), layer);
	}
	return array_open_memory(out, lines->stream.name,
		column < COLUMN_LAYERS ? names[column] : name, &npy, err);
}

static enum status open_arrays(struct sample_lines *lines, struct sample_arrays *arrays,
	struct error *err)
{
	struct array *const keys[SAMPLE_SIDES] = {&arrays->users, &arrays->items};
	enum status status = STATUS_OK;
	for (size_t side = 0; side < SAMPLE_SIDES && status == STATUS_OK; side++) {
		const bool strings = lines->reader.keys[side].is_string;
		status = strings ? pad_keys(lines, side, err) : STATUS_OK;
		if (status == STATUS_OK) {
			status = open_array(lines, side,
				(struct npy){.kind = strings ? 'S' : 'u',
					.item_bytes = lines->widest[side],
					.dims = 1},
				keys[side], err);
		}
	}
	if (status == STATUS_OK) {
		status = open_array(lines, COLUMN_TIMES,
			(struct npy){.kind = 'i', .item_bytes = sizeof(int64_t), .dims = 1},
			&arrays->times, err);
	}
	for (size_t i = 0; i < lines->reader.layer_count && status == STATUS_OK; i++) {
		status = open_array(lines, COLUMN_LAYERS + i,
			(struct npy){.kind = 'f',
				.item_bytes = sizeof(float),
				.dims = 2,
				.shape = {0, lines->reader.layers[i].dim}},
			&arrays->layers[i].array, err);
	}
	return status;
}

/* ---- all of it ---- */

static enum status open_files(struct sample_lines *lines, struct error *err)
{
	enum status status = STATUS_OK;
	lines->columns = calloc(lines->column_count, sizeof *lines->columns);
	if (lines->columns == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for columns");
	}
	for (size_t i = 0; i < lines->column_count && status == STATUS_OK; i++) {
		status = open_spool(lines, i, &lines->columns[i], err);
	}
	return status;
}

enum status sample_lines_open(const struct sample_paths *paths, const char *beside,
	struct sample_arrays *arrays, struct sample_lines **out, struct error *err)
{
	struct sample_lines *lines = calloc(1, sizeof *lines);
	if (lines == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for lines");
	}
	lines->paths = paths;
	lines->beside = beside;
	lines->line = 1;
	lines->stream.fd = -1;
	lines->column_count = COLUMN_LAYERS + paths->layer_count;
	enum status status =
		sample_row_open(paths->layers, paths->layer_count, &lines->reader, err);
	if (status == STATUS_OK) {
		status = stream_open(paths->archive, &lines->stream, err);
	}
	if (status == STATUS_OK) {
		status = open_files(lines, err);
	}
	if (status == STATUS_OK) {
		status = take_lines(lines, err);
	}
	if (status == STATUS_OK) {
		status = open_arrays(lines, arrays, err);
	}
	if (status != STATUS_OK) {
		sample_lines_close(lines);
		return status;
	}
	*out = lines;
	return STATUS_OK;
}

void sample_lines_close(struct sample_lines *lines)
{
	if (lines == NULL) {
		return;
	}
	for (size_t i = 0; lines->columns != NULL && i < lines->column_count; i++) {
		close_spool(&lines->columns[i]);
	}
	free(lines->columns);
	sample_row_close(&lines->reader);
	stream_close(&lines->stream);
	free(lines);
}
