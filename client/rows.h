/* rows.h - rows that a caller gives, on their way into a request.
 *
 * Threads: one at a time.
 */
#ifndef CLIENT_ROWS_H
#define CLIENT_ROWS_H

#include "client/client.h"
#include "schema/dtype.h"

/* Checks what can be told without the table.
 *
 *   dtype  that the rows have; DTYPE_NONE: the table's, which is not known here
 *
 * Errors: BAD_REQUEST, TOO_LARGE. */
enum status rows_check(const struct rep_rows *rows, enum dtype dtype, struct error *err);

/* Entries of a map that rows_write writes: all but `if_newer`. */
size_t rows_fields(const struct rep_rows *rows);

/* Writes them into the map begun, as its last ones. The rows themselves stay where
 * they are: they become the request's tail. */
void rows_write(rep_client *client, const struct rep_rows *rows, size_t rows_bytes);

/* The same for the matrix alone, as the entry "rows". */
void rows_write_tail(rep_client *client, const void *rows, size_t bytes);

#endif
