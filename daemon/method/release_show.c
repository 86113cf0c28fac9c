/* release_show.c - release.show. */
#include "daemon/method/methods.h"

#include <stdlib.h>

#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/method/show.h"
#include "daemon/store/load/load.h"
#include "daemon/store/seal/seal_release.h"
#include "daemon/store/state/reader.h"

struct loads {
	struct load_state *states; /* owned */
	size_t count;
};

static void write_loads(struct wire_writer *out, const struct loads *loads)
{
	wire_write_str(out, "loads");
	wire_write_array(out, loads->count);
	for (size_t i = 0; i < loads->count; i++) {
		const struct load_state *load = &loads->states[i];
		wire_write_map(out, 5);
		reply_str(out, "table", load->table.text);
		reply_str(out, "load", load->load.text);
		reply_uint(out, "next_chunk", load->progress.next_chunk);
		reply_uint(out, "rows", load->progress.rows);
		reply_flag(out, "ended", load->ended);
	}
}

/* Lists the loads of a release that is open. The store may wait for a lock here, so the caller
 * holds no snapshot. */
static enum status take_loads(struct call *call, const char *id, struct loads *loads)
{
	const struct release *release;
	struct store *store = call->service->store;
	const struct snapshot *snapshot = snapshot_begin(store);
	enum status status = snapshot_release(snapshot, id, &release, &call->error);
	bool is_open = status == STATUS_OK && release->state == RELEASE_OPEN;
	struct name name = {0};
	if (is_open) {
		name = release->id;
	}
	snapshot_end(store);
	if (!is_open) {
		return status;
	}
	status = store_loads(store, name.text, &loads->states, &loads->count, &call->error);
	return status == STATUS_SEALED ? STATUS_OK : status;
}

static enum status write_show(struct call *call, const char *id, const struct loads *loads)
{
	const struct release *release;
	struct store *store = call->service->store;
	const struct snapshot *snapshot = snapshot_begin(store);
	enum status status = snapshot_release(snapshot, id, &release, &call->error);
	if (status == STATUS_OK) {
		bool is_open = release->state == RELEASE_OPEN;
		struct seal_progress seal;
		const bool is_sealing =
			is_open && store_seal_progress(store, release->number, &seal);
		show_release(call->out, snapshot, release, 1 + is_open + is_sealing);
		show_tables(call->out, store, "table_list", release);
		if (is_open) {
			write_loads(call->out, loads);
		}
		if (is_sealing) {
			wire_write_str(call->out, "sealing");
			wire_write_map(call->out, 2);
			reply_uint(call->out, "rows", seal.rows);
			reply_uint(call->out, "done", seal.done);
		}
	}
	snapshot_end(store);
	return status == STATUS_OK ? reply_end(call) : status;
}

enum status release_show_run(struct call *call)
{
	struct params params;
	params_begin(&params, call->params, "", release_only_names, &call->error);
	struct name id;
	params_name(&params, "release", PARAM_OPTIONAL, &id);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	const char *asked = id.text[0] != '\0' ? id.text : NULL;
	struct loads loads = {0};
	enum status status = take_loads(call, asked, &loads);
	if (status == STATUS_OK) {
		status = write_show(call, asked, &loads);
	}
	free(loads.states);
	return status;
}
