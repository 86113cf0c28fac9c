/* rpc.c - reads and writes the envelope of MessagePack-RPC. */
#include "schema/rpc.h"

#include "schema/limits.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { REQUEST_ITEMS = 4, RESPONSE_ITEMS = 4, NOTIFICATION_ITEMS = 3 };

static enum status read_method(struct wire_value value, struct wire_bytes *method,
	struct error *err)
{
	if (!wire_str(value, method)) {
		return error_set(err, STATUS_BAD_REQUEST, "method: %s given, str allowed",
			wire_type_name(wire_type(value)));
	}
	if (method->len == 0 || method->len > LIMIT_METHOD_BYTES) {
		return error_set(err, STATUS_BAD_REQUEST,
			"method: a name of %zu bytes given, 1..%u allowed", method->len,
			LIMIT_METHOD_BYTES);
	}
	return STATUS_OK;
}

static enum status read_params(struct wire_value value, struct wire_value *params,
	struct error *err)
{
	static const char allowed[] = "an array of one map, or an empty one, allowed";
	struct wire_value none = {0};
	if (wire_type(value) != WIRE_ARRAY) {
		return error_set(err, STATUS_BAD_REQUEST, "params: %s given, %s",
			wire_type_name(wire_type(value)), allowed);
	}
	if (wire_size(value) == 0) {
		return STATUS_OK;
	}
	struct wire_value first = wire_item(value, 0);
	if (wire_size(value) > 1) {
		return error_set(err, STATUS_BAD_REQUEST, "params: an array of %zu given, %s",
			wire_size(value), allowed);
	}
	const bool is_empty = wire_type(first) == WIRE_NIL ||
			      (wire_type(first) == WIRE_ARRAY && wire_size(first) == 0);
	if (wire_type(first) != WIRE_MAP && !is_empty) {
		return error_set(err, STATUS_BAD_REQUEST, "params: an array of one %s given, %s",
			wire_type_name(wire_type(first)), allowed);
	}
	*params = is_empty ? none : first;
	return STATUS_OK;
}

/* Reads the method at `at` and the params behind it, of an envelope of `items`. */
static enum status read_call(struct wire_value root, size_t at, size_t items,
	struct rpc_envelope *out, struct error *err)
{
	if (wire_size(root) != items) {
		return error_set(err, STATUS_BAD_REQUEST, "envelope: %zu items given, %zu allowed",
			wire_size(root), items);
	}
	struct wire_bytes method = {0};
	struct wire_value params = {0};
	enum status status = read_method(wire_item(root, at), &method, err);
	if (status == STATUS_OK) {
		status = read_params(wire_item(root, at + 1), &params, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	out->method = method;
	out->params = params;
	return STATUS_OK;
}

static enum status read_response(struct wire_value root, struct rpc_envelope *out,
	struct error *err)
{
	if (wire_size(root) != RESPONSE_ITEMS) {
		return error_set(err, STATUS_PROTOCOL, "envelope: %zu items given, %d allowed",
			wire_size(root), RESPONSE_ITEMS);
	}
	struct wire_value error = wire_item(root, 2);
	if (wire_type(error) != WIRE_NIL) {
		if (!wire_str(error, &out->error)) {
			return error_set(err, STATUS_PROTOCOL,
				"error: %s given, nil or str allowed",
				wire_type_name(wire_type(error)));
		}
		out->failed = true;
	}
	out->result = wire_item(root, 3);
	return STATUS_OK;
}

enum status rpc_read(struct wire_value root, struct rpc_envelope *out, struct error *err)
{
	if (wire_type(root) != WIRE_ARRAY) {
		return error_set(err, STATUS_PROTOCOL, "envelope: %s given, array allowed",
			wire_type_name(wire_type(root)));
	}
	uint64_t type;
	if (!wire_uint(wire_item(root, 0), &type) || type > RPC_NOTIFICATION) {
		return error_set(err, STATUS_PROTOCOL, "envelope: not of type 0, 1 or 2");
	}
	struct rpc_envelope envelope = {.type = (enum rpc_type)type};
	if (envelope.type == RPC_NOTIFICATION) {
		*out = envelope;
		return read_call(root, 1, NOTIFICATION_ITEMS, out, err);
	}
	uint64_t msgid;
	if (!wire_uint(wire_item(root, 1), &msgid) || msgid > UINT32_MAX) {
		return error_set(err, STATUS_PROTOCOL, "msgid: 0..4294967295 allowed");
	}
	envelope.msgid = (uint32_t)msgid;
	if (envelope.type == RPC_REQUEST) {
		*out = envelope;
		return read_call(root, 2, REQUEST_ITEMS, out, err);
	}
	enum status status = read_response(root, &envelope, err);
	if (status == STATUS_OK) {
		*out = envelope;
	}
	return status;
}

void rpc_write_request(struct wire_writer *writer, uint32_t msgid, const char *method)
{
	wire_write_array(writer, REQUEST_ITEMS);
	wire_write_uint(writer, RPC_REQUEST);
	wire_write_uint(writer, msgid);
	wire_write_str(writer, method);
	wire_write_array(writer, 1);
}

void rpc_write_response(struct wire_writer *writer, uint32_t msgid)
{
	wire_write_array(writer, RESPONSE_ITEMS);
	wire_write_uint(writer, RPC_RESPONSE);
	wire_write_uint(writer, msgid);
	wire_write_nil(writer);
}

void rpc_write_error(struct wire_writer *writer, uint32_t msgid, const struct error *err)
{
	char text[ERROR_TEXT_BYTES + 32]; /* no code is longer than 30 */
	assert(err->status != STATUS_OK); /* whoever reads it believes in no such error */
	snprintf(text, sizeof text, "%s: %s", status_name(err->status), err->text);
	wire_write_array(writer, RESPONSE_ITEMS);
	wire_write_uint(writer, RPC_RESPONSE);
	wire_write_uint(writer, msgid);
	wire_write_str(writer, text);
	wire_write_nil(writer);
}

/* Fills `out` with text of the peer, which may have any bytes. */
static void set_text(struct error *out, enum status status, const uint8_t *text, size_t len)
{
	char copy[ERROR_TEXT_BYTES];
	size_t shown = len < sizeof copy ? len : sizeof copy - 1;
	for (size_t i = 0; i < shown; i++) {
		copy[i] = text[i] != '\0' ? (char)text[i] : '?';
	}
	copy[shown] = '\0';
	error_set(out, status, "%s", copy);
}

void rpc_split_error(struct wire_bytes error, struct error *out)
{
	/* No code is longer than this. */
	size_t most = error.len < 32 ? error.len : 32;
	const uint8_t *colon = most > 0 ? memchr(error.data, ':', most) : NULL;
	size_t code_len = colon != NULL ? (size_t)(colon - error.data) : 0;
	if (colon != NULL && code_len + 1 < error.len && colon[1] == ' ') {
		enum status status = status_of_name((const char *)error.data, code_len);
		bool named = strlen(status_name(status)) == code_len &&
			     memcmp(status_name(status), error.data, code_len) == 0;
		/* "OK: ..." cannot be an error. */
		if (named && status != STATUS_OK) {
			set_text(out, status, colon + 2, error.len - code_len - 2);
			return;
		}
	}
	set_text(out, STATUS_INTERNAL, error.data, error.len);
}
