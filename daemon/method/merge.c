/* merge.c - merges the log into the files of tables; answers when that is done. */
#include "daemon/method/methods.h"

#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/system/clock.h"

const char *const merge_names[] = {"full", "release", "tables", NULL};

/* Reads the names of tables. */
static void read_tables(struct params *params, struct table_name *names, size_t *count)
{
	const struct wire_value list = params_value(params, "tables", PARAM_OPTIONAL);
	const bool is_given = wire_type(list) != WIRE_ABSENT && wire_type(list) != WIRE_NIL;
	const size_t given = is_given ? wire_size(list) : 0;
	if (params->status == STATUS_OK && is_given && wire_type(list) != WIRE_ARRAY) {
		params_fail(params, STATUS_BAD_REQUEST, "tables", "an array expected");
	}
	if (params->status == STATUS_OK && is_given && (given == 0 || given > LIMIT_TABLES)) {
		params_fail(params, STATUS_BAD_REQUEST, "tables", "%zu given, 1 to %u allowed",
			given, LIMIT_TABLES);
	}
	for (size_t i = 0; params->status == STATUS_OK && i < given; i++) {
		struct wire_bytes text;
		struct error reason = {0};
		if (!wire_str(wire_item(list, i), &text)) {
			params_fail(params, STATUS_BAD_REQUEST, "tables", "element %zu is no str",
				i);
		} else if (table_name_check((const char *)text.data, text.len, "tables", &names[i],
				   &reason) != STATUS_OK) {
			params_fail(params, STATUS_BAD_REQUEST, "tables", "element %zu: %s", i,
				reason.text);
		}
	}
	*count = given;
}

enum status merge_run(struct call *call)
{
	struct params params;
	params_begin(&params, call->params, "", merge_names, &call->error);
	struct table_name names[LIMIT_TABLES];
	struct name release;
	struct merge_tables which = {.names = names, .full = params_flag(&params, "full")};
	params_name(&params, "release", PARAM_OPTIONAL, &release);
	read_tables(&params, names, &which.count);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	struct merge_result result;
	const int64_t began_ms = clock_monotonic_ms();
	struct store *store = call->service->store;
	const struct stop *stop = call_stop(call);
	which.release = release.text[0] == '\0' ? NULL : release.text;
	enum status status =
		which.count > 0 || which.release != NULL
			? store_merge_tables(store, &which, stop, &result, &call->error)
		: which.full ? store_merge_full(store, stop, &result, &call->error)
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
