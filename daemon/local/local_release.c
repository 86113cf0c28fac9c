/* local_release.c - release.show of a folder. What is loaded into an open release, and how far a seal is, only what
 * writes knows, so the daemon's method is not linked.
 */
#include "daemon/local/local_release.h"

#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/method/release_asked.h"
#include "daemon/method/show.h"
#include "daemon/store/state/reader.h"

enum status local_release_show_run(struct call *call)
{
	const struct snapshot *snapshot;
	const struct release *release;
	const enum status status = release_asked(call, &snapshot, &release);
	if (status != STATUS_OK) {
		return status;
	}
	struct store *store = call->service->store;
	show_release(call->out, snapshot, release, 1);
	show_tables(call->out, store, "table_list", release);
	snapshot_end(store);
	return reply_end(call);
}
