/* merge.c - merges the log into the files of tables; answers when that is done. */
#include "daemon/method/methods.h"

#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/system/clock.h"

const char *const merge_names[] = {"full", NULL};

enum status merge_run(struct call *call)
{
	struct params params;
	params_begin(&params, call->params, "", merge_names, &call->error);
	const bool full = params_flag(&params, "full");
	if (params.status != STATUS_OK) {
		return params.status;
	}
	struct merge_result result;
	const int64_t began_ms = clock_monotonic_ms();
	struct store *store = call->service->store;
	const struct stop *stop = call_stop(call);
	enum status status = full ? store_merge_full(store, stop, &result, &call->error)
				  : store_merge(store, stop, &result, &call->error);
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
