/* search_list.c - looks the keys of a list up and keeps the best rows that pass the filter. */
#include "daemon/search/search_list.h"

#include <assert.h>

#include "daemon/search/listed.h"
#include "daemon/search/search_rules.h"

static bool passes(const struct search *search, const struct listed *listed, uint32_t i)
{
	const struct filter *filter = search->options.filter;
	const uint32_t number = listed->first + i;
	size_t len;
	const uint8_t *key = keys_bytes(&filter->allow, number, &len);
	return listed_has(listed, i) && key_set_is_first(&filter->allowed, number) &&
	       !key_set_has(&filter->denied, key, len) &&
	       (listed->tags == NULL || filter_passes_tags(filter, listed->tags[i]));
}

static void push_listed(struct search *search, const struct listed *listed)
{
	assert(listed->first + listed->count <= search->options.filter->allow.count);
	for (uint32_t i = 0; i < listed->count; i++) {
		if (!passes(search, listed, i)) {
			continue;
		}
		search->compared++;
		for (uint32_t query = 0; query < search->options.query->count; query++) {
			topk_push(&search->tops[query],
				listed->scores[(size_t)query * search->scorer.rows_max + i],
				listed->first + i);
		}
	}
}

enum status search_list(struct search *search, struct error *err)
{
	const struct search_place *place = search->options.place;
	assert(search_is_listed(search));
	const struct lookup lookup = {
		.table = place->items,
		.keys = search->options.filter->allow,
		.visible = place->visible,
		.now_ms = place->now_ms,
		.may_block = search->options.may_block,
		.stop = search->options.stop,
	};
	struct listed listed = {0};
	enum status status = search_restart(search);
	if (status == STATUS_OK) {
		status = listed_begin(&listed, &lookup, &search->scorer);
	}
	if (status != STATUS_OK) {
		return error_set(err, status, "no memory for a search");
	}
	do {
		status = search_check_time(search, err);
		if (status == STATUS_OK) {
			status = listed_next(&listed, err);
		}
		if (status == STATUS_OK) {
			push_listed(search, &listed);
		}
	} while (status == STATUS_OK && listed.count > 0);
	listed_end(&listed);
	return status;
}
