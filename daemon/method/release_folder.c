/* release_folder.c - one release into a folder, and from one; answers when that is done. */
#include "daemon/method/methods.h"

#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/store/backup/export.h"
#include "daemon/store/system/clock.h"

const char *const release_export_names[] = {"release", "dir", "copy", NULL};
const char *const release_adopt_names[] = {"dir", "release", NULL};

enum status release_export_run(struct call *call)
{
	struct params params;
	struct name id;
	params_begin(&params, call->params, "", release_export_names, &call->error);
	params_name(&params, "release", PARAM_REQUIRED, &id);
	const struct wire_bytes dir = params_str(&params, "dir", PARAM_REQUIRED);
	const bool copies = params_flag(&params, "copy");
	if (params.status != STATUS_OK) {
		return params.status;
	}
	const struct backup_wish wish = {
		.dir = (const char *)dir.data,
		.dir_len = dir.len,
		.copies = copies,
	};
	struct export_result result;
	const int64_t began_ms = clock_monotonic_ms();
	const enum status status = store_export(call->service->store, id.text, &wish,
		call_stop(call), &result, &call->error);
	if (status != STATUS_OK) {
		return status;
	}
	wire_write_map(call->out, 7);
	reply_str(call->out, "release", result.id.text);
	reply_uint(call->out, "files", result.made.files);
	reply_uint(call->out, "bytes", result.made.bytes);
	reply_uint(call->out, "written", result.made.written_bytes);
	reply_uint(call->out, "linked", result.made.linked_bytes);
	reply_uint(call->out, "kept", result.made.kept_bytes);
	reply_uint(call->out, "elapsed_ms", (uint64_t)(clock_monotonic_ms() - began_ms));
	return reply_end(call);
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
	reply_uint(call->out, "elapsed_ms", (uint64_t)(clock_monotonic_ms() - began_ms));
	return reply_end(call);
}
