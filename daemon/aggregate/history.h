/* history.h - the newest vectors of a key, in the order of their times, one row at a time.
 *
 * A row's state is, for N places of dim x views elements each:
 *
 *     vectors  [N, views, dim] in the table's dtype, oldest first, filled up to 8 bytes
 *     times    i64[N], Unix ms, never falling
 *     count    u64: places 0 to count - 1 are taken. The others are zero, vectors and times
 *
 * So a sequence model gets its positions in the order in which things happened, and masks those that
 * are not below the count. A sample goes behind all that are not younger: samples of one time stay in the
 * order in which they came. When all places are taken, the oldest one falls off, which may be the
 * sample itself. So a state is the last N of all samples, sorted by time with a stable sort,
 * however they came.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_AGGREGATE_HISTORY_H
#define DAEMON_AGGREGATE_HISTORY_H

#include "daemon/aggregate/aggregate.h"
#include "schema/spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Adds one sample to a row of a table with a history. row->state has spec_row_bytes; row->last_ms
 * becomes the time of the newest vector. False: the sample is not finite in the table's dtype; then
 * nothing has changed.
 *   sample  f32[dim x views] */
bool history_add(struct aggregate *row, const struct table_spec *spec, int64_t time_ms,
	const float *sample);

/* Makes a state of vectors that are in their order already.
 *   vectors  [count, views, dim] of any dtype that converts into the table's, one scale for all of i8
 *   times    i64[count], never falling, any alignment
 *   count    1..spec->history
 *   state    out: spec_row_bytes */
void history_make(const struct table_spec *spec, const struct dtype_rows *vectors,
	const uint8_t *times, uint32_t count, uint8_t *state);

/* How many places of a stored state are taken: at most spec->history. */
uint32_t history_count(const struct table_spec *spec, const uint8_t *state);

/* Where the times of a stored state are: i64[spec->history], any alignment. Its vectors are at its
 * beginning. */
const uint8_t *history_times(const struct table_spec *spec, const uint8_t *state);

#endif
