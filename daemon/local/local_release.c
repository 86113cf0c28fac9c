/* local_release.c - release.show of a folder: what DATA/current names is sealed, so there are no loads and no seal to tell
 * of, which the daemon's method would ask what writes for.
 */
#include "daemon/local/local_release.h"

#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/method/methods.h"
#include "daemon/method/show.h"
#include "daemon/store/state/reader.h"

enum status local_release_show_run(struct call *call)
{
	struct params params;
	struct name id;
	const struct release *release;
	params_begin(&params, call->params, "", release_only_names, &call->error);
	params_name(&params, "release", PARAM_OPTIONAL, &id);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	struct store *store = call->service->store;
	const struct snapshot *snapshot = snapshot_begin(store);
	const enum status status = snapshot_release(snapshot, id.text[0] != '\0' ? id.text : NULL,
		&release, &call->error);
	if (status == STATUS_OK) {
		show_release(call->out, snapshot, release, 1);
		show_tables(call->out, store, "table_list", release);
	}
	snapshot_end(store);
	return status == STATUS_OK ? reply_end(call) : status;
}
