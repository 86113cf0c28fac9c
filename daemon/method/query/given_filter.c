/* given_filter.c - reads lists of keys and masks of tags. */
#include "daemon/method/query/given_filter.h"

#include <assert.h>

#include "daemon/method/call/call.h"

/* One of the two lists. */
struct list {
	const char *name;
	const char *where;       /* errors write it before "keys": "allow: " */
	struct given_keys *keys; /* out */
	struct key_set *set;     /* out */
};

static enum status read_list(const struct list *list, struct params *params, struct call *call,
	enum key_type type)
{
	struct given_keys *keys = list->keys;
	struct wire_value given = params_value(params, list->name, PARAM_OPTIONAL);
	if (params->status != STATUS_OK || given.object == NULL) {
		return params->status;
	}
	enum status status = call_charge(call, COST_KEYS, given_keys_cost(given, type));
	if (status == STATUS_OK) {
		status = given_keys_begin(keys, given, type, list->where, params->err);
	}
	if (status == STATUS_OK) {
		status = call_take_keys(call, keys->batch.count);
	}
	if (status == STATUS_OK) {
		status =
			call_charge(call, COST_KEYS, (uint64_t)keys->batch.count * COST_SET_KEY_NS);
	}
	if (status == STATUS_OK) {
		status = given_keys_pack(keys, params->err);
	}
	if (status == STATUS_OK && key_set_init(list->set, &keys->batch) != STATUS_OK) {
		params_fail(params, STATUS_NO_MEMORY, list->name, "no memory");
		return params->status;
	}
	return status;
}

enum status given_filter_read(struct given_filter *of, struct params *params, struct call *call,
	const struct table_spec *items)
{
	struct filter *filter = &of->filter;
	const struct list allow = {"allow", "allow: ", &of->allow, &filter->allowed};
	const struct list deny = {"deny", "deny: ", &of->deny, &filter->denied};
	*of = (struct given_filter){
		.filter.tags_all = params_uint_or(params, "tags_all", 0),
		.filter.tags_none = params_uint_or(params, "tags_none", 0),
	};
	filter->has_tags_any = params_uint_given(params, "tags_any", &filter->tags_any);
	filter->has_tags = filter->has_tags_any || (filter->tags_all | filter->tags_none) != 0;
	if (filter->has_tags && !items->tags) {
		params_fail(params, STATUS_BAD_REQUEST,
			filter->has_tags_any    ? "tags_any"
			: filter->tags_all != 0 ? "tags_all"
						: "tags_none",
			"table '%s' has no tags", items->name.text);
	}
	filter->has_allow = wire_get(params->map, "allow").object != NULL;
	enum status status = params->status;
	if (status == STATUS_OK) {
		status = read_list(&allow, params, call, items->key_type);
		filter->allow = of->allow.batch;
	}
	if (status == STATUS_OK) {
		status = read_list(&deny, params, call, items->key_type);
	}
	assert(status != STATUS_OK || filter->has_allow == !key_set_is_empty(&filter->allowed));
	assert(status != STATUS_OK || !filter->has_tags || items->tags);
	return status;
}

void given_filter_fini(struct given_filter *of)
{
	key_set_fini(&of->filter.allowed);
	key_set_fini(&of->filter.denied);
	given_keys_fini(&of->allow);
	given_keys_fini(&of->deny);
}
