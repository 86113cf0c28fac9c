/* release_asked.c - reads params that have `release` alone. */
#include "daemon/method/release_asked.h"

#include "daemon/method/call/params.h"
#include "daemon/method/call/service.h"
#include "daemon/method/methods.h"
#include "daemon/store/state/reader.h"

enum status release_asked(struct call *call, const struct snapshot **snapshot,
	const struct release **release)
{
	struct params params;
	struct name id;
	params_begin(&params, call->params, "", release_only_names, &call->error);
	params_name(&params, "release", PARAM_OPTIONAL, &id);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	*snapshot = snapshot_begin(call->service->store);
	const enum status status = snapshot_release(*snapshot, id.text[0] != '\0' ? id.text : NULL,
		release, &call->error);
	if (status != STATUS_OK) {
		snapshot_end(call->service->store);
	}
	return status;
}
