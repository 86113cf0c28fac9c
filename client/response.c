/* response.c - opens responses. */
#include "client/response.h"

enum status response_open(struct wire_bytes bytes, struct wire_message **message,
	struct rpc_envelope *envelope, struct error *err)
{
	enum status status = wire_reopen(bytes.data, bytes.len, message);
	if (status != STATUS_OK) {
		return error_set(err, status, "an answer could not be read: %s",
			status_name(status));
	}
	status = rpc_read(wire_root(*message), envelope, err);
	if (status == STATUS_OK && envelope->type == RPC_RESPONSE) {
		return STATUS_OK;
	}
	return error_set(err, STATUS_PROTOCOL, "the daemon sent something else than an answer");
}

enum status response_error(struct wire_bytes text, struct error *err)
{
	struct error remote = {0};
	rpc_split_error(text, &remote);
	if (remote.status == STATUS_OK || remote.status >= STATUS_COUNT) {
		remote.status = STATUS_INTERNAL;
	}
	return error_set(err, remote.status, "%s", remote.text);
}
