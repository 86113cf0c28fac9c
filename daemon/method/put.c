/* put.c - upserts and deletions in tables of a sealed release.
 *
 * A call is applied here, in order of arrival, and answered when the commit thread has made it
 * durable (method_write_then). A put of several tables is one write: readers see all of it or
 * nothing, and so does a restart.
 */
#include "daemon/method/methods.h"

#include <assert.h>

#include "daemon/method/call/given_rows.h"
#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/write/write.h"
#include "schema/limits.h"

const char *const put_names[] = {"release", "table", "keys", "dtype", "rows", "scales", "times",
	"any_time", "tags", "weights", "counts", "history_times", "allow_nonfinite", "if_newer",
	"parts", NULL};
const char *const put_part_names[] = {"table", "keys", "dtype", "rows", "scales", "times",
	"any_time", "tags", "weights", "counts", "history_times", "allow_nonfinite", NULL};
const char *const delete_names[] = {"release", "table", "keys", NULL};

/* The rows of one table that a request gives. */
struct put_part {
	struct table_name table;
	struct given_rows rows;
	char where[PARAMS_WHERE_BYTES];
};

struct put {
	struct call *call;
	struct name release;
	int64_t now_ms;
	size_t count;
	struct put_part parts[LIMIT_PARTS]; /* the first `count` are set */
	struct table_write writes[LIMIT_PARTS];
};

static enum status write_result(struct call *call, const struct write_result *result,
	const char *count_name)
{
	wire_write_map(call->out, 3);
	reply_str(call->out, "release", result->release.text);
	reply_uint(call->out, "sequence", result->sequence);
	reply_uint(call->out, count_name, result->count);
	return reply_end(call);
}

/* Adds the rows that `params` give to the put. */
static enum status add_part(struct put *put, struct params *params)
{
	struct table_spec spec;
	assert(put->count < LIMIT_PARTS);
	struct put_part *part = &put->parts[put->count];
	part->rows = (struct given_rows){0};
	params_table(params, &part->table);
	if (params->status != STATUS_OK) {
		return params->status;
	}
	enum status status = given_rows_find(put->call, put->release.text, part->table.text,
		params->where, &spec);
	if (status != STATUS_OK) {
		return status;
	}
	put->count++;
	status = given_rows_read(&part->rows, params, &spec, put->now_ms);
	put->writes[put->count - 1] = (struct table_write){
		.where = params->where,
		.table = part->table.text,
		.batch = part->rows.batch,
	};
	return status == STATUS_OK ? call_take_keys(put->call, part->rows.batch.keys.count)
				   : status;
}

static enum status add_parts(struct put *put, struct params *params)
{
	for (const char *const *name = put_part_names; *name != NULL; name++) {
		if (params_value(params, *name, PARAM_OPTIONAL).object != NULL) {
			params_fail(params, STATUS_BAD_REQUEST, *name,
				"given beside 'parts', where it belongs");
		}
	}
	const struct wire_value given = params_array(params, "parts");
	const size_t count = wire_size(given);
	if (params->status == STATUS_OK && (count == 0 || count > LIMIT_PARTS)) {
		params_fail(params, count == 0 ? STATUS_BAD_REQUEST : STATUS_TOO_LARGE, "parts",
			"%zu given, 1..%u allowed", count, LIMIT_PARTS);
	}
	enum status status = params->status;
	for (size_t i = 0; status == STATUS_OK && i < count; i++) {
		char *where = put->parts[i].where;
		struct params of_part;
		params_begin(&of_part, wire_item(given, i), params_where(where, "parts", i),
			put_part_names, &put->call->error);
		status = of_part.status == STATUS_OK ? add_part(put, &of_part) : of_part.status;
	}
	return status;
}

enum status put_run(struct call *call)
{
	struct params params;
	struct put put;
	put.call = call;
	put.count = 0;
	put.now_ms = clock_unix_ms();
	params_begin(&params, call->params, "", put_names, &call->error);
	params_name(&params, "release", PARAM_REQUIRED, &put.release);
	struct row_write write = {
		.release = put.release.text,
		.parts = put.writes,
		.if_newer = params_flag(&params, "if_newer"),
		.now_ms = put.now_ms,
		.stop = call_stop(call),
	};
	const bool many = params_value(&params, "parts", PARAM_OPTIONAL).object != NULL;
	enum status status = params.status;
	if (status == STATUS_OK) {
		status = many ? add_parts(&put, &params) : add_part(&put, &params);
	}
	struct write_result result;
	if (status == STATUS_OK) {
		write.part_count = put.count;
		assert(put.count > 0 && put.writes[put.count - 1].batch.keys.type != KEY_NONE);
		status = store_put(call->service->store, &write, &result, &call->ticket,
			&call->error);
	}
	for (size_t i = 0; i < put.count; i++) {
		given_rows_fini(&put.parts[i].rows);
	}
	return status == STATUS_OK ? write_result(call, &result, "applied") : status;
}

enum status delete_run(struct call *call)
{
	struct params params;
	struct name release;
	struct table_name table;
	struct table_spec spec;
	params_begin(&params, call->params, "", delete_names, &call->error);
	params_name(&params, "release", PARAM_REQUIRED, &release);
	params_table(&params, &table);
	struct wire_value given = params_value(&params, "keys", PARAM_REQUIRED);
	enum status status = params.status;
	if (status == STATUS_OK) {
		status = given_rows_find(call, release.text, table.text, "", &spec);
	}
	if (status != STATUS_OK) {
		return status;
	}
	struct given_keys keys;
	struct write_result result;
	status = given_keys_begin(&keys, given, spec.key_type, "", &call->error);
	if (status == STATUS_OK) {
		status = call_take_keys(call, keys.batch.count);
	}
	if (status == STATUS_OK) {
		status = given_keys_pack(&keys, &call->error);
	}
	if (status == STATUS_OK) {
		const struct table_write part = {.table = table.text, .batch.keys = keys.batch};
		const struct row_write write = {
			.release = release.text,
			.parts = &part,
			.part_count = 1,
			.now_ms = clock_unix_ms(),
			.stop = call_stop(call),
		};
		status = store_delete(call->service->store, &write, &result, &call->ticket,
			&call->error);
	}
	given_keys_fini(&keys);
	return status == STATUS_OK ? write_result(call, &result, "deleted") : status;
}
