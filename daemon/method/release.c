/* release.c - methods that change releases: create, seal, publish, rollback, drop. */
#include "daemon/method/methods.h"

#include <string.h>

#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/store/admin/admin.h"
#include "daemon/store/seal/seal_release.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/system/clock.h"
#include "schema/limits.h"
#include "schema/utf8.h"

const char *const release_create_names[] = {"release", "model", "checkpoint", NULL};

/* Reads a text that only people read; `out` is NUL-terminated. */
static void read_label(struct params *params, const char *name, char out[LIMIT_LABEL_BYTES + 1])
{
	struct wire_bytes text = params_str(params, name, PARAM_OPTIONAL);
	out[0] = '\0';
	if (params->status != STATUS_OK || text.data == NULL) {
		return;
	}
	if (text.len > LIMIT_LABEL_BYTES) {
		params_fail(params, STATUS_BAD_REQUEST, name, "%zu bytes given, up to %u allowed",
			text.len, LIMIT_LABEL_BYTES);
		return;
	}
	const size_t valid = utf8_valid_bytes(text.data, text.len);
	if (valid < text.len) {
		params_fail(params, STATUS_BAD_REQUEST, name,
			"byte %zu (0x%02x) is not UTF-8, which is expected", valid,
			text.data[valid]);
		return;
	}
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < ' ' || text.data[i] == 0x7f) {
			params_fail(params, STATUS_BAD_REQUEST, name,
				"byte %zu is a control character (0x%02x), none is allowed", i,
				text.data[i]);
			return;
		}
	}
	memcpy(out, text.data, text.len);
	out[text.len] = '\0';
}

enum status release_create_run(struct call *call)
{
	struct params params;
	params_begin(&params, call->params, "", release_create_names, &call->error);
	struct wire_bytes text = params_str(&params, "release", PARAM_REQUIRED);
	char model[LIMIT_LABEL_BYTES + 1];
	char checkpoint[LIMIT_LABEL_BYTES + 1];
	read_label(&params, "model", model);
	read_label(&params, "checkpoint", checkpoint);
	struct name id;
	if (params.status == STATUS_OK) {
		params.status =
			release_name_check((const char *)text.data, text.len, &id, &call->error);
	}
	if (params.status != STATUS_OK) {
		return params.status;
	}
	const struct release_labels labels = {.model = model, .checkpoint = checkpoint};
	uint64_t number;
	enum status status =
		store_release_create(call->service->store, &id, &labels, &number, &call->error);
	if (status != STATUS_OK) {
		return status;
	}
	wire_write_map(call->out, 2);
	reply_str(call->out, "release", id.text);
	reply_uint(call->out, "number", number);
	return reply_end(call);
}

/* Reads the one argument `release`. "live" becomes the name of the release that is live, so that
 * the answer can tell it. */
static enum status read_release(struct call *call, struct name *id)
{
	struct params params;
	params_begin(&params, call->params, "", release_only_names, &call->error);
	params_name(&params, "release", PARAM_REQUIRED, id);
	if (params.status != STATUS_OK || strcmp(id->text, "live") != 0) {
		return params.status;
	}
	const struct release *release;
	const struct snapshot *snapshot = snapshot_begin(call->service->store);
	enum status status = snapshot_release(snapshot, NULL, &release, &call->error);
	if (status == STATUS_OK) {
		*id = release->id;
	}
	snapshot_end(call->service->store);
	return status;
}

enum status release_seal_run(struct call *call)
{
	struct name id;
	enum status status = read_release(call, &id);
	if (status != STATUS_OK) {
		return status;
	}
	int64_t started_ms = clock_monotonic_ms();
	struct seal_result result;
	status = store_seal(call->service->store, id.text, call_stop(call), &result, &call->error);
	if (status != STATUS_OK) {
		return status;
	}
	const int64_t elapsed_ms = clock_monotonic_ms() - started_ms;
	histogram_add_shared(&call->service->seal_times, (uint64_t)elapsed_ms * 1000000,
		HISTOGRAM_LONG_NS);
	wire_write_map(call->out, 5);
	reply_str(call->out, "release", id.text);
	reply_uint(call->out, "tables", result.tables);
	reply_uint(call->out, "rows", result.rows);
	reply_uint(call->out, "bytes", result.bytes);
	reply_uint(call->out, "elapsed_ms", (uint64_t)elapsed_ms);
	return reply_end(call);
}

enum status release_publish_run(struct call *call)
{
	struct name id;
	enum status status = read_release(call, &id);
	if (status != STATUS_OK) {
		return status;
	}
	struct name previous;
	status = store_release_publish(call->service->store, id.text, call_stop(call), &previous,
		&call->error);
	if (status != STATUS_OK) {
		return status;
	}
	bool had_one = previous.text[0] != '\0';
	wire_write_map(call->out, had_one ? 2 : 1);
	reply_str(call->out, "release", id.text);
	if (had_one) {
		reply_str(call->out, "previous", previous.text);
	}
	return reply_end(call);
}

enum status release_rollback_run(struct call *call)
{
	struct params params;
	params_begin(&params, call->params, "", no_names, &call->error);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	struct name now;
	struct name previous;
	enum status status = store_release_rollback(call->service->store, call_stop(call), &now,
		&previous, &call->error);
	if (status != STATUS_OK) {
		return status;
	}
	wire_write_map(call->out, 2);
	reply_str(call->out, "release", now.text);
	reply_str(call->out, "previous", previous.text);
	return reply_end(call);
}

enum status release_drop_run(struct call *call)
{
	struct name id;
	enum status status = read_release(call, &id);
	if (status != STATUS_OK) {
		return status;
	}
	status = store_release_drop(call->service->store, id.text, &call->error);
	if (status != STATUS_OK) {
		return status;
	}
	wire_write_map(call->out, 1);
	reply_str(call->out, "release", id.text);
	return reply_end(call);
}
