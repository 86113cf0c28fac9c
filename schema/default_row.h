/* default_row.h - the row that stands in for one that a table does not have.
 *
 * A table's spec says which it is (enum default_kind). One that is given is in the table's dtype, and
 * is what a fetch of the table gives: of a table of kind cr the vector, not the sum. A mean is f32,
 * and is there from the seal on. Zeros need no row. The row travels beside the spec, in `default_row`
 * and, of i8, `default_scale`.
 *
 * Threads: any; there is no state.
 */
#ifndef SCHEMA_DEFAULT_ROW_H
#define SCHEMA_DEFAULT_ROW_H

#include "schema/spec.h"

struct default_row {
	enum dtype dtype;
	float scale;        /* of i8; else 0 */
	size_t bytes;       /* of one row */
	const uint8_t *row; /* NULL: there is none */
};

/* What the row of such a table takes; DTYPE_NONE and 0 for one that needs no row. */
enum dtype default_row_dtype(const struct table_spec *spec);
size_t default_row_bytes(const struct table_spec *spec);

/* Who has written the map: whoever creates a table gives the row of DEFAULT_ROW and no other; what is
 * stored or shown may have the mean as well. */
enum default_row_from { DEFAULT_ROW_GIVEN, DEFAULT_ROW_STORED };

/* Reads `default_row` and `default_scale`, and checks that they are a finite row of the spec. out->row
 * points into the message, or is NULL. Errors: BAD_REQUEST, naming the field. */
enum status default_row_read(struct wire_value map, const struct table_spec *spec,
	enum default_row_from from, struct default_row *out, struct error *err);

/* Writes DEFAULT_ROW_FIELDS entries into a map that the caller has begun. */
enum { DEFAULT_ROW_FIELDS = 2 };
void default_row_write(struct wire_writer *writer, const struct default_row *row);

/* A copy with its row behind it: free() it. NULL: no memory. */
struct default_row *default_row_copy(const struct default_row *from);

/* The row in another dtype, as a fetch gives it.
 *   to      not bit, unless the row is
 *   target  out: dtype_row_bytes(to, ...)
 *   scale   out: of i8, else 0 */
void default_row_convert(const struct default_row *row, const struct table_spec *spec,
	enum dtype to, uint8_t *target, float *scale);

#endif
