/* given_missing.h - what a key gets that has no row: the default row of its table, or what it gets without that.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_METHOD_CALL_GIVEN_MISSING_H
#define DAEMON_METHOD_CALL_GIVEN_MISSING_H

#include "daemon/method/call/params.h"
#include "schema/spec.h"

#include <stdbool.h>

/* Reads the argument `missing`, "default" or the word `otherwise`, which is meant where it is left out.
 * True: the default row. Errors, in params: BAD_REQUEST  another word, or a table without a default
 * row. */
bool given_missing_is_default(struct params *params, const struct table_spec *spec,
	const char *otherwise);

#endif
