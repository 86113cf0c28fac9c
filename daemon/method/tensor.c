/* tensor.c - tensor.put, tensor.delete.
 *
 * A put moves up to 64 MiB, so it does not run on a loop: the admin lane writes and syncs it.
 */
#include "daemon/method/methods.h"

#include <assert.h>
#include <string.h>

#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/store/admin/admin.h"
#include "schema/limits.h"

const char *const tensor_put_names[] = {"release", "tensor", "dtype", "shape", "data", "tensors",
	NULL};
const char *const tensor_put_part_names[] = {"tensor", "dtype", "shape", "data", NULL};

/* What a put gives. */
struct given {
	size_t count;
	size_t bytes;
	struct tensor_given tensors[LIMIT_TENSORS_PUT]; /* the first `count` are set */
};

/* Adds the tensor that `params` give. */
static enum status add_tensor(struct given *given, struct params *params)
{
	assert(given->count < LIMIT_TENSORS_PUT);
	struct tensor_given *tensor = &given->tensors[given->count];
	struct tensor_spec *spec = &tensor->spec;
	struct error reason;
	*tensor = (struct tensor_given){0};
	const enum status status = tensor_spec_read(params->map, spec, &reason);
	if (params->status == STATUS_OK && status != STATUS_OK) {
		params->status = error_set(params->err, status, "%s%s", params->where, reason.text);
	}
	const struct wire_bytes data = params_bin(params, "data", PARAM_REQUIRED);
	if (params->status == STATUS_OK && data.len != tensor_bytes(spec)) {
		char shape[TENSOR_SHAPE_BYTES];
		params_fail(params, STATUS_BAD_REQUEST, "data",
			"%zu bytes given, %zu expected for %s of %s", data.len, tensor_bytes(spec),
			tensor_shape_print(spec, shape), tensor_dtype_name(spec->dtype));
	}
	for (size_t i = 0; params->status == STATUS_OK && i < given->count; i++) {
		if (strcmp(given->tensors[i].spec.name.text, spec->name.text) == 0) {
			params_fail(params, STATUS_BAD_REQUEST, "tensor",
				"'%s' given, as tensors[%zu] is already", spec->name.text, i);
		}
	}
	tensor->data = data.data;
	given->bytes += data.len;
	given->count++;
	return params->status;
}

static enum status add_tensors(struct given *given, struct params *params)
{
	for (const char *const *name = tensor_put_part_names; *name != NULL; name++) {
		if (params_value(params, *name, PARAM_OPTIONAL).object != NULL) {
			params_fail(params, STATUS_BAD_REQUEST, *name,
				"given beside 'tensors', where it belongs");
		}
	}
	const struct wire_value list = params_array(params, "tensors");
	const size_t count = wire_size(list);
	if (params->status == STATUS_OK && (count == 0 || count > LIMIT_TENSORS_PUT)) {
		params_fail(params, count == 0 ? STATUS_BAD_REQUEST : STATUS_TOO_LARGE, "tensors",
			"%zu given, 1..%u allowed", count, LIMIT_TENSORS_PUT);
	}
	enum status status = params->status;
	for (size_t i = 0; status == STATUS_OK && i < count; i++) {
		char where[PARAMS_WHERE_BYTES];
		struct params of_one;
		params_begin(&of_one, wire_item(list, i), params_where(where, "tensors", i),
			tensor_put_part_names, params->err);
		status = of_one.status == STATUS_OK ? add_tensor(given, &of_one) : of_one.status;
	}
	return status;
}

enum status tensor_put_run(struct call *call)
{
	struct params params;
	struct name release;
	struct given given;
	given.count = 0;
	given.bytes = 0;
	params_begin(&params, call->params, "", tensor_put_names, &call->error);
	params_name(&params, "release", PARAM_REQUIRED, &release);
	const bool many = params_value(&params, "tensors", PARAM_OPTIONAL).object != NULL;
	enum status status = params.status;
	if (status == STATUS_OK) {
		status = many ? add_tensors(&given, &params) : add_tensor(&given, &params);
	}
	struct name resolved;
	if (status == STATUS_OK) {
		status = store_tensors_put(call->service->store, release.text, given.tensors,
			given.count, &resolved, &call->error);
	}
	if (status != STATUS_OK) {
		return status;
	}
	wire_write_map(call->out, 3);
	reply_str(call->out, "release", resolved.text);
	if (many) {
		reply_uint(call->out, "tensors", given.count);
	} else {
		reply_str(call->out, "tensor", given.tensors[0].spec.name.text);
	}
	reply_uint(call->out, "bytes", given.bytes);
	return reply_end(call);
}

enum status tensor_delete_run(struct call *call)
{
	struct params params;
	struct name release;
	struct name name;
	params_begin(&params, call->params, "", tensor_names, &call->error);
	params_name(&params, "release", PARAM_REQUIRED, &release);
	params_name(&params, "tensor", PARAM_REQUIRED, &name);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	struct name resolved;
	const enum status status = store_tensor_delete(call->service->store, release.text,
		name.text, &resolved, &call->error);
	if (status != STATUS_OK) {
		return status;
	}
	wire_write_map(call->out, 2);
	reply_str(call->out, "release", resolved.text);
	reply_str(call->out, "tensor", name.text);
	return reply_end(call);
}
