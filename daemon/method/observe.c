/* observe.c - counts samples of a layer into its tables, or into one table with a history; tells up to
 * which sample each source is counted. */
#include "daemon/method/methods.h"

#include <stdlib.h>

#include "daemon/method/call/given_keys.h"
#include "daemon/method/call/given_rows.h"
#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/store/log/positions.h"
#include "daemon/store/observe/observe.h"
#include "daemon/store/observe/sources.h"
#include "daemon/store/snapshot/layer.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/system/clock.h"
#include "schema/limits.h"

const char *const observe_names[] = {"release", "layer", "users", "items", "dtype", "rows",
	"source", "position", "first", "times", "any_time", "scales", NULL};
const char *const append_names[] = {"release", "table", "keys", "dtype", "rows", "source",
	"position", "first", "times", "any_time", "scales", NULL};
const char *const positions_forget_names[] = {"release", "layer", "source", "oldest", NULL};

/* The batch that a request gives. */
struct observe {
	struct call *call;
	struct name release;
	struct name layer;
	struct table_name table; /* of an append, in the place of the layer */
	struct name source;      /* "": none */
	struct layer_shape shape;
	struct given_keys users;
	struct given_keys items;
	struct observation samples;
};

/* Finds the layer as it is now. The store finds it again when it applies the batch, since it may
 * have changed by then. */
static enum status find_layer(struct observe *observe)
{
	struct call *call = observe->call;
	const struct release *release;
	const struct snapshot *snapshot = snapshot_begin(call->service->store);
	enum status status =
		snapshot_release(snapshot, observe->release.text, &release, &call->error);
	if (status == STATUS_OK) {
		status = layer_find(release, observe->layer.text, &observe->shape, &call->error);
	}
	snapshot_end(call->service->store);
	return status;
}

/* Reads the keys of the users or of the items. Keys that no table of the layer needs are not
 * read. */
static enum status read_keys(struct observe *observe, struct wire_value given, enum key_type type,
	const char *where, struct given_keys *keys)
{
	struct error *err = &observe->call->error;
	if (type == KEY_NONE || given.object == NULL) {
		return STATUS_OK;
	}
	enum status status = given_keys_begin(keys, given, type, where, err);
	if (status == STATUS_OK) {
		status = call_take_keys(observe->call, keys->batch.count);
	}
	return status == STATUS_OK ? given_keys_pack(keys, err) : status;
}

static void read_columns(struct params *params, struct observation *samples)
{
	const struct wire_bytes times = params_bin(params, "times", PARAM_REQUIRED);
	samples->dtype = params_dtype(params, DTYPE_F32);
	const struct wire_bytes rows = params_bin(params, "rows", PARAM_REQUIRED);
	if (params->status != STATUS_OK) {
		return;
	}
	if (times.len % sizeof(int64_t) != 0 || times.len / sizeof(int64_t) > LIMIT_KEYS) {
		params_fail(params, STATUS_BAD_REQUEST, "times",
			"%zu bytes given, 8 for each of at most %u samples allowed", times.len,
			LIMIT_KEYS);
	}
	samples->count = (uint32_t)(times.len / sizeof(int64_t));
	samples->times = times.data;
	samples->rows = rows.data;
	samples->rows_bytes = rows.len;
	params_times(params, samples->times, samples->count, "sample", samples->now_ms);
	samples->scales = params_column(params, "scales", samples->count * sizeof(float));
	const bool is_i8 = samples->dtype == DTYPE_I8;
	if (is_i8 != (samples->scales != NULL)) {
		params_fail(params, STATUS_BAD_REQUEST, "scales", "%s, dtype is %s",
			is_i8 ? "missing" : "given", dtype_name(samples->dtype));
	}
}

/* Reads all but what the samples are of, and whose. */
static void read_samples(struct observe *observe, struct params *params)
{
	struct observation *samples = &observe->samples;
	samples->now_ms = clock_unix_ms();
	samples->stop = call_stop(observe->call);
	params_name(params, "release", PARAM_REQUIRED, &observe->release);
	params_name(params, "source", PARAM_OPTIONAL, &observe->source);
	samples->position = params_uint_or(params, "position", 0);
	const bool has_source = observe->source.text[0] != '\0';
	const bool has_position = params_value(params, "position", PARAM_OPTIONAL).object != NULL;
	if (has_source != has_position) {
		params_fail(params, STATUS_BAD_REQUEST, has_source ? "position" : "source",
			"missing, the two belong together");
	}
	samples->first = params_flag(params, "first");
	if (samples->first && !has_source) {
		params_fail(params, STATUS_BAD_REQUEST, "source", "missing, first is said of one");
	}
	samples->release = observe->release.text;
	samples->source = has_source ? observe->source.text : NULL;
}

static enum status read_observe(struct observe *observe)
{
	struct params params;
	struct observation *samples = &observe->samples;
	params_begin(&params, observe->call->params, "", observe_names, &observe->call->error);
	read_samples(observe, &params);
	params_name(&params, "layer", PARAM_REQUIRED, &observe->layer);
	const struct wire_value users = params_value(&params, "users", PARAM_OPTIONAL);
	const struct wire_value items = params_value(&params, "items", PARAM_OPTIONAL);
	read_columns(&params, samples);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	samples->layer = observe->layer.text;
	enum status status = find_layer(observe);
	if (status == STATUS_OK) {
		status = read_keys(observe, users, observe->shape.user_key,
			"users: ", &observe->users);
	}
	if (status == STATUS_OK) {
		status = read_keys(observe, items, observe->shape.item_key,
			"items: ", &observe->items);
	}
	samples->users = observe->users.batch;
	samples->items = observe->items.batch;
	return status;
}

