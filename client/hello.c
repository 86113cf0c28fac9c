/* hello.c - the exchange of hello. */
#include "client/hello.h"

#include "client/response.h"
#include "config.h"

#include <string.h>

enum { PROTOCOL_VERSION = 1 };

static bool has_feature(struct wire_value result, const char *name)
{
	const struct wire_value features = wire_get(result, "features");
	bool found = false;
	for (size_t i = 0; i < wire_size(features); i++) {
		struct wire_bytes each;
		found = found ||
			(wire_str(wire_item(features, i), &each) && each.len == strlen(name) &&
				memcmp(each.data, name, each.len) == 0);
	}
	return found;
}

enum status hello_say(struct transport *transport, int64_t deadline_ms, bool *can_limit,
	struct error *err)
{
	struct wire_writer writer = {0};
	rpc_write_request(&writer, 0, "hello");
	wire_write_map(&writer, 1);
	wire_write_str(&writer, "client");
	wire_write_str(&writer, "librepstore " REPSTORE_VERSION);
	enum status status = writer.status;
	if (status == STATUS_OK) {
		struct iovec part = {writer.data, writer.len};
		status = transport_send(transport, &part, 1, deadline_ms, err);
	} else {
		error_set(err, status, "no memory for a request");
	}
	wire_writer_fini(&writer);
	struct wire_bytes bytes = {0};
	if (status == STATUS_OK) {
		status = transport_receive(transport, deadline_ms, &bytes, err);
	}
	struct wire_message *message = NULL;
	struct rpc_envelope envelope = {0};
	if (status == STATUS_OK) {
		status = response_open(bytes, &message, &envelope, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	uint64_t version = 0;
	if (envelope.failed) {
		status = response_error(envelope.error, err);
	} else if (envelope.msgid != 0 ||
		   !wire_uint(wire_get(envelope.result, "protocol"), &version)) {
		status = error_set(err, STATUS_PROTOCOL,
			"'%s' did not answer hello as repstored does", transport->address);
	} else if (version != PROTOCOL_VERSION) {
		status = error_set(err, STATUS_UNSUPPORTED,
			"'%s' speaks protocol %llu, this library %d", transport->address,
			(unsigned long long)version, PROTOCOL_VERSION);
	} else {
		*can_limit = has_feature(envelope.result, "timeout_ms");
	}
	wire_close(message);
	return status;
}
