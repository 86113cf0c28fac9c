/* rows_of.h - the keys and columns of rows that a request gives, checked against their table.
 *
 *     rows_of_read  checks type, count and size of each column, then packs the keys
 *     rows_of_fini  also after a failure, or when zeroed
 *
 * Threads: one at a time; the batch points into the call's message.
 */
#ifndef DAEMON_METHOD_CALL_ROWS_OF_H
#define DAEMON_METHOD_CALL_ROWS_OF_H

#include "daemon/method/call/keys_of.h"
#include "daemon/method/call/params.h"
#include "daemon/store/row/batch.h"

struct call;

struct rows_of {
	struct keys_of keys;
	struct row_batch batch;
};

/* Copies the spec of a table, to check rows against it. `where` is as in params.
 * Errors: NOT_FOUND  naming the release or the table. */
enum status rows_of_find(struct call *call, const char *release_id, const char *name,
	const char *where, struct table_spec *spec);

/* Reads keys, dtype, rows, scales, times, tags, weights and allow_nonfinite from a call's params.
 * Errors: BAD_REQUEST, TOO_LARGE, NO_MEMORY; the error's text is in params->err. */
enum status rows_of_read(struct rows_of *rows, struct params *params,
	const struct table_spec *spec);

void rows_of_fini(struct rows_of *rows);

#endif
