/* filter.h - which rows a search may find.
 *
 *     allow, deny  keys: no others; not these
 *     tags_any     at least one of these bits is set; tags_all: all of them; tags_none: none
 *
 * Threads: one reads it, then any may ask.
 */
#ifndef DAEMON_METHOD_FILTER_H
#define DAEMON_METHOD_FILTER_H

#include "daemon/method/key_set.h"
#include "daemon/method/keys_of.h"
#include "daemon/method/params.h"
#include "schema/spec.h"

/* Zeroed, it lets everything pass. */
struct filter {
	bool has_allow; /* the next two are given; an empty list allows nothing */
	struct keys_of allow;
	struct key_set allowed;
	struct keys_of deny;
	struct key_set denied;
	bool has_tags; /* the next three are not all 0 */
	uint64_t tags_any;
	uint64_t tags_all;
	uint64_t tags_none;
};

/* Reads the five params; `filter` is filled whatever it returns.
 * Errors: BAD_REQUEST  also tags of a table that has none; TOO_LARGE; NO_MEMORY. */
enum status filter_read(struct filter *filter, struct params *params,
	const struct table_spec *items);
void filter_fini(struct filter *filter);

static inline bool filter_passes_tags(const struct filter *filter, uint64_t tags)
{
	return (filter->tags_any == 0 || (tags & filter->tags_any) != 0) &&
	       (tags & filter->tags_all) == filter->tags_all && (tags & filter->tags_none) == 0;
}

#endif
