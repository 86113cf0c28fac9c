/* retrieve.c - the items of a table that are best for some queries.
 *
 *   params -> query_place -> given_query, given_filter, with -> [AGAIN: too much for a loop]
 *          -> search -> keys and scores of each query, and the rows that go with them
 */
#include "daemon/method/methods.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/method/call/call_snapshot.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/method/query/given_filter.h"
#include "daemon/method/query/given_query.h"
#include "daemon/method/query/with.h"
#include "daemon/search/search.h"
#include "daemon/store/state/reader.h"

const char *const retrieve_names[] = {"release", "from", "through", "weights", "in", "k", "metric",
	"approximate", "min_score", "allow", "deny", "tags_any", "tags_all", "tags_none", "with",
	"timeout_ms", NULL};

enum {
	RETRIEVE_K = 100,
	/* What the reply has beside its parts: names of release and tables, heads and numbers. */
	REPLY_HEAD_BYTES = 640,
	/* What one query's part has beside its columns. */
	PART_HEAD_BYTES = 64,
	/* The memory of a hit's key is asked for so many hits before the key is copied. */
	KEYS_AHEAD = 16,
	/* A hit is sorted and its key packed: 55 to 171 measured of 100 to 10,000 hits; the more
	 * there are, the more often it is compared. */
	HIT_NS = 100,
	HIT_DOUBLED_NS = 10,
};

struct retrieve {
	struct query_place place;
	struct given_query given;
	struct given_filter filter;
	struct with with;
	struct search_options options;
	struct search search;
	size_t reply_max; /* length of call->out that is reserved */
};

static void read_numbers(struct retrieve *retrieve, struct params *params)
{
	struct search_options *options = &retrieve->options;
	const uint64_t k = params_uint_or(params, "k", RETRIEVE_K);
	const double min_score = params_float_or(params, "min_score", -INFINITY);
	const double recall = params_float_or(params, "approximate", 1);
	if (params->status == STATUS_OK && (k == 0 || k > LIMIT_TOP_K)) {
		params_fail(params, STATUS_BAD_REQUEST, "k", "%" PRIu64 " given, 1..%u allowed", k,
			LIMIT_TOP_K);
	}
	if (params->status == STATUS_OK && !(recall > 0 && recall <= 1)) {
		params_fail(params, STATUS_BAD_REQUEST, "approximate",
			"%g given, a recall above 0 and up to 1 allowed", recall);
	}
	options->k = (uint32_t)k;
	options->min_score = (float)min_score;
	options->recall = recall;
}

/* Reads all arguments, in the snapshot. */
static enum status read_asked(struct retrieve *retrieve, struct params *params,
	const struct snapshot *snapshot, struct call *call)
{
	struct query_place *place = &retrieve->place;
	read_numbers(retrieve, params);
	enum status status = query_place_read(place, params, call, snapshot);
	if (status == STATUS_OK) {
		status = given_query_read(&retrieve->given, params, place);
	}
	if (status == STATUS_OK) {
		status = given_filter_read(&retrieve->filter, params, call, &place->at.items->spec);
	}
	if (status == STATUS_OK) {
		status = with_read(&retrieve->with, params, place);
	}
	if (status == STATUS_OK &&
		(uint64_t)retrieve->given.query.count * retrieve->options.k > LIMIT_HITS) {
		status = error_set(&call->error, STATUS_TOO_LARGE,
			"k: %" PRIu32 " items for each of %" PRIu32
			" queries given, %u together allowed",
			retrieve->options.k, retrieve->given.query.count, LIMIT_HITS);
	}
	retrieve->options.place = &place->at;
	retrieve->options.may_block = call->may_block;
	retrieve->options.stop = call_stop(call);
	retrieve->options.query = &retrieve->given.query;
	retrieve->options.filter = &retrieve->filter.filter;
	return status;
}

/* ---- the reply ---- */

