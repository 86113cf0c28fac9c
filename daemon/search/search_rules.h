/* search_rules.h - two questions of every search: may it go on, and may a row be found?
 *
 * Threads: as search.h.
 */
#ifndef DAEMON_SEARCH_SEARCH_RULES_H
#define DAEMON_SEARCH_SEARCH_RULES_H

#include "daemon/search/search_state.h"
#include "daemon/store/row/age.h"

/* May the search go on? Errors: AGAIN  it takes too long on a
 * loop; TIMEOUT; CLOSED  nobody waits. */
enum status search_check_time(const struct search *search, struct error *err);

/* Do the tags and the age of a row let it be found? `tags` may be NULL: the table has none. */
static inline bool search_passes(const struct search *search, const int64_t *time_ms,
	const uint64_t *tags)
{
	const uint64_t ttl_ms = search_spec(search)->ttl_ms;
	const struct filter *filter = search->options.filter;
	if (ttl_ms != 0 && age_is_over(*time_ms, search->options.place->now_ms, ttl_ms)) {
		return false;
	}
	return !filter->has_tags || tags == NULL || filter_passes_tags(filter, *tags);
}

/* Is this row denied, or superseded by a later write? This costs a look-up, so it is asked only of
 * a row whose score is good enough. Errors: CORRUPT. */
enum status search_is_dropped(const struct search *search, uint64_t id, bool *out);

#endif
