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
	struct query query;        /* points into the next two */
	void *vectors;             /* owned */
	float *weights;            /* owned; NULL: none were given */
};

extern const char *const query_names[];

/* Reads `from`, `through` and `weights`. `of` is filled whatever it returns.
 * Errors: BAD_REQUEST  naming the argument, and both shapes where they do not fit; NOT_FOUND  a
 * table, or the row of a key; TOO_LARGE; CORRUPT; AGAIN  it would have to wait for the disk, and
 * the call may not; NO_MEMORY. */
enum status query_of_read(struct query_of *of, struct params *params,
	const struct query_place *place);
void query_of_fini(struct query_of *of); /* zeroed is fine */

#endif
