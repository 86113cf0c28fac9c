/* search_rules.c - reads the clock; looks a row up to tell whether it is dropped. */
#include "daemon/search/search_rules.h"

#include "daemon/store/system/clock.h"

enum status search_check_time(const struct search *search, struct error *err)
{
	if (search->leaves_ns != UINT64_MAX && clock_monotonic_ns() >= search->leaves_ns) {
		return STATUS_AGAIN;
	}
	return stop_check(search->options.stop, err);
}

enum status search_is_dropped(const struct search *search, uint64_t id, bool *out)
{
	const struct key_set *denied = &search->options.filter->denied;
	*out = false;
	if (key_set_is_empty(denied) && !rows_may_be_superseded(&search->rows, id)) {
		return STATUS_OK;
	}
	struct frame_row row;
	const enum status status = rows_get(&search->rows, id, &row);
	if (status == STATUS_OK) {
		*out = key_set_has(denied, row.key, row.key_len) ||
		       rows_is_superseded(&search->rows, id, &row);
	}
	return status;
}
