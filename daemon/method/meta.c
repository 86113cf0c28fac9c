/* meta.c - hello, ping, info: who is the daemon, and is it there? */
#include "daemon/method/methods.h"

#include <unistd.h>

#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/search/expect.h"
#include "daemon/store/base/base.h"
#include "daemon/store/base/segment.h"
#include "daemon/store/catalog/catalog.h"
#include "daemon/store/log/redo.h"
#include "daemon/store/spill/spill.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/system/clock.h"
#include "schema/limits.h"
#include "schema/protocol.h"

/* Version of a base file: its segments are LMDB values, numbered from 0. */
enum { FORMAT_BASE = 1 };

const char *const hello_names[] = {"client", "local", NULL};

/* What a daemon may lack that says the same protocol version. */
static void write_features(struct wire_writer *out)
{
	static const char *const features[] = {"any_time", "default_row", "from.missing", "history",
		"local", "positions.forget", "scan.shard", "tensor.put.tensors", "timeout_ms",
		"trace", "whoami"};
	const size_t count = sizeof features / sizeof features[0];
	wire_write_str(out, "features");
	wire_write_array(out, count);
	for (size_t i = 0; i < count; i++) {
		wire_write_str(out, features[i]);
	}
}

void reply_roles(struct wire_writer *out, unsigned roles)
{
	unsigned count = 0;
	for (unsigned i = 1; i < ROLE_COUNT; i++) {
		count += (roles & (unsigned)role_at(i)) != 0 ? 1 : 0;
	}
	wire_write_str(out, "roles");
	wire_write_array(out, count);
	for (unsigned i = 1; i < ROLE_COUNT; i++) {
		if ((roles & (unsigned)role_at(i)) != 0) {
			wire_write_str(out, role_name(role_at(i)));
		}
	}
}

enum status hello_run(struct call *call)
{
	struct params params;
	params_begin(&params, call->params, "", hello_names, &call->error);
	params_str(&params, "client", PARAM_OPTIONAL);
	params_flag(&params, "local"); /* daemon/net counts it */
	if (params.status != STATUS_OK) {
		return params.status;
	}
	struct wire_writer *out = call->out;
	wire_write_map(out, 6);
	reply_str(out, "server", "repstored");
	reply_str(out, "version", call->service->version);
	reply_uint(out, "protocol", PROTOCOL_VERSION);
	wire_write_str(out, "limits");
	wire_write_map(out, 5);
	reply_uint(out, "message_bytes", LIMIT_MESSAGE_BYTES);
	reply_uint(out, "keys", LIMIT_KEYS);
	reply_uint(out, "parts", LIMIT_PARTS);
	reply_uint(out, "inline_rows", LIMIT_INLINE_NS / EXPECT_ROW_NS);
	reply_uint(out, "chunks_in_flight", LIMIT_CHUNKS_IN_FLIGHT);
	write_features(out);
	reply_roles(out, call->roles);
	return reply_end(call);
}

enum status ping_run(struct call *call)
{
	struct params params;
	params_begin(&params, call->params, "", no_names, &call->error);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	wire_write_map(call->out, 0);
	return reply_end(call);
}

static void write_listen(struct wire_writer *out, const char *const *listen)
{
	size_t count = 0;
	while (listen[count] != NULL) {
		count++;
	}
	wire_write_str(out, "listen");
	wire_write_array(out, count);
	for (size_t i = 0; i < count; i++) {
		reply_text_item(out, listen[i]);
	}
}

static void write_formats(struct wire_writer *out)
{
	wire_write_str(out, "formats");
	wire_write_map(out, 5);
	reply_uint(out, "catalog", CATALOG_VERSION);
	reply_uint(out, "base", FORMAT_BASE);
	reply_uint(out, "segment", SEGMENT_VERSION);
	reply_uint(out, "spill", SPILL_VERSION);
	reply_uint(out, "log", REDO_VERSION);
}

enum status info_run(struct call *call)
{
	struct params params;
	params_begin(&params, call->params, "", no_names, &call->error);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	const struct service *service = call->service;
	struct wire_writer *out = call->out;
	const struct snapshot *snapshot = snapshot_begin(service->store);
	wire_write_map(out, snapshot->live != NULL ? 11 : 10);
	reply_str(out, "version", service->version);
	reply_uint(out, "protocol", PROTOCOL_VERSION);
	reply_uint(out, "pid", (uint64_t)getpid());
	reply_uint(out, "uptime_ms", (uint64_t)(clock_monotonic_ms() - service->started_ms));
	reply_text(out, "data", store_folder(service->store));
	if (snapshot->live != NULL) {
		reply_str(out, "live", snapshot->live->id.text);
	}
	reply_uint(out, "releases", snapshot->release_count);
	snapshot_end(service->store);
	reply_uint(out, "workers", service->workers);
	reply_uint(out, "pool", service->pool);
	write_listen(out, service->listen);
	write_formats(out);
	return reply_end(call);
}
