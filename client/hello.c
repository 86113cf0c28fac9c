/* hello.c - the exchange of hello. */
#include "client/hello.h"

#include "client/field.h"
#include "client/response.h"
#include "config.h"
#include "schema/limits.h"
#include "schema/protocol.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { HELLO_MSGID = 0 };

static const struct {
	enum hello_feature feature;
	const char *name;
} known[] = {
	{HELLO_TIMEOUT_MS, "timeout_ms"},
	{HELLO_SCAN_SHARD, "scan.shard"},
	{HELLO_DEFAULT_ROW, "default_row"},
	{HELLO_FROM_MISSING, "from.missing"},
	{HELLO_TRACE, "trace"},
	{HELLO_HISTORY, "history"},
};

enum { FEATURES = sizeof known / sizeof known[0] };

static unsigned read_features(struct wire_value list)
{
	unsigned found = 0;
	for (size_t i = 0; i < wire_size(list); i++) {
		struct wire_bytes each;
		const bool is_name = wire_str(wire_item(list, i), &each);
		for (size_t j = 0; is_name && j < FEATURES; j++) {
			const bool is_it = wire_bytes_are(each, known[j].name);
			found |= is_it ? known[j].feature : 0;
		}
	}
	return found;
}

enum status hello_need(const struct hello *hello, unsigned features, struct error *err)
{
	const unsigned lacks = features & ~hello->features;
	if (lacks == 0) {
		return STATUS_OK; /* almost always: this is asked of each request */
	}
	size_t first = 0;
	while (first + 1 < FEATURES && (known[first].feature & lacks) == 0) {
		first++;
	}
	const bool is_known = hello->version[0] != '\0';
	return error_set(err, STATUS_UNSUPPORTED, "the daemon%s%s does not have the feature '%s'",
		is_known ? ", version " : "", is_known ? hello->version : "", known[first].name);
}

enum status hello_write(struct wire_writer *writer, const char *client, struct error *err)
{
	char own[LIMIT_CLIENT_BYTES + 1];
	(void)snprintf(own, sizeof own, "%s (librepstore %s)", program_invocation_short_name,
		REPSTORE_VERSION);
	rpc_write_request(writer, HELLO_MSGID, "hello");
	wire_write_map(writer, 1);
	wire_write_str(writer, "client");
	wire_write_str(writer, client != NULL ? client : own);
	return writer->status == STATUS_OK
		       ? STATUS_OK
		       : error_set(err, writer->status, "no memory for a request");
}

static enum status read_result(const struct rpc_envelope *envelope, const char *address,
	struct hello *out, struct error *err)
{
	uint64_t version = 0;
	if (envelope->failed) {
		return response_error(envelope->error, err);
	}
	if (envelope->msgid != HELLO_MSGID ||
		!wire_uint(wire_get(envelope->result, "protocol"), &version)) {
		return error_set(err, STATUS_PROTOCOL,
			"'%s' did not answer hello as repstored does", address);
	}
	if (version != PROTOCOL_VERSION) {
		return error_set(err, STATUS_UNSUPPORTED,
			"'%s' speaks protocol %llu, this library %d", address,
			(unsigned long long)version, PROTOCOL_VERSION);
	}
	*out = (struct hello){.features = read_features(wire_get(envelope->result, "features"))};
	(void)field_text(envelope->result, "version", out->version, sizeof out->version);
	return STATUS_OK;
}

enum status hello_read(struct wire_bytes bytes, const char *address, struct hello *out,
	struct error *err)
{
	struct wire_message *message = NULL;
	struct rpc_envelope envelope = {0};
	enum status status = response_open(bytes, &message, &envelope, err);
	if (status == STATUS_OK) {
		status = read_result(&envelope, address, out, err);
	}
	wire_close(message);
	return status;
}

enum status hello_say(struct transport *transport, const char *client, int64_t deadline_ms,
	struct hello *out, struct error *err)
{
	struct wire_writer writer = {0};
	struct wire_bytes bytes = {0};
	enum status status = hello_write(&writer, client, err);
	if (status == STATUS_OK) {
		struct iovec part = {writer.data, writer.len};
		status = transport_send(transport, &part, 1, deadline_ms, err);
	}
	wire_writer_fini(&writer);
	if (status == STATUS_OK) {
		status = transport_receive(transport, deadline_ms, &bytes, err);
	}
	return status == STATUS_OK ? hello_read(bytes, transport->address, out, err) : status;
}
