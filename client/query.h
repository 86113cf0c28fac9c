/* query.h - what a search looks for, on its way into a request.
 *
 * Threads: any; there is no state.
 */
#ifndef CLIENT_QUERY_H
#define CLIENT_QUERY_H

#include "repstore.h"
#include "schema/status.h"
#include "schema/wire.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	/* Of a request that searches, at most: of the query, and two of items. */
	QUERY_KEY_LISTS = 3,
};

/* Checks what can be checked without the daemon. Errors: BAD_REQUEST, TOO_LARGE. */
enum status query_check(const struct rep_query *query, struct error *err);

/* How many map entries query_write writes: from, and perhaps through and weights. */
size_t query_fields(const struct rep_query *query);
void query_write(struct wire_writer *writer, const struct rep_query *query);
/* What a daemon must have for it, of enum hello_feature. */
unsigned query_needs(const struct rep_query *query);

/* Which queries of an answer are default rows: a bit each, none where they were not asked for. False: the
 * answer does not say it rightly. */
bool query_read_defaulted(struct wire_value result, const struct rep_query *query,
	struct wire_bytes *out);

#endif
