/* given_filter.h - the filter that a request gives: lists of keys and masks of tags.
 *
 * Threads: one at a time; the filter points into the call's message.
 */
#ifndef DAEMON_METHOD_QUERY_GIVEN_FILTER_H
#define DAEMON_METHOD_QUERY_GIVEN_FILTER_H

#include "daemon/method/call/given_keys.h"
#include "daemon/method/call/params.h"
#include "daemon/search/filter.h"
#include "schema/spec.h"

struct call;

/* Zeroed, it lets everything pass. */
struct given_filter {
	struct filter filter; /* points into the next two */
	struct given_keys allow;
	struct given_keys deny;
};

/* Reads the five params of a filter, and charges the call for its lists. `of` is filled, and needs given_filter_fini, also after a
 * failure. Errors: BAD_REQUEST  also tags of a table that has none; TOO_LARGE; AGAIN; NO_MEMORY. */
enum status given_filter_read(struct given_filter *of, struct params *params, struct call *call,
	const struct table_spec *items);
void given_filter_fini(struct given_filter *of);

#endif
