/* given_rows.h - the keys and columns of rows that a request gives, checked against their table.
 *
 *     given_rows_read  checks type, count and size of each column, then packs the keys
 *     given_rows_fini  also after a failure, or when zeroed
 *
 * Threads: one at a time; the batch points into the call's message.
 */
#ifndef DAEMON_METHOD_CALL_GIVEN_ROWS_H
#define DAEMON_METHOD_CALL_GIVEN_ROWS_H

#include "daemon/method/call/given_keys.h"
#include "daemon/method/call/params.h"
#include "daemon/store/row/batch.h"

struct call;

struct given_rows {
	struct given_keys keys;
	struct row_batch batch;
};

/* Copies the spec of a table, to check rows against it. `where` is as in params.
 * Errors: NOT_FOUND  naming the release or the table. */
enum status given_rows_find(struct call *call, const char *release_id, const char *name,
	const char *where, struct table_spec *spec);

/* Reads keys, dtype, rows, scales, times, any_time, tags, weights, counts, history_times and allow_nonfinite from a call's
 * params. now_ms: the request's clock. Errors: BAD_REQUEST, TOO_LARGE, NO_MEMORY; the error's text is in params->err. */
enum status given_rows_read(struct given_rows *rows, struct params *params,
	const struct table_spec *spec, int64_t now_ms);

void given_rows_fini(struct given_rows *rows);

#endif
