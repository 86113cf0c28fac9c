/* tensor_get.c - tensor.get, tensor.list. A get moves up to 64 MiB, so a pool thread copies it. */
#include "daemon/method/methods.h"

#include "daemon/method/call/call_snapshot.h"
#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/method/release_asked.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/tensor/tensor.h"

static enum status write_tensor(struct call *call, const struct release *release, const char *name)
{
	struct tensor *tensor;
	enum status status = release_tensor(release, name, &tensor, &call->error);
	if (status == STATUS_OK) {
		status = store_tensor_use(call->service->store, release, tensor, call->may_block,
			&call->error);
	}
	if (status != STATUS_OK) {
		return status;
	}
	wire_write_map(call->out, 2 + TENSOR_SPEC_FIELDS);
	reply_str(call->out, "release", release->id.text);
	tensor_spec_write(call->out, &tensor->spec);
	reply_bin(call->out, "data", tensor->data, tensor_bytes(&tensor->spec));
	if (!tensor_is_sound(tensor)) {
		return error_set(&call->error, STATUS_CORRUPT, "tensor '%s': its file is damaged",
			name);
	}
	return reply_end(call);
}

enum status tensor_get_run(struct call *call)
{
	struct params params;
	struct name id;
	struct name name;
	params_begin(&params, call->params, "", tensor_names, &call->error);
	params_name(&params, "release", PARAM_OPTIONAL, &id);
	params_name(&params, "tensor", PARAM_REQUIRED, &name);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	const struct release *release;
	const struct snapshot *snapshot = call_snapshot(call, &params);
	if (snapshot == NULL) {
		return STATUS_NO_MEMORY;
	}
	enum status status = snapshot_release(snapshot, id.text[0] != '\0' ? id.text : NULL,
		&release, &call->error);
	if (status == STATUS_OK) {
		status = write_tensor(call, release, name.text);
	}
	snapshot_end(call->service->store);
	return status;
}

enum status tensor_list_run(struct call *call)
{
	const struct snapshot *snapshot;
	const struct release *release;
	enum status status = release_asked(call, &snapshot, &release);
	if (status != STATUS_OK) {
		return status;
	}
	status = call_charge(call, COST_LIST,
		release->tensor_count * (1 + TENSOR_SPEC_FIELDS + LIMIT_TENSOR_DIMS) *
			COST_ENTRY_NS);
	if (status == STATUS_OK) {
		wire_write_map(call->out, 2);
		reply_str(call->out, "release", release->id.text);
		wire_write_str(call->out, "tensors");
		wire_write_array(call->out, release->tensor_count);
		for (size_t i = 0; i < release->tensor_count; i++) {
			const struct tensor_spec *spec = &release->tensors[i]->spec;
			wire_write_map(call->out, 1 + TENSOR_SPEC_FIELDS);
			tensor_spec_write(call->out, spec);
			reply_uint(call->out, "bytes", tensor_bytes(spec));
		}
	}
	snapshot_end(call->service->store);
	return status == STATUS_OK ? reply_end(call) : status;
}
