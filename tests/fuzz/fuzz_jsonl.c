/* fuzz_jsonl.c - any lines as rows of a table: refused with a reason, or rows whose columns fit each other, and which are
 * written and read again with the same bits.
 *
 * An input is a byte for the table, and lines.
 */
#include "schema/dtype.h"
#include "schema/limits.h"
#include "tools/format/jsonl_row.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct rep_table_spec numbers = {.name = "f32",
	.kind = REP_IR,
	.dtype = REP_F32,
	.key_type = REP_KEY_U64,
	.dim = 2,
	.views = 1};
static const struct rep_table_spec codes = {.name = "i8",
	.kind = REP_UR,
	.dtype = REP_I8,
	.key_type = REP_KEY_BYTES,
	.dim = 3,
	.views = 1,
	.tags = true};
static const struct rep_table_spec bits = {.name = "bit",
	.kind = REP_UR,
	.dtype = REP_BIT,
	.key_type = REP_KEY_U64,
	.dim = 9,
	.views = 2};
static const struct rep_table_spec halves = {.name = "f16",
	.kind = REP_UR,
	.dtype = REP_F16,
	.key_type = REP_KEY_BYTES,
	.dim = 2,
	.views = 2};
static const struct rep_table_spec sums = {.name = "sum@l",
	.kind = REP_CR,
	.dtype = REP_F32,
	.key_type = REP_KEY_U64,
	.dim = 2,
	.views = 1};
static const struct rep_table_spec *const tables[] = {&numbers, &codes, &bits, &halves, &sums};

static void require(bool holds)
{
	if (!holds) {
		abort();
	}
}

static size_t row_bytes(const struct jsonl_batch *batch, const struct rep_table_spec *spec)
{
	return dtype_row_bytes((enum dtype)batch->dtype, spec->dim, spec->views);
}

/* A column is empty, or has a value for each row. */
static void require_column(const struct buffer *column, size_t bytes)
{
	require(column->len == 0 || column->len == bytes);
}

static void judge(const struct jsonl_batch *batch, const struct rep_table_spec *spec)
{
	size_t at = 0;
	require(batch->rows.len == batch->count * row_bytes(batch, spec));
	require_column(&batch->scales, batch->count * sizeof(float));
	require_column(&batch->times, batch->count * sizeof(int64_t));
	require_column(&batch->tags, batch->count * sizeof(uint64_t));
	require_column(&batch->weights, batch->count * sizeof(double));
	require((batch->dtype == REP_I8) == (batch->scales.len > 0) || batch->count == 0);
	for (uint32_t i = 0; i < batch->count; i++) {
		require(at < batch->keys.len);
		if (batch->key_type == REP_KEY_U64) {
			at += 8;
		} else {
			const size_t len = batch->keys.data[at];
			require(len > 0 && len <= LIMIT_KEY_BYTES);
			at += 1 + len;
		}
	}
	require(at == batch->keys.len);
}

/* The first row of the batch. */
static struct jsonl_row first_row(const struct jsonl_batch *batch,
	const struct rep_table_spec *spec)
{
	const bool is_number = batch->key_type == REP_KEY_U64;
	return (struct jsonl_row){
		.key_type = batch->key_type,
		.key = batch->keys.data + (is_number ? 0 : 1),
		.key_len = is_number ? 8 : batch->keys.data[0],
		.dtype = batch->dtype,
		.dim = spec->dim,
		.views = spec->views,
		.values = batch->rows.data,
		.scale = batch->scales.len > 0 ? (const float *)(const void *)batch->scales.data
					       : NULL,
		.time = batch->times.len > 0 ? (const int64_t *)(const void *)batch->times.data
					     : NULL,
		.tags = batch->tags.len > 0 ? (const uint64_t *)(const void *)batch->tags.data
					    : NULL,
		.weight = batch->weights.len > 0 ? (const double *)(const void *)batch->weights.data
						 : NULL,
	};
}

static bool same_start(const struct buffer *one, const struct buffer *other)
{
	return other->len == 0 ||
	       (other->len <= one->len && memcmp(one->data, other->data, other->len) == 0);
}

/* Writes the first row, and reads it again. NaN has no spelling that keeps its bits. */
static void write_and_read(const struct jsonl_batch *batch, const struct rep_table_spec *spec)
{
	char *line = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&line, &len);
	const struct jsonl_row row = first_row(batch, spec);
	struct jsonl_reader *reader = NULL;
	struct jsonl_batch again = {0};
	struct error err = {.text = ""};
	require(out != NULL);
	jsonl_write(out, &row);
	require(fclose(out) == 0 && len > 0 && line[len - 1] == '\n');
	require(memchr(line, '\n', len - 1) == NULL);
	require(jsonl_reader_open(spec, &reader, &err) == STATUS_OK);
	require(jsonl_read(reader, line, len - 1, &again, &err) == STATUS_OK);
	require(again.count == 1);
	judge(&again, spec);
	require(same_start(&batch->keys, &again.keys));
	require(same_start(&batch->times, &again.times) && same_start(&batch->tags, &again.tags));
	const size_t values = spec->views * (size_t)spec->dim;
	if (batch->dtype == REP_I8 || dtype_first_nonfinite((enum dtype)batch->dtype,
					      batch->rows.data, values) == values) {
		require(same_start(&batch->rows, &again.rows));
	}
	jsonl_batch_fini(&again);
	jsonl_reader_close(reader);
	free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct jsonl_reader *reader = NULL;
	struct jsonl_batch batch = {0};
	struct error err = {.text = ""};
	if (size == 0) {
		return 0;
	}
	const struct rep_table_spec *spec = tables[data[0] % (sizeof tables / sizeof tables[0])];
	const char *at = (const char *)data + 1;
	const char *end = (const char *)data + size;
	enum status status = jsonl_reader_open(spec, &reader, &err);
	require(status == STATUS_OK);
	while (at < end && status == STATUS_OK) {
		const char *next = memchr(at, '\n', (size_t)(end - at));
		const size_t len = (size_t)((next != NULL ? next : end) - at);
		const uint32_t before = batch.count;
		status = jsonl_read(reader, at, len, &batch, &err);
		require(status == STATUS_OK || status == STATUS_BAD_REQUEST);
		require(batch.count == before + (status == STATUS_OK ? 1 : 0));
		if (status == STATUS_OK) {
			judge(&batch,
				spec); /* of a line that is refused the columns may have parts */
		}
		at += len + 1;
	}
	for (const char *c = err.text; *c != '\0'; c++) {
		require(*c >= ' ' && *c <= '~');
	}
	if (batch.count > 0) {
		write_and_read(&batch, spec);
	}
	jsonl_batch_fini(&batch);
	jsonl_reader_close(reader);
	return 0;
}
