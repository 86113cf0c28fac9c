/* stored.h - rows as they are given, as they are stored, and as they are read.
 *
 * A row is stored in the table's dtype, an i8 one with a scale beside it; a row of an aggregating
 * table as its state (aggregate.h): the sum S and behind it the weight W, in f32. Such a row is
 * given as S, with W in a column of its own, and read as the table's spec says, or raw as S.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_STORE_ROW_STORED_H
#define DAEMON_STORE_ROW_STORED_H

#include "daemon/store/row/batch.h"

/* Whether the batch's rows stand as they are to be stored. */
bool stored_is_given(const struct table_spec *spec, const struct row_batch *batch);

/* Turns a batch that was checked (batch.h) into rows to be stored.
 *   rows    out: keys.count of spec_row_bytes
 *   scales  out: float[keys.count] of an i8 table; else ignored */
void stored_take(const struct table_spec *spec, const struct row_batch *batch, uint8_t *rows,
	float *scales);

/* How rows are read. */
struct stored_reader {
	const struct table_spec *spec; /* borrowed */
	enum dtype dtype;              /* wanted */
	bool raw;                      /* of an aggregating table: S, whatever its spec says */
	uint8_t *row; /* owned: room for one aggregated row that is then converted; or NULL */
};

/* Errors: NO_MEMORY. */
enum status stored_reader_init(struct stored_reader *reader, const struct table_spec *spec,
	enum dtype dtype, bool raw);
void stored_reader_fini(struct stored_reader *reader);

/* Reads one stored row.
 *   scale   of an i8 row; else ignored
 *   target  out: a row of the wanted dtype
 *   target_scale  out: its scale if that is i8; NULL: not wanted. Any alignment. */
void stored_read(const struct stored_reader *reader, const uint8_t *row, const float *scale,
	uint8_t *target, uint8_t *target_scale);

#endif
