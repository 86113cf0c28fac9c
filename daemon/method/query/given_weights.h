/* given_weights.h - the weights that a request gives to the vectors of its queries.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_METHOD_QUERY_GIVEN_WEIGHTS_H
#define DAEMON_METHOD_QUERY_GIVEN_WEIGHTS_H

#include "daemon/method/call/params.h"
#include "schema/status.h"

struct given_query;

/* Reads `weights`, if they are given. Errors: BAD_REQUEST  not one for each vector of a query, not
 * finite, or of histories; NO_MEMORY. The error's text is in params->err. */
enum status given_weights_read(struct given_query *of, struct params *params);

#endif
