/* given_query.h - the queries of a request: rows of a table, or vectors that it sends.
 *
 *     from     {table, keys, max_age_ms?, missing?}: the row of each key is a query, each of its views
 *              a part; with `missing` "default" a key without a row asks with the table's default row
 *              {dim, views?, dtype?, rows, scales?}: each row is a query; the request must name
 *              its release
 *              of a table with a history each of its vectors is a part, which may be weighed by
 *              their ages (history_half_life_ms)
 *     through  stored layers that the rows go through first; what leaves them has one part
 *     weights  an f32 for each part, in a bin or an array
 *
 * Threads: one at a time, in the snapshot that the release is of.
 */
#ifndef DAEMON_METHOD_QUERY_GIVEN_QUERY_H
#define DAEMON_METHOD_QUERY_GIVEN_QUERY_H

#include "daemon/method/query/query_place.h"
#include "daemon/store/read/lookup.h"

#include <stdbool.h>
#include <stdint.h>

struct given_query {
	const struct table *table; /* borrowed; the rows are of this table; NULL: they were sent */
	struct query query;        /* points into the next two */
	void *vectors;             /* owned */
	float *weights;            /* owned; NULL: none were given */
	struct given_places *places; /* owned; of histories; else NULL */
	bool defaults;               /* queries without a row are the table's default row */
	uint8_t defaulted[(LIMIT_QUERIES + 7) /
			  8]; /* which they are: a bit each, the lowest first */
};

extern const char *const query_names[];

/* Reads `from`, `through` and `weights`. `of` is filled, and needs given_query_fini, also after a
 * failure.
 * Errors: BAD_REQUEST  naming the argument, and both shapes where they do not fit; NOT_FOUND  a
 * table, or the row of a key; TOO_LARGE; CORRUPT; AGAIN  it would wait for the disk, and the call
 * may not block; NO_MEMORY. */
enum status given_query_read(struct given_query *of, struct params *params,
	const struct query_place *place);
void given_query_fini(struct given_query *of); /* zeroed is fine */

/* An entry of the reply, `defaulted`, where it was asked for; how many entries that is. */
unsigned given_query_reply_fields(const struct given_query *of);
void given_query_reply(const struct given_query *of, struct wire_writer *out);

#endif