static enum status reserve_reply(struct retrieve *retrieve)
{
	struct wire_writer *out = retrieve->place.call->out;
	const bool is_u64 = retrieve->place.at.items->spec.key_type == KEY_U64;
	const size_t key_bytes = is_u64 ? 8 : 1 + LIMIT_KEY_BYTES;
	const size_t limit = out->limit != 0 ? out->limit : LIMIT_MESSAGE_BYTES;
	size_t bytes = REPLY_HEAD_BYTES;
	for (uint32_t i = 0; i < retrieve->given.query.count; i++) {
		const uint32_t n = (uint32_t)search_hits(&retrieve->search, i)->count;
		bytes += PART_HEAD_BYTES + n * (key_bytes + sizeof(float)) +
			 with_bytes(&retrieve->with, n);
	}
	if (bytes > limit || out->len > limit - bytes) {
		return error_set(&retrieve->place.call->error, STATUS_TOO_LARGE,
			"the reply may have %zu bytes, at most %zu allowed; ask for fewer items or "
			"fewer tables in with",
			out->len + bytes, limit);
	}
	retrieve->reply_max = out->len + bytes;
	wire_writer_reserve(out, bytes);
	return reply_end(retrieve->place.call);
}

/* Packs the keys of one query's hits. keys->at is owned by the caller, also after a failure.
 * Errors: CORRUPT; NO_MEMORY. */
static enum status pack_keys(const struct search *search, const struct topk *hits,
	struct keys *keys, size_t *len)
{
	const enum key_type type = search->options.place->items->spec.key_type;
	const size_t each = type == KEY_U64 ? 8 : sizeof(uint32_t) + 1 + LIMIT_KEY_BYTES;
	uint32_t *at = malloc(hits->count * each + 1);
	uint8_t *packed = type == KEY_U64 ? (uint8_t *)at : (uint8_t *)(at + hits->count);
	*keys = (struct keys){
		.type = type,
		.count = (uint32_t)hits->count,
		.packed = packed,
		.at = at,
	};
	*len = 0;
	if (at == NULL) {
		return STATUS_NO_MEMORY;
	}
	for (size_t i = 0; i < hits->count; i++) {
		const uint8_t *key;
		size_t key_len;
		if (i + KEYS_AHEAD < hits->count) {
			search_prefetch_key(search, hits->hits[i + KEYS_AHEAD].id);
		}
		const enum status status = search_key(search, hits->hits[i].id, &key, &key_len);
		if (status != STATUS_OK) {
			return status;
		}
		if (type == KEY_BYTES) {
			at[i] = (uint32_t)*len;
			packed[(*len)++] = (uint8_t)key_len;
		}
		memcpy(packed + *len, key, key_len);
		*len += key_len;
	}
	return STATUS_OK;
}

static enum status write_part(struct retrieve *retrieve, uint32_t i)
{
	struct wire_writer *out = retrieve->place.call->out;
	const struct topk *hits = search_hits(&retrieve->search, i);
	struct keys keys;
	size_t len;
	enum status status = pack_keys(&retrieve->search, hits, &keys, &len);
	if (status != STATUS_OK) {
		free((void *)keys.at);
		return error_set(&retrieve->place.call->error, status, "keys of what was found: %s",
			status_name(status));
	}
	wire_write_map(out, 3 + (retrieve->with.count > 0 ? 1u : 0u));
	reply_uint(out, "n", hits->count);
	reply_bin(out, "keys", keys.packed, len);
	wire_write_str(out, "scores");
	uint8_t *scores = wire_write_bin_space(out, hits->count * sizeof(float));
	for (size_t j = 0; scores != NULL && j < hits->count; j++) {
		memcpy(scores + j * sizeof(float), &hits->hits[j].score, sizeof(float));
	}
	if (retrieve->with.count > 0) {
		wire_write_str(out, "with");
		status = with_write(&retrieve->with, &retrieve->place, &keys);
	}
	free((void *)keys.at);
	return status;
}

