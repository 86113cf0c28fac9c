/* call_snapshot.c - begins the snapshot of a call, by how long the call may take. */
#include "daemon/method/call/call_snapshot.h"

#include "daemon/method/call/call.h"
#include "daemon/method/call/params.h"
#include "daemon/method/call/service.h"
#include "daemon/store/state/reader.h"

const struct snapshot *call_snapshot(struct call *call, const struct params *params)
{
	if (!call->may_block) {
		return snapshot_begin(call->service->store);
	}
	struct error unheard;
	struct params own = *params;
	struct name release;
	own.err = &unheard;
	params_name(&own, "release", PARAM_OPTIONAL, &release);
	const bool is_named = own.status == STATUS_OK && release.text[0] != '\0';
	const struct snapshot *snapshot =
		snapshot_begin_long(call->service->store, is_named ? release.text : NULL);
	if (snapshot == NULL) {
		error_set(&call->error, STATUS_NO_MEMORY, "no memory for a snapshot");
	}
	return snapshot;
}
