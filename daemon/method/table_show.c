/* table_show.c - table.list, table.show. */
#include "daemon/method/methods.h"

#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/method/release_asked.h"
#include "daemon/method/show.h"
#include "daemon/store/state/reader.h"

enum status table_list_run(struct call *call)
{
	const struct snapshot *snapshot;
	const struct release *release;
	enum status status = release_asked(call, &snapshot, &release);
	if (status != STATUS_OK) {
		return status;
	}
	status = call_charge(call, COST_LIST, show_tables_cost(release));
	if (status == STATUS_OK) {
		wire_write_map(call->out, 2);
		reply_str(call->out, "release", release->id.text);
		show_tables(call->out, call->service->store, "tables", release);
	}
	snapshot_end(call->service->store);
	return status == STATUS_OK ? reply_end(call) : status;
}

enum status table_show_run(struct call *call)
{
	struct params params;
	params_begin(&params, call->params, "", release_table_names, &call->error);
	struct name id;
	struct table_name name;
	params_name(&params, "release", PARAM_OPTIONAL, &id);
	params_table(&params, &name);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	const struct release *release;
	const struct table *table;
	const struct snapshot *snapshot = snapshot_begin(call->service->store);
	enum status status = snapshot_release(snapshot, id.text[0] != '\0' ? id.text : NULL,
		&release, &call->error);
	if (status == STATUS_OK) {
		status = release_table(release, name.text, &table, &call->error);
	}
	if (status == STATUS_OK) {
		status = call_charge(call, COST_LIST,
			show_table_cost(table) + show_levels_cost(table));
	}
	if (status == STATUS_OK) {
		const struct default_row *row = table->default_row;
		show_table(call->out, call->service->store, table,
			2 + (row != NULL ? DEFAULT_ROW_FIELDS : 0));
		reply_str(call->out, "release", release->id.text);
		show_levels(call->out, table);
		if (row != NULL) {
			default_row_write(call->out, row);
		}
	}
	snapshot_end(call->service->store);
	return status == STATUS_OK ? reply_end(call) : status;
}