static enum status read_append(struct observe *observe)
{
	struct params params;
	struct observation *samples = &observe->samples;
	struct table_spec spec;
	params_begin(&params, observe->call->params, "", append_names, &observe->call->error);
	read_samples(observe, &params);
	params_table(&params, &observe->table);
	const struct wire_value keys = params_value(&params, "keys", PARAM_REQUIRED);
	read_columns(&params, samples);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	samples->table = observe->table.text;
	enum status status = given_rows_find(observe->call, observe->release.text,
		observe->table.text, "", &spec);
	if (status == STATUS_OK) {
		status = read_keys(observe, keys, spec.key_type, "", &observe->users);
	}
	samples->users = observe->users.batch;
	samples->items = observe->users.batch;
	return status;
}

/* Counts what was read, and answers. */
static enum status count(struct observe *observe, enum status status)
{
	struct call *call = observe->call;
	struct observe_result result = {0};
	if (status == STATUS_OK) {
		status = store_observe(call->service->store, &observe->samples, &result,
			&call->ticket, &call->error);
	}
	given_keys_fini(&observe->users);
	given_keys_fini(&observe->items);
	if (status != STATUS_OK) {
		return status;
	}
	const bool has_source = observe->samples.source != NULL;
	wire_write_map(call->out, has_source ? 4 : 3);
	reply_str(call->out, "release", result.write.release.text);
	reply_uint(call->out, "sequence", result.write.sequence);
	reply_uint(call->out, "applied", result.write.count);
	if (has_source) {
		reply_uint(call->out, "next", result.next);
	}
	return reply_end(call);
}

enum status observe_run(struct call *call)
{
	struct observe observe = {.call = call};
	return count(&observe, read_observe(&observe));
}

enum status append_run(struct call *call)
{
	struct observe observe = {.call = call};
	return count(&observe, read_append(&observe));
}

enum status positions_run(struct call *call)
{
	struct params params;
	struct name release;
	params_begin(&params, call->params, "", release_only_names, &call->error);
	params_name(&params, "release", PARAM_OPTIONAL, &release);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	struct position_list positions = {0};
	const enum status status = store_positions(call->service->store,
		release.text[0] != '\0' ? release.text : NULL, &positions, &call->error);
	if (status != STATUS_OK) {
		return status;
	}
	wire_write_map(call->out, 2);
	reply_str(call->out, "release", positions.release.text);
	wire_write_str(call->out, "positions");
	wire_write_array(call->out, positions.count);
	for (size_t i = 0; i < positions.count; i++) {
		const struct source_position *position = &positions.all[i];
		wire_write_map(call->out, position->is_durable ? 5 : 4);
		reply_str(call->out, "layer", position->layer.text);
		reply_str(call->out, "source", position->source.text);
		reply_uint(call->out, "next", position->next);
		if (position->is_durable) {
			reply_uint(call->out, "durable", position->durable);
		}
		wire_write_str(call->out, "counted_ms");
		wire_write_int(call->out, position->time_ms);
	}
	free(positions.all);
	return reply_end(call);
}

/* The layer, or the table with a history, whose positions are meant. */
static void read_fed(struct params *params, struct name *out)
{
	const struct wire_bytes text = params_str(params, "layer", PARAM_OPTIONAL);
	out->text[0] = '\0';
	if (params->status == STATUS_OK && text.data != NULL) {
		params->status = fed_name_check((const char *)text.data, text.len, "layer", out,
			params->err);
	}
}

enum status positions_forget_run(struct call *call)
{
	struct params params;
	struct name release;
	struct name layer;
	struct name source;
	params_begin(&params, call->params, "", positions_forget_names, &call->error);
	params_name(&params, "release", PARAM_REQUIRED, &release);
	read_fed(&params, &layer);
	params_name(&params, "source", PARAM_OPTIONAL, &source);
	const bool has_source = source.text[0] != '\0';
	const bool has_oldest = params_value(&params, "oldest", PARAM_OPTIONAL).object != NULL;
	const struct forget which = {
		.release = release.text,
		.layer = layer.text[0] != '\0' ? layer.text : NULL,
		.source = has_source ? source.text : NULL,
		.oldest = params_uint_or(&params, "oldest", 0),
		.now_ms = clock_unix_ms(),
		.stop = call_stop(call),
	};
	if (has_source == has_oldest) {
		params_fail(&params, STATUS_BAD_REQUEST, "source",
			"%s, either a source is forgotten or some of the oldest ones",
			has_source ? "given with oldest" : "missing");
	}
	if (params.status != STATUS_OK) {
		return params.status;
	}
	struct write_result result = {0};
	const enum status status =
		store_forget(call->service->store, &which, &result, &call->ticket, &call->error);
	if (status != STATUS_OK) {
		return status;
	}
	wire_write_map(call->out, 3);
	reply_str(call->out, "release", result.release.text);
	reply_uint(call->out, "sequence", result.sequence);
	reply_uint(call->out, "forgotten", result.count);
	return reply_end(call);
}
