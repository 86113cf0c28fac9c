/* backup.c - copies into a folder, and from one: of the whole store, and of one release. Each answers when it is done. */
#include "daemon/method/methods.h"

#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/store/backup/backup.h"
#include "daemon/store/backup/export.h"
#include "daemon/store/system/clock.h"

const char *const backup_names[] = {"dir", "copy", NULL};
const char *const release_export_names[] = {"release", "dir", "copy", NULL};
const char *const release_adopt_names[] = {"dir", "release", NULL};

static struct backup_wish read_wish(struct params *params)
{
	const struct wire_bytes dir = params_str(params, "dir", PARAM_REQUIRED);
	return (struct backup_wish){
		.dir = (const char *)dir.data,
		.dir_len = dir.len,
		.copies = params_flag(params, "copy"),
	};
}

enum { MADE_FIELDS = 5 };

static void reply_made(struct wire_writer *out, const struct backup_result *made)
{
	reply_uint(out, "files", made->files);
	reply_uint(out, "bytes", made->bytes);
	reply_uint(out, "written", made->written_bytes);
	reply_uint(out, "linked", made->linked_bytes);
	reply_uint(out, "kept", made->kept_bytes);
}

/* Writes the last field, which each of them has. */
static enum status end(struct call *call, int64_t began_ms)
{
	reply_uint(call->out, "elapsed_ms", (uint64_t)(clock_monotonic_ms() - began_ms));
	return reply_end(call);
}

enum status backup_run(struct call *call)
{
	struct params params;
	params_begin(&params, call->params, "", backup_names, &call->error);
	const struct backup_wish wish = read_wish(&params);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	struct backup_result result;
	const int64_t began_ms = clock_monotonic_ms();
	const enum status status =
		store_backup(call->service->store, &wish, call_stop(call), &result, &call->error);
	if (status != STATUS_OK) {
		return status;
	}
	wire_write_map(call->out, 2 + MADE_FIELDS);
	reply_uint(call->out, "sequence", result.sequence);
	reply_made(call->out, &result);
	return end(call, began_ms);
}

enum status release_export_run(struct call *call)
{
	struct params params;
	struct name id;
	params_begin(&params, call->params, "", release_export_names, &call->error);
	params_name(&params, "release", PARAM_REQUIRED, &id);
	const struct backup_wish wish = read_wish(&params);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	struct export_result result;
	const int64_t began_ms = clock_monotonic_ms();
	const enum status status = store_export(call->service->store, id.text, &wish,
		call_stop(call), &result, &call->error);
	if (status != STATUS_OK) {
		return status;
	}
	wire_write_map(call->out, 2 + MADE_FIELDS);
	reply_str(call->out, "release", result.id.text);
	reply_made(call->out, &result.made);
	return end(call, began_ms);
}

enum status release_adopt_run(struct call *call)
{
	struct params params;
	params_begin(&params, call->params, "", release_adopt_names, &call->error);
	const struct wire_bytes dir = params_str(&params, "dir", PARAM_REQUIRED);
	const struct wire_bytes text = params_str(&params, "release", PARAM_OPTIONAL);
	struct name id;
	if (params.status == STATUS_OK && text.data != NULL) {
		params.status =
			release_name_check((const char *)text.data, text.len, &id, &call->error);
	}
	if (params.status != STATUS_OK) {
		return params.status;
	}
	const struct adopt_wish wish = {
		.dir = (const char *)dir.data,
		.dir_len = dir.len,
		.id = text.data != NULL ? &id : NULL,
	};
	struct adopt_result result;
	const int64_t began_ms = clock_monotonic_ms();
	const enum status status =
		store_adopt(call->service->store, &wish, call_stop(call), &result, &call->error);
	if (status != STATUS_OK) {
		return status;
	}
	wire_write_map(call->out, 6);
	reply_str(call->out, "release", result.id.text);
	reply_uint(call->out, "number", result.number);
	reply_uint(call->out, "tables", result.tables);
	reply_uint(call->out, "rows", result.rows);
	reply_uint(call->out, "bytes", result.bytes);
	return end(call, began_ms);
}
