/* release_list.c - release.list. */
#include "daemon/method/methods.h"

#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/method/show.h"
#include "daemon/store/state/reader.h"

static void write_list(struct wire_writer *out, const struct snapshot *snapshot)
{
	wire_write_map(out, 1);
	wire_write_str(out, "releases");
	wire_write_array(out, snapshot->release_count);
	for (size_t i = 0; i < snapshot->release_count; i++) {
		show_release(out, snapshot, snapshot->releases[i], 0);
	}
}

enum status release_list_run(struct call *call)
{
	struct params params;
	params_begin(&params, call->params, "", no_names, &call->error);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	const struct snapshot *snapshot = snapshot_begin(call->service->store);
	uint64_t ns = 0;
	for (size_t i = 0; i < snapshot->release_count; i++) {
		ns += show_release_cost(snapshot->releases[i]);
	}
	const enum status status = call_charge(call, COST_LIST, ns);
	if (status == STATUS_OK) {
		write_list(call->out, snapshot);
	}
	snapshot_end(call->service->store);
	return status == STATUS_OK ? reply_end(call) : status;
}
