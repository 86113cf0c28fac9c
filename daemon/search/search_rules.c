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
	const uint8_t *key;
	size_t len;
	const enum status status = rows_get_key(&search->rows, id, &key, &len);
	if (status == STATUS_OK) {
		*out = key_set_has(denied, key, len) ||
		       rows_is_superseded(&search->rows, id, key, len);
	}
	return status;
}
