/* given_wants.h - the columns that a part of a fetch has beside its rows.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_METHOD_CALL_GIVEN_WANTS_H
#define DAEMON_METHOD_CALL_GIVEN_WANTS_H

#include "daemon/method/call/params.h"
#include "schema/dtype.h"

struct table;

enum {
	WANT_SCALES = 1u, /* rows of i8 have them, asked or not */
	WANT_TIMES = 2u,
	WANT_TAGS = 4u,
	WANT_WHY = 8u,
	WANT_WEIGHTS = 16u,
	WANT_HISTORY =
		32u, /* how many places a row has; histories have it and the next, asked or not */
	WANT_COUNTS = 64u,
	WANT_HISTORY_TIMES = 128u,
};

/* Reads the flags of a part. The error's text is in params->err.
 *   dtype  of the rows that leave
 * Errors: BAD_REQUEST  the table does not have the column. */
unsigned given_wants_read(struct params *params, const struct table *table, enum dtype dtype);

#endif
