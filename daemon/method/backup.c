/* backup.c - a copy of the whole store in a folder; answers when it is made. */
#include "daemon/method/methods.h"

#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/store/backup/backup.h"
#include "daemon/store/system/clock.h"

const char *const backup_names[] = {"dir", "copy", NULL};

enum status backup_run(struct call *call)
{
	struct params params;
	params_begin(&params, call->params, "", backup_names, &call->error);
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
	struct backup_result result;
	const int64_t began_ms = clock_monotonic_ms();
	const enum status status =
		store_backup(call->service->store, &wish, call_stop(call), &result, &call->error);
	if (status != STATUS_OK) {
		return status;
	}
	wire_write_map(call->out, 7);
	reply_uint(call->out, "sequence", result.sequence);
	reply_uint(call->out, "files", result.files);
	reply_uint(call->out, "bytes", result.bytes);
	reply_uint(call->out, "written", result.written_bytes);
	reply_uint(call->out, "linked", result.linked_bytes);
	reply_uint(call->out, "kept", result.kept_bytes);
	reply_uint(call->out, "elapsed_ms", (uint64_t)(clock_monotonic_ms() - began_ms));
	return reply_end(call);
}
