/* rows.h - rows that a caller gives, on their way into a request.
 *
 * Threads: one at a time.
 */
#ifndef CLIENT_ROWS_H
#define CLIENT_ROWS_H

#include "client/request.h"
#include "repstore.h"
#include "schema/dtype.h"

/* Checks what can be checked without the table.
 *
 *   dtype  of the rows; DTYPE_NONE: that of the table, which is not known here
 *
 * Errors: BAD_REQUEST, TOO_LARGE. */
enum status rows_check(const struct rep_rows *rows, enum dtype dtype, struct error *err);

/* How many map entries rows_write writes. `if_newer` is none of them: the caller writes it. */
size_t rows_fields(const struct rep_rows *rows);

/* Writes these entries, as the last ones of the map that was begun. The matrix is not copied: it
 * becomes the request's tail.
 *
 *   lists  how many rows with keys the request has, as of keys_write */
void rows_write(struct request *request, const struct rep_rows *rows, size_t rows_bytes,
	size_t lists);

#endif