static enum status write_reply(struct retrieve *retrieve)
{
	struct wire_writer *out = retrieve->place.call->out;
	const struct table *from = retrieve->given.table;
	enum status status = reserve_reply(retrieve);
	if (status != STATUS_OK) {
		return status;
	}
	const bool is_exact = retrieve->search.is_exact;
	wire_write_map(out, 8 + (from != NULL ? 1u : 0u) + (is_exact ? 0u : 1u) +
				    given_query_reply_fields(&retrieve->given));
	reply_str(out, "release", retrieve->place.release->id.text);
	reply_uint(out, "sequence", retrieve->place.at.visible);
	if (from != NULL) {
		reply_str(out, "from", from->spec.name.text);
	}
	reply_str(out, "in", retrieve->place.at.items->spec.name.text);
	reply_str(out, "key", key_type_name(retrieve->place.at.items->spec.key_type));
	reply_str(out, "metric", metric_name(retrieve->place.at.metric));
	reply_flag(out, "exact", is_exact);
	if (!is_exact) {
		reply_str(out, "calibrated", retrieve->search.is_by_users ? "users" : "rows");
	}
	reply_uint(out, "compared", retrieve->search.compared);
	given_query_reply(&retrieve->given, out);
	wire_write_str(out, "parts");
	wire_write_array(out, retrieve->given.query.count);
	for (uint32_t i = 0; status == STATUS_OK && i < retrieve->given.query.count; i++) {
		status = write_part(retrieve, i);
	}
	assert(status != STATUS_OK || out->len <= retrieve->reply_max);
	return status == STATUS_OK ? reply_end(retrieve->place.call) : status;
}

/* ---- the call ---- */

/* What is done with as many hits as there may be: they are sorted, their keys are packed, and rows
 * come along. */
static enum status charge_hits(const struct retrieve *retrieve)
{
	const struct filter *filter = &retrieve->filter.filter;
	const struct table *items = retrieve->place.at.items;
	const uint64_t queries = retrieve->given.query.count;
	uint64_t most = items->rows + memtable_rows(items->memtable);
	most = filter->has_allow ? filter->allow.count : most;
	most = most < retrieve->options.k ? most : retrieve->options.k;
	const uint64_t each = HIT_NS + HIT_DOUBLED_NS * (uint64_t)(64 - __builtin_clzll(most | 1));
	return call_charge(retrieve->place.call, COST_HITS,
		queries * (COST_PART_NS + most * each + with_cost(&retrieve->with, most)));
}

static void count_search(struct service *service, const struct search *search)
{
	const unsigned slot = slot_own;
	struct service_slot *counts = &service->slots[slot];
	slot_add(slot, search->is_exact ? &counts->retrieves_exact : &counts->retrieves_approximate,
		1);
	slot_add_value(slot, &counts->compared_rows, search->compared, SERVICE_COMPARED_ROWS);
}

static enum status search_and_reply(struct retrieve *retrieve)
{
	struct call *call = retrieve->place.call;
	enum status status = charge_hits(retrieve);
	if (status != STATUS_OK) {
		return status;
	}
	retrieve->options.here_ns = call_left_ns(call);
	status = search_begin(&retrieve->search, &retrieve->options, &call->error);
	if (status == STATUS_OK && !call->may_block) {
		status = call_charge(call, COST_SEARCH, search_expect_ns(&retrieve->search));
	}
	if (status == STATUS_OK) {
		status = search_run(&retrieve->search, &call->error);
	}
	if (status == STATUS_OK) {
		status = write_reply(retrieve);
	}
	if (status == STATUS_OK) {
		count_search(call->service, &retrieve->search);
	}
	search_end(&retrieve->search);
	return status;
}

enum status retrieve_run(struct call *call)
{
	struct retrieve *retrieve = calloc(1, sizeof *retrieve);
	if (retrieve == NULL) {
		return error_set(&call->error, STATUS_NO_MEMORY, "no memory for a search");
	}
	struct params params;
	params_begin(&params, call->params, "", retrieve_names, &call->error);
	const size_t start = call->out->len;
	const struct snapshot *snapshot = call_snapshot(call, &params);
	if (snapshot == NULL) {
		free(retrieve);
		return STATUS_NO_MEMORY;
	}
	enum status status = read_asked(retrieve, &params, snapshot, call);
	if (status == STATUS_OK) {
		status = search_and_reply(retrieve);
	}
	snapshot_end(call->service->store);
	given_query_fini(&retrieve->given);
	given_filter_fini(&retrieve->filter);
	free(retrieve);
	if (status != STATUS_OK) {
		wire_writer_rewind(call->out, start);
	}
	return status;
}
