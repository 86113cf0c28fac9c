/* filter_of.h - the filter that a request gives: lists of keys and masks of tags.
 *
 * Threads: one at a time; the filter points into the call's message.
 */
#ifndef DAEMON_METHOD_QUERY_FILTER_OF_H
#define DAEMON_METHOD_QUERY_FILTER_OF_H

#include "daemon/method/call/keys_of.h"
#include "daemon/method/call/params.h"
#include "daemon/search/filter.h"
#include "schema/spec.h"

/* Zeroed, it lets everything pass. */
struct filter_of {
	struct filter filter; /* points into the next two */
	struct keys_of allow;
	struct keys_of deny;
};

/* Reads the five params of a filter. `of` is filled, and needs filter_of_fini, also after a
 * failure. Errors: BAD_REQUEST  also tags of a table that has none; TOO_LARGE; NO_MEMORY. */
enum status filter_of_read(struct filter_of *of, struct params *params,
	const struct table_spec *items);
void filter_of_fini(struct filter_of *of);

#endif
