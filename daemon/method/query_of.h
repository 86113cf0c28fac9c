/* query_of.h - what a search looks for: vectors of a table's rows, or vectors that were sent.
 *
 *     from  {table, keys, max_age_ms?}: each key's row is a query; its views are the query's parts
 *           {dim, views?, dtype?, rows, scales?}: each row is one; the request names its release
 *     through  stored layers that the rows go through first; what leaves them is one part
 *     weights  f32 of each part, in a bin or an array
 *
 * Threads: one at a time, in the snapshot that the release is of.
 */
#ifndef DAEMON_METHOD_QUERY_OF_H
#define DAEMON_METHOD_QUERY_OF_H

#include "daemon/method/query_place.h"
#include "daemon/store/lookup.h"

#include <stdint.h>

struct query_of {
	const struct table *table; /* borrowed: whose rows they are; NULL: they were sent */
	uint32_t count;            /* queries */
	uint32_t parts;            /* vectors of each */
	uint32_t dim;              /* elements of each, as of the items */
	void *vectors;  /* owned: [count, parts, dim], f32, or for metrics of bits bits */
	float *weights; /* owned: [parts]; NULL: 1 */
};

extern const char *const query_names[];

/* Reads `from`, `through` and `weights`. `query` is filled whatever it returns.
 * Errors: BAD_REQUEST  naming the argument, and both shapes where they do not fit; NOT_FOUND  a
 * table, or the row of a key; TOO_LARGE; CORRUPT; AGAIN  it would have to wait for the disk, and
 * the call may not; NO_MEMORY. */
enum status query_of_read(struct query_of *query, struct params *params,
	const struct query_place *place);
void query_of_fini(struct query_of *query); /* zeroed is fine */

#endif
