/* filter.h - which rows a search may find.
 *
 *     allow      only rows of these keys are found
 *     deny       rows of these keys are not found
 *     tags_any   at least one of these bits must be set; with no bit in it nothing is found
 *     tags_all   all of these bits must be set
 *     tags_none  none of these bits may be set
 *
 * Threads: one fills it, then any may ask.
 */
#ifndef DAEMON_SEARCH_FILTER_H
#define DAEMON_SEARCH_FILTER_H

#include "daemon/search/key_set.h"
#include "schema/key.h"

#include <stdbool.h>
#include <stdint.h>

/* Zeroed, it lets everything pass. */
struct filter {
	bool has_allow;         /* the next two are given; an empty list allows nothing */
	struct keys allow;      /* borrowed */
	struct key_set allowed; /* the same keys */
	struct key_set denied;
	bool has_tags; /* one of the next four is a condition */
	bool has_tags_any;
	uint64_t tags_any;
	uint64_t tags_all;
	uint64_t tags_none;
};

static inline bool filter_passes_tags(const struct filter *filter, uint64_t tags)
{
	return (!filter->has_tags_any || (tags & filter->tags_any) != 0) &&
	       (tags & filter->tags_all) == filter->tags_all && (tags & filter->tags_none) == 0;
}

#endif
