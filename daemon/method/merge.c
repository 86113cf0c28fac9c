/* merge.c - merges the log into the base files; answers when that is done. */
#include "daemon/method/methods.h"

#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/system/clock.h"

enum status merge_run(struct call *call)
{
	struct params params;
	params_begin(&params, call->params, "", no_names, &call->error);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	struct merge_result result;
	const int64_t began_ms = clock_monotonic_ms();
	enum status status =
		store_merge(call->service->store, call_stop(call), &result, &call->error);
	if (status != STATUS_OK) {
		return status;
	}
	wire_write_map(call->out, 4);
	reply_uint(call->out, "tables", result.tables);
	reply_uint(call->out, "rows", result.rows);
	reply_uint(call->out, "bytes", result.bytes);
	reply_uint(call->out, "elapsed_ms", (uint64_t)(clock_monotonic_ms() - began_ms));
	return reply_end(call);
}
