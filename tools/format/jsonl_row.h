/* jsonl_row.h - reads and writes one row as one JSON object.
 *
 * A row that was written reads back as the same bits: elements of f16 and bf16 are
 * written as floats, those of i8 as codes with a scale, bits as 0 and 1.
 *
 * Threads: one a reader or stream.
 */
#ifndef TOOLS_FORMAT_JSONL_ROW_H
#define TOOLS_FORMAT_JSONL_ROW_H

#include "repstore.h"
#include "schema/status.h"
#include "tools/format/buffer.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* ---- reading ---- */

/* Rows that were read, in columns. A zeroed one is empty. */
struct jsonl_batch {
	uint32_t count;
	enum rep_key_type key_type;
	enum rep_dtype
		dtype; /* f32; f64 if rows have weights; i8 if scales; bit for a table of bits */
	struct buffer keys; /* packed */
	struct buffer rows;
	struct buffer scales; /* empty unless i8 */
	struct buffer times;  /* empty: rows have none */
	struct buffer tags;
	struct buffer weights; /* f64, of an aggregating table */
	uint64_t history;      /* of a table with a history, as the next two: places of a row */
	struct buffer counts;
	struct buffer history_times;
};

void jsonl_batch_clear(struct jsonl_batch *batch);
void jsonl_batch_fini(struct jsonl_batch *batch);
/* Fills `out` with pointers into the batch; a column that it does not have is NULL. */
void jsonl_batch_rows(const struct jsonl_batch *batch, struct rep_rows *out);

struct jsonl_reader;

/* Reads rows for tables of this spec, which is borrowed. Errors: NO_MEMORY. */
enum status jsonl_reader_open(const struct rep_table_spec *spec, struct jsonl_reader **out,
	struct error *err);
void jsonl_reader_close(struct jsonl_reader *reader); /* NULL is fine */

/* Adds the row of one line. Errors: BAD_REQUEST, naming the field; NO_MEMORY. */
enum status jsonl_read(struct jsonl_reader *reader, const char *text, size_t len,
	struct jsonl_batch *batch, struct error *err);

/* ---- writing ---- */

struct jsonl_row {
	enum rep_key_type key_type;
	const uint8_t *key; /* 8 bytes little-endian, or the bytes of the string */
	size_t key_len;
	enum rep_dtype dtype;
	uint32_t dim;
	uint32_t views;
	const void *values;   /* any alignment; NULL: no vector */
	const float *scale;   /* i8; or NULL */
	const int64_t *time;  /* or NULL */
	const uint64_t *tags; /* or NULL */
	const double *weight; /* or NULL */
	/* Of a table with a history: the vectors of the first `taken` of its places are written, and
	 * their times, unless that is NULL. 0 places: it has none. */
	uint32_t history;
	uint32_t taken;
	const int64_t *history_times;
	const char *why; /* or NULL */
};

/* Writes the object and a newline. */
void jsonl_write(FILE *out, const struct jsonl_row *row);

/* Element i of a row, as a double; for i8 the code, without the scale. */
double jsonl_element(enum rep_dtype dtype, const void *values, size_t i);

/* Where element `i` of view `view` stands in a row. Each view of bits begins at a whole byte. */
static inline size_t jsonl_index(enum rep_dtype dtype, uint32_t dim, uint32_t view, uint32_t i)
{
	assert(i < dim);
	size_t width = dtype == REP_BIT ? ((size_t)dim + 7) / 8 * 8 : dim;
	return view * width + i;
}

#endif
