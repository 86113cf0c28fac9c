/* score.c - scores of named items for some queries: the rows never leave the daemon. */
#include "daemon/method/methods.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/method/call/call_snapshot.h"
#include "daemon/method/call/given_keys.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/method/query/given_query.h"
#include "daemon/search/expect.h"
#include "daemon/search/listed.h"
#include "daemon/store/state/reader.h"
#include "schema/limits.h"

const char *const score_names[] = {"release", "from", "through", "weights", "in", "keys", "metric",
	NULL};

enum {
	/* What the reply has beside its columns: names of release and tables, heads and numbers. */
	REPLY_HEAD_BYTES = 640,
	PART_HEAD_BYTES = 32,
};

struct score {
	struct query_place place;
	struct given_query given;
	struct given_keys keys;
	size_t reply_max;               /* length of call->out that is reserved */
	uint8_t *found;                 /* points into the reply */
	uint8_t *scores[LIMIT_QUERIES]; /* of each query; they point into the reply */
};

static struct scorer_shape shape_of(const struct score *score)
{
	const struct table_spec *spec = &score->place.at.items->spec;
	return (struct scorer_shape){
		.metric = score->place.at.metric,
		.dim = spec->dim,
		.views = spec_row_views(spec),
		.queries = score->given.query.count,
		.parts = score->given.query.parts,
	};
}

static enum status charge(const struct score *score, struct call *call)
{
	const struct table *items = score->place.at.items;
	const struct scorer_shape shape = shape_of(score);
	const enum dtype dtype = metric_is_of_bits(shape.metric) ? DTYPE_BIT : DTYPE_F32;
	const uint64_t rows = score->keys.batch.count;
	const enum status status = call_charge(call, COST_ROWS, expect_rows_ns(items, dtype, rows));
	return status == STATUS_OK
		       ? call_charge(call, COST_SCORES, expect_scores_ns(items, &shape, rows))
		       : status;
}

static enum status read_asked(struct score *score, struct params *params,
	const struct snapshot *snapshot, struct call *call)
{
	struct wire_value keys = params_value(params, "keys", PARAM_REQUIRED);
	enum status status = query_place_read(&score->place, params, call, snapshot);
	if (status == STATUS_OK) {
		status = call_charge(call, COST_KEYS,
			given_keys_cost(keys, score->place.at.items->spec.key_type));
	}
	if (status == STATUS_OK) {
		status = given_keys_begin(&score->keys, keys, score->place.at.items->spec.key_type,
			"", &call->error);
	}
	if (status == STATUS_OK) {
		status = call_take_keys(call, score->keys.batch.count);
	}
	if (status == STATUS_OK) {
		status = given_query_read(&score->given, params, &score->place);
	}
	if (status == STATUS_OK) {
		status = charge(score, call);
	}
	return status == STATUS_OK ? given_keys_pack(&score->keys, &call->error) : status;
}

/* Writes the reply except the bits of `found` and the scores; score->found and score->scores then
 * point to where these go. */
static enum status write_frame(struct score *score)
{
	struct call *call = score->place.call;
	struct wire_writer *out = call->out;
	const size_t n = score->keys.batch.count;
	const size_t limit = out->limit != 0 ? out->limit : LIMIT_MESSAGE_BYTES;
	const size_t bytes = REPLY_HEAD_BYTES + (n + 7) / 8 +
			     score->given.query.count * (PART_HEAD_BYTES + n * sizeof(float));
	if (bytes > limit || out->len > limit - bytes) {
		return error_set(&call->error, STATUS_TOO_LARGE,
			"the reply would have %zu bytes, at most %zu allowed; ask for fewer keys",
			out->len + bytes, limit);
	}
	score->reply_max = out->len + bytes;
	wire_writer_reserve(out, bytes);
	wire_write_map(out, 7 + (score->given.table != NULL ? 1u : 0u) +
				    given_query_reply_fields(&score->given));
	reply_str(out, "release", score->place.release->id.text);
	reply_uint(out, "sequence", score->place.at.visible);
	if (score->given.table != NULL) {
		reply_str(out, "from", score->given.table->spec.name.text);
	}
	reply_str(out, "in", score->place.at.items->spec.name.text);
	reply_str(out, "metric", metric_name(score->place.at.metric));
	reply_uint(out, "n", n);
	given_query_reply(&score->given, out);
	wire_write_str(out, "found");
	score->found = wire_write_bin_space(out, (n + 7) / 8);
	wire_write_str(out, "parts");
	wire_write_array(out, score->given.query.count);
	for (uint32_t i = 0; i < score->given.query.count; i++) {
		wire_write_map(out, 1);
		wire_write_str(out, "scores");
		score->scores[i] = wire_write_bin_space(out, n * sizeof(float));
	}
	assert(out->status != STATUS_OK || out->len <= score->reply_max);
	return reply_end(call);
}

static void put_block(struct score *score, const struct listed *listed)
{
	assert(listed->first + listed->count <= score->keys.batch.count);
	for (uint32_t i = 0; i < listed->count; i++) {
		const uint32_t number = listed->first + i;
		const bool is_found = listed_has(listed, i);
		if (is_found) {
			score->found[number / 8] |= (uint8_t)(1u << number % 8);
		}
		for (uint32_t query = 0; query < score->given.query.count; query++) {
			const float value =
				is_found ? listed->scores[(size_t)query * listed->scorer->rows_max +
							  i]
					 : 0;
			memcpy(score->scores[query] + (size_t)number * sizeof value, &value,
				sizeof value);
		}
	}
}

static enum status fill(struct score *score, struct scorer *scorer)
{
	struct call *call = score->place.call;
	const struct lookup lookup = {
		.table = score->place.at.items,
		.keys = score->keys.batch,
		.visible = score->place.at.visible,
		.now_ms = score->place.at.now_ms,
		.may_block = call->may_block,
		.stop = call_stop(call),
	};
	struct listed listed;
	enum status status = listed_begin(&listed, &lookup, scorer);
	if (status != STATUS_OK) {
		return error_set(&call->error, status, "no memory for scores");
	}
	memset(score->found, 0, (lookup.keys.count + 7u) / 8u);
	do {
		status = listed_next(&listed, &call->error);
		if (status == STATUS_OK) {
			put_block(score, &listed);
		}
	} while (status == STATUS_OK && listed.count > 0);
	listed_end(&listed);
	return status;
}

static enum status score_and_reply(struct score *score)
{
	const struct scorer_shape shape = shape_of(score);
	struct scorer scorer;
	enum status status = write_frame(score);
	if (status != STATUS_OK) {
		return status;
	}
	status = listed_scorer_init(&scorer, &shape, &score->given.query);
	if (status != STATUS_OK) {
		return error_set(&score->place.call->error, status, "no memory for scores");
	}
	status = fill(score, &scorer);
	scorer_fini(&scorer);
	return status;
}

enum status score_run(struct call *call)
{
	struct params params;
	struct score score = {0};
	params_begin(&params, call->params, "", score_names, &call->error);
	const size_t start = call->out->len;
	const struct snapshot *snapshot = call_snapshot(call, &params);
	if (snapshot == NULL) {
		return STATUS_NO_MEMORY;
	}
	enum status status = read_asked(&score, &params, snapshot, call);
	if (status == STATUS_OK) {
		status = score_and_reply(&score);
	}
	snapshot_end(call->service->store);
	given_query_fini(&score.given);
	given_keys_fini(&score.keys);
	if (status != STATUS_OK) {
		wire_writer_rewind(call->out, start);
	}
	return status;
}
