/* stored.h - rows as they are given, as they are stored, and as they are read.
 *
 * A row is stored in the table's dtype; an i8 row has a scale beside it. A row of an aggregating
 * table is stored as its state (aggregate.h): the sum S, or its high parts, and behind it the weight
 * W. Low parts of S follow where a row is one block of bytes, and stand in a column of their own in a
 * segment, since most reads leave them out. It is given as S, with W in a column of its own. It is read
 * as the table's spec says, or raw, as S. A row of a table with a history is stored as that
 * (history.h), and read as its vectors.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_STORE_ROW_STORED_H
#define DAEMON_STORE_ROW_STORED_H

#include "daemon/store/row/batch.h"

#include <string.h>

/* Whether the batch's rows are already in the form in which they are stored. */
bool stored_is_given(const struct table_spec *spec, const struct row_batch *batch);

/* Turns a batch that was checked (batch.h) into rows to be stored.
 *   rows    out: keys.count of spec_stored_bytes
 *   scales  out: float[keys.count] of an i8 table; else ignored */
void stored_take(const struct table_spec *spec, const struct row_batch *batch, uint8_t *rows,
	float *scales);

/* How rows are read. */
struct stored_reader {
	const struct table_spec *spec; /* borrowed */
	enum dtype dtype;              /* wanted */
	bool raw; /* an aggregating table gives S, whatever its spec says; others look past it. In
		   * f64, which no other read is in, S with its low parts; else without */
	size_t same_bytes; /* of a row that is read as it is stored; 0: it is read otherwise */
	uint8_t *row; /* owned: room for one row of an aggregating table, in f32, where it is then
		       * converted; else NULL */
};

/* Errors: NO_MEMORY. */
enum status stored_reader_init(struct stored_reader *reader, const struct table_spec *spec,
	enum dtype dtype, bool raw);
void stored_reader_fini(struct stored_reader *reader);

/* A stored row, wherever it stands; borrowed. */
struct stored_row {
	const uint8_t *data; /* spec_row_bytes */
	const uint8_t *low;  /* spec_low_bytes; only read into f64, and NULL if there are none */
	const float *scale;  /* of an i8 row; else ignored */
};

/* Reads a row that is not read as it is stored. */
void stored_read_otherwise(const struct stored_reader *reader, const struct stored_row *stored,
	uint8_t *target, uint8_t *target_scale);

/* Reads one stored row. Most are read as they are stored, so that is inline: 500 at a time, a call each would be felt.
 *   target        out: a row of the wanted dtype, at any alignment
 *   target_scale  out: its scale if that is i8, at any alignment; NULL: not wanted */
static inline void stored_read(const struct stored_reader *reader, const struct stored_row *stored,
	uint8_t *target, uint8_t *target_scale)
{
	if (reader->same_bytes == 0) {
		stored_read_otherwise(reader, stored, target, target_scale);
		return;
	}
	memcpy(target, stored->data, reader->same_bytes);
	if (target_scale != NULL && stored->scale != NULL) {
		memcpy(target_scale, stored->scale, sizeof *stored->scale);
	}
}

#endif
