/* tensor.c - tensors: put, get, delete. The list stands with the other lists, in admin.c. */
#include "schema/tensor.h"
#include "client/client.h"
#include "client/field.h"
#include "client/record.h"
#include "client/reserved.h"
#include "schema/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static_assert((int)REP_TENSOR_U64 == (int)TENSOR_U64, "the same dtypes");
static_assert(REP_TENSOR_DIMS == LIMIT_TENSOR_DIMS, "as many dimensions");
static_assert(sizeof((struct rep_tensor *)0)->name > LIMIT_NAME_BYTES, "name");

/* A request that writes always names its release: "live" for the live one. */
static struct wire_writer *begin(rep_client *client, const char *method, size_t fields,
	const char *release, const char *tensor)
{
	struct wire_writer *writer = client_begin(client, method, fields);
	wire_write_str(writer, "release");
	wire_write_str(writer, release != NULL ? release : "live");
	wire_write_str(writer, "tensor");
	wire_write_str(writer, tensor);
	return writer;
}

static enum status check(const struct rep_tensor *tensor, const void *data, struct error *err)
{
	if (tensor->dims > REP_TENSOR_DIMS) {
		return error_set(err, STATUS_BAD_REQUEST,
			"shape: %u dimensions given, 0..%d allowed", tensor->dims, REP_TENSOR_DIMS);
	}
	if (tensor_dtype_bytes((enum tensor_dtype)tensor->dtype) == 0) {
		return error_set(err, STATUS_BAD_REQUEST, "dtype: %d given", (int)tensor->dtype);
	}
	if (memchr(tensor->name, '\0', sizeof tensor->name) == NULL) {
		return error_set(err, STATUS_BAD_REQUEST, "tensor: its name does not end");
	}
	return data != NULL ? RESERVED_CHECK("rep_tensor", tensor, err)
			    : error_set(err, STATUS_BAD_REQUEST, "data: none given");
}

enum rep_status rep_tensor_put(rep_client *client, const char *release,
	const struct rep_tensor *tensor, const void *data, size_t data_bytes,
	struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	const enum status status = check(tensor, data, err);
	if (status != STATUS_OK) {
		return (enum rep_status)status;
	}
	struct wire_writer *writer = begin(client, "tensor.put", 5, release, tensor->name);
	wire_write_str(writer, "dtype");
	wire_write_str(writer, tensor_dtype_name((enum tensor_dtype)tensor->dtype));
	wire_write_str(writer, "shape");
	wire_write_array(writer, tensor->dims);
	for (uint32_t i = 0; i < tensor->dims; i++) {
		wire_write_uint(writer, tensor->shape[i]);
	}
	request_write_tail(&client->request, "data", (struct wire_bytes){data, data_bytes});
	return (enum rep_status)client_call_plain(client, CLIENT_ONCE, client_deadline_ms(client),
		err);
}

/* Reads an answer that holds a tensor, and copies its data. */
static enum status read_tensor(struct wire_value result, struct rep_tensor *out, void **data,
	struct error *err)
{
	struct rep_tensor tensor;
	struct wire_bytes bytes;
	const enum status status = record_read_tensor(result, &tensor, err);
	if (status != STATUS_OK) {
		return status;
	}
	if (!wire_bin(wire_get(result, "data"), &bytes) || bytes.len != tensor.bytes) {
		return error_set(err, STATUS_PROTOCOL,
			"tensor '%s': the answer has not the bytes that it must", tensor.name);
	}
	void *copy = malloc(bytes.len);
	if (copy == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for a tensor of %zu bytes",
			bytes.len);
	}
	memcpy(copy, bytes.data, bytes.len);
	*out = tensor;
	*data = copy;
	return STATUS_OK;
}

enum rep_status rep_tensor_get(rep_client *client, const char *release, const char *tensor,
	struct rep_tensor *out, void **data, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct reply reply = {0};
	struct wire_writer *writer = client_begin(client, "tensor.get", release != NULL ? 2 : 1);
	if (release != NULL) {
		wire_write_str(writer, "release");
		wire_write_str(writer, release);
	}
	wire_write_str(writer, "tensor");
	wire_write_str(writer, tensor);
	enum status status =
		client_call(client, CLIENT_REPEATABLE, client_deadline_ms(client), &reply, err);
	if (status == STATUS_OK) {
		status = read_tensor(reply.result, out, data, err);
		reply_close(&reply);
		if (status == STATUS_PROTOCOL) {
			client_disconnect(client);
		}
	}
	return (enum rep_status)status;
}

enum rep_status rep_tensor_delete(rep_client *client, const char *release, const char *tensor,
	struct rep_error *err)
{
	(void)begin(client, "tensor.delete", 2, release, tensor);
	return (enum rep_status)client_call_plain(client, CLIENT_ONCE, client_deadline_ms(client),
		client_error(err));
}
