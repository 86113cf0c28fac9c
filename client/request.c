/* request.c - begins requests, and tells the daemon how long each may take. */
#include "client/request.h"

#include "client/hello.h"
#include "schema/limits.h"
#include "schema/rpc.h"

#include <string.h>

enum {
	TOLD_PART = 16, /* of a time-out, the daemon is told so much less */
	BIN32_HEAD_BYTES = 5,
};

void request_fini(struct request *request)
{
	wire_writer_fini(&request->writer);
}

struct wire_writer *request_begin_raw(struct request *request, const char *method)
{
	wire_writer_clear(&request->writer);
	request->tail = (struct wire_bytes){0};
	request->needs = 0;
	rpc_write_request(&request->writer, request->msgid, method);
	return &request->writer;
}

enum status request_set_trace(struct request *request, const char *trace, struct error *err)
{
	const size_t len = trace == NULL ? 0 : strlen(trace);
	if (len > LIMIT_TRACE_BYTES) {
		return error_set(err, STATUS_BAD_REQUEST,
			"trace: %zu bytes given, at most %u allowed", len, LIMIT_TRACE_BYTES);
	}
	memcpy(request->trace, len > 0 ? trace : "", len + 1);
	return STATUS_OK;
}

size_t request_common_fields(const struct request *request)
{
	return request->trace[0] != '\0' && request->can_trace ? 1 : 0;
}

void request_write_common(struct request *request)
{
	if (request_common_fields(request) > 0) {
		wire_write_str(&request->writer, "trace");
		wire_write_str(&request->writer, request->trace);
		request->needs |= HELLO_TRACE; /* of the daemon that it will be sent to */
	}
}

/* Begins a request of so many fields, and one more that says how long it may take, if there is a
 * limit. */
static struct wire_writer *begin_within(struct request *request, const char *method, size_t fields,
	uint64_t told_ms)
{
	struct wire_writer *writer = request_begin_raw(request, method);
	const bool is_told = told_ms != 0 && request->can_limit;
	wire_write_map(writer, fields + is_told + request_common_fields(request));
	if (is_told) {
		/* The daemon looks for it among the first values. */
		wire_write_str(writer, "timeout_ms");
		wire_write_uint(writer, told_ms);
	}
	request_write_common(request);
	return writer;
}

/* What the daemon is told: a part less, so that it says what became of a request before nobody waits. 0:
 * the sender waits without end. */
static uint64_t told_ms_of(const struct request *request, uint64_t most_ms)
{
	const uint64_t limit_ms = request->timeout_ms;
	const uint64_t told_ms = limit_ms - limit_ms / TOLD_PART;
	return told_ms < most_ms ? told_ms : most_ms;
}

struct wire_writer *request_begin(struct request *request, const char *method, size_t fields)
{
	return begin_within(request, method, fields, told_ms_of(request, LIMIT_TIMEOUT_MS));
}

struct wire_writer *request_begin_search(struct request *request, const char *method, size_t fields)
{
	const uint64_t told_ms = told_ms_of(request, LIMIT_SEARCH_MS_MAX);
	return begin_within(request, method, fields, told_ms != 0 ? told_ms : LIMIT_SEARCH_MS_MAX);
}

struct wire_writer *request_begin_long(struct request *request, const char *method, size_t fields)
{
	return begin_within(request, method, fields, 0);
}

void request_write_tail(struct request *request, const char *name, struct wire_bytes bytes)
{
	/* The length of a bin has 32 bits; request_check refuses longer tails. */
	const uint8_t head[BIN32_HEAD_BYTES] = {0xc6, (uint8_t)(bytes.len >> 24),
		(uint8_t)(bytes.len >> 16), (uint8_t)(bytes.len >> 8), (uint8_t)bytes.len};
	wire_write_str(&request->writer, name);
	wire_write_raw(&request->writer, head, sizeof head);
	request->tail = bytes;
}

enum status request_check(const struct request *request, struct error *err)
{
	const struct wire_writer *writer = &request->writer;
	enum status status = writer->status;
	if (status == STATUS_OK && request->tail.len > LIMIT_MESSAGE_BYTES - writer->len) {
		status = STATUS_TOO_LARGE;
	}
	if (status == STATUS_TOO_LARGE) {
		return error_set(err, status, "the request is larger than %u MiB",
			LIMIT_MESSAGE_BYTES >> 20);
	}
	return status == STATUS_OK ? status : error_set(err, status, "no memory for a request");
}
