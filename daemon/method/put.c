/* put.c - upserts and deletions in a table of a sealed release.
 *
 * Applied here, in the order of arrival; answered when the commit thread has made them durable
 * (method_write_then).
 */
#include "daemon/method/methods.h"

#include "daemon/method/params.h"
#include "daemon/method/reply.h"
#include "daemon/method/rows_of.h"
#include "daemon/method/service.h"
#include "daemon/store/clock.h"

const char *const put_names[] = {"release", "table", "keys", "dtype", "rows", "scales", "times",
	"tags", "if_newer", "allow_nonfinite", NULL};
const char *const delete_names[] = {"release", "table", "keys", NULL};

/* What both name. */
struct target {
	struct name release;
	struct table_name table;
	struct table_spec spec;
};

static enum status read_target(struct call *call, struct params *params, struct target *target)
{
	params_name(params, "release", PARAM_REQUIRED, &target->release);
	params_table(params, &target->table);
	if (params->status != STATUS_OK) {
		return params->status;
	}
	return rows_of_find(call, target->release.text, target->table.text, &target->spec);
}

static struct row_write write_of(const struct target *target)
{
	return (struct row_write){
		.release = target->release.text,
		.table = target->table.text,
		.now_ms = clock_unix_ms(),
	};
}

static enum status write_result(struct call *call, const struct write_result *result,
	const char *count_name)
{
	wire_write_map(call->out, 3);
	reply_str(call->out, "release", result->release.text);
	reply_uint(call->out, "sequence", result->sequence);
	reply_uint(call->out, count_name, result->count);
	return reply_end(call);
}

enum status put_run(struct call *call)
{
	struct params params;
	struct target target;
	params_begin(&params, call->params, "", put_names, &call->error);
	enum status status = read_target(call, &params, &target);
	if (status != STATUS_OK) {
		return status;
	}
	struct row_write write = write_of(&target);
	struct write_result result;
	struct rows_of rows = {0};
	write.if_newer = params_flag(&params, "if_newer");
	status = rows_of_read(&rows, &params, &target.spec);
	if (status == STATUS_OK) {
		write.batch = rows.batch;
		status = store_put(call->service->store, &write, &result, &call->ticket,
			&call->error);
	}
	rows_of_fini(&rows);
	return status == STATUS_OK ? write_result(call, &result, "applied") : status;
}

enum status delete_run(struct call *call)
{
	struct params params;
	struct target target;
	params_begin(&params, call->params, "", delete_names, &call->error);
	enum status status = read_target(call, &params, &target);
	struct wire_value given = params_value(&params, "keys", PARAM_REQUIRED);
	if (status == STATUS_OK) {
		status = params.status;
	}
	if (status != STATUS_OK) {
		return status;
	}
	struct row_write write = write_of(&target);
	struct write_result result;
	struct keys_of keys;
	status = keys_of_begin(&keys, given, target.spec.key_type, "", &call->error);
	if (status == STATUS_OK) {
		status = keys_of_pack(&keys, &call->error);
	}
	if (status == STATUS_OK) {
		write.batch.keys = keys.batch;
		status = store_delete(call->service->store, &write, &result, &call->ticket,
			&call->error);
	}
	keys_of_fini(&keys);
	return status == STATUS_OK ? write_result(call, &result, "deleted") : status;
}
