/* table.c - table.create. */
#include "daemon/method/methods.h"

#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/store/admin/admin.h"

const char *const table_create_names[] = {"release", "table", "entity", "kind", "dim", "views",
	"dtype", "key", "ttl_ms", "tags", "index", "history", "decay_events", "half_life_ms",
	"read", "state", "default", "default_row", "default_scale", NULL};

enum status table_create_run(struct call *call)
{
	struct params params;
	params_begin(&params, call->params, "", table_create_names, &call->error);
	struct name release;
	params_name(&params, "release", PARAM_REQUIRED, &release);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	struct table_spec spec;
	struct default_row row;
	enum status status = spec_read(call->params, SPEC_WANTED, &spec, &call->error);
	if (status == STATUS_OK) {
		status = default_row_read(call->params, &spec, DEFAULT_ROW_GIVEN, &row,
			&call->error);
	}
	if (status == STATUS_OK) {
		status = store_table_create(call->service->store, release.text, &spec,
			row.row != NULL ? &row : NULL, &call->error);
	}
	if (status != STATUS_OK) {
		return status;
	}
	wire_write_map(call->out, 2);
	reply_str(call->out, "release", release.text);
	reply_str(call->out, "table", spec.name.text);
	return reply_end(call);
}
