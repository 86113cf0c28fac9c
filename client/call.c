/* call.c - any method, MessagePack in and out. */
#include "client/call.h"

#include "client/client.h"

#include <stdlib.h>
#include <string.h>

/* Methods that change nothing, so asking twice does no harm. */
static const char *const readers[] = {"fetch", "hello", "info", "ping", "release.list",
	"release.show", "scan", "stats", "table.list", "table.show", "tensor.get", "tensor.list"};

bool call_changes_nothing(const char *method)
{
	for (size_t i = 0; method != NULL && i < sizeof readers / sizeof readers[0]; i++) {
		if (strcmp(readers[i], method) == 0) {
			return true;
		}
	}
	return false;
}

/* The params of a request: one map in MessagePack. */
struct params {
	struct wire_bytes pairs; /* behind the head of the map */
	size_t count;
	bool has_trace;
};

/* Only one whole map may be sent: other bytes would break the stream of messages. */
static enum status read_params(const void *params, size_t len, struct params *out,
	struct error *err)
{
	const uint8_t map16 = 0xde;
	const uint8_t map32 = 0xdf;

	struct wire_skim skim = {0};
	struct wire_message *message = NULL;
	enum status status = wire_skim(&skim, params, len);
	if (status == STATUS_OK && skim.at == len) {
		status = wire_open(params, len, &message);
		if (status == STATUS_NO_MEMORY) {
			return error_set(err, status, "no memory for the params");
		}
	}
	const bool is_map = message != NULL && wire_type(wire_root(message)) == WIRE_MAP;
	if (is_map) {
		const uint8_t *bytes = params;
		const size_t head = bytes[0] == map16 ? 3 : bytes[0] == map32 ? 5 : 1;
		*out = (struct params){
			.pairs = {bytes + head, len - head},
			.count = wire_size(wire_root(message)),
			.has_trace = wire_get(wire_root(message), "trace").object != NULL,
		};
	}
	wire_close(message);
	return is_map ? STATUS_OK
		      : error_set(err, STATUS_BAD_REQUEST, "params: not one MessagePack map");
}

/* Finds the bytes of the result in a response that rpc_read has accepted: they stand behind the
 * head of the array, the type, the msgid and the error. */
static struct wire_bytes result_bytes(struct wire_bytes response)
{
	const uint8_t array16 = 0xdc;
	const uint8_t array32 = 0xdd;
	size_t at = 1;
	if (response.data[0] == array16) {
		at = 3;
	} else if (response.data[0] == array32) {
		at = 5;
	}
	for (int i = 0; i < 3; i++) {
		struct wire_skim skim = {0};
		if (wire_skim(&skim, response.data + at, response.len - at) != STATUS_OK) {
			return (struct wire_bytes){0};
		}
		at += skim.at;
	}
	return (struct wire_bytes){response.data + at, response.len - at};
}

enum status call_write(struct request *request, const char *method, const void *params,
	size_t params_len, struct error *err)
{
	if (method == NULL) {
		return error_set(err, STATUS_BAD_REQUEST, "method: NULL given, a name allowed");
	}
	struct params given = {.count = 0};
	const enum status status =
		params != NULL ? read_params(params, params_len, &given, err) : STATUS_OK;
	if (status != STATUS_OK) {
		return status;
	}
	struct wire_writer *writer = request_begin_raw(request, method);
	const size_t common = given.has_trace ? 0 : request_common_fields(request);
	wire_write_map(writer, given.count + common);
	if (common > 0) {
		request_write_common(request);
	}
	wire_write_raw(writer, given.pairs.data, given.pairs.len);
	return STATUS_OK;
}

enum status call_read(struct wire_bytes response, void **result, size_t *result_len,
	struct error *err)
{
	const struct wire_bytes bytes = result_bytes(response);
	void *copy = bytes.len > 0 ? malloc(bytes.len) : NULL;
	if (copy == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for an answer of %zu bytes",
			bytes.len);
	}
	memcpy(copy, bytes.data, bytes.len);
	*result = copy;
	*result_len = bytes.len;
	return STATUS_OK;
}

/* NOLINTNEXTLINE(readability-function-size): the public face names every part of it */
enum rep_status rep_call(rep_client *client, const char *method, const void *params,
	size_t params_len, void **result, size_t *result_len, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	enum status status = call_write(client_request(client), method, params, params_len, err);
	if (status != STATUS_OK) {
		return (enum rep_status)status;
	}
	struct reply reply = {0};
	const enum client_repeat repeat =
		call_changes_nothing(method) ? CLIENT_REPEATABLE : CLIENT_ONCE;
	status = client_call(client, repeat, client_deadline_ms(client), &reply, err);
	if (status == STATUS_OK) {
		status = call_read(reply.bytes, result, result_len, err);
		reply_close(&reply);
	}
	return (enum rep_status)status;
}
