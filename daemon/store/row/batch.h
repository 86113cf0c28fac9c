/* batch.h - rows as they come from outside, and what must hold before they are taken.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_STORE_ROW_BATCH_H
#define DAEMON_STORE_ROW_BATCH_H

#include "schema/dtype.h"
#include "schema/key.h"
#include "schema/spec.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stdint.h>

/* Keys and columns. All are borrowed, and may have any alignment. */
struct row_batch {
	struct keys keys;
	enum dtype dtype;      /* of rows */
	const uint8_t *rows;   /* keys.count rows */
	size_t rows_bytes;     /* of all of them */
	const uint8_t *scales; /* f32[count] for i8, else NULL */
	const uint8_t *times;  /* i64[count], or NULL: batch_time's `otherwise` */
	const uint8_t *tags;   /* u64[count], or NULL: 0 */
	/* Of an aggregating table, whose rows are sums: f64[count], above 0; or NULL: 1. */
	const uint8_t *weights;
	/* Of a table with a history, whose rows are [history, views, dim] here; else 0 and NULL. How many
	 * places of each row are taken, u32[count], and the times of all of them, i64[count, history].
	 * The time of a row is that of its newest vector, so it has no `times`. */
	uint32_t history;
	const uint8_t *history_counts;
	const uint8_t *history_times;
	bool allow_nonfinite;
};

/* Checks that keys, dtype, rows, tags, weights and times fit the table, and that the rows are
 * finite as they were given. Errors: BAD_REQUEST, naming the column, what was given and what is
 * allowed. */
enum status batch_check(const struct row_batch *batch, const struct table_spec *spec,
	struct error *err);

/* Checks that the rows are still finite as they are stored, in the table's dtype: an f32 may be too
 * large for f16.
 *   rows    keys.count of spec_stored_bytes
 *   scales  float[keys.count] of an i8 table; else ignored
 * Errors: BAD_REQUEST. */
enum status batch_check_stored(const struct row_batch *batch, const struct table_spec *spec,
	const uint8_t *rows, const float *scales, struct error *err);

/* How many places of row i are taken, and where their times are; of a table with a history. */
uint32_t batch_history_count(const struct row_batch *batch, uint32_t i);
const uint8_t *batch_history_times(const struct row_batch *batch, uint32_t i);

/* Time, tags and weight of row i; without a column `otherwise`, 0 and 1. */
int64_t batch_time(const struct row_batch *batch, uint32_t i, int64_t otherwise);
uint64_t batch_tags(const struct row_batch *batch, uint32_t i);
double batch_weight(const struct row_batch *batch, uint32_t i);

#endif
