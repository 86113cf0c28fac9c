/* client.c - requests and answers over one connection, and when to connect again. */
#include "client/client.h"

#include "client/clock.h"
#include "client/hello.h"
#include "client/response.h"
#include "schema/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	CALLS_MIN = 64,
	CALLS_MAX = 65536,
};

enum call_state { CALL_FREE = 0, CALL_WAITING, CALL_KEPT };

struct call {
	enum call_state state;
	enum client_pipeline pipeline;
	uint8_t *kept; /* owned */
	size_t kept_len;
	uint64_t kept_lag_ms;
};

static struct call *call_at(const rep_client *client, uint32_t msgid)
{
	return &client->calls[msgid & (client->calls_cap - 1)];
}

static bool in_window(const rep_client *client, uint32_t msgid)
{
	return msgid - client->first < client->next - client->first;
}

/* What holds between calls of this file. */
static void check_window(const rep_client *client)
{
	assert((client->calls_cap & (client->calls_cap - 1)) == 0);
	assert(client->next - client->first <= client->calls_cap);
	assert(client->kept_bytes <= CLIENT_KEPT_BYTES_MAX);
	/* The oldest call in the window waits for its answer, or for somebody to take it. */
	assert(client->first == client->next || call_at(client, client->first)->state != CALL_FREE);
}

void reply_close(struct reply *reply)
{
	if (reply->client != NULL && reply->client->parsed == NULL) {
		reply->client->parsed = reply->message;
	} else {
		wire_close(reply->message);
	}
	free(reply->kept);
	*reply = (struct reply){0};
}

bool client_connected(const rep_client *client)
{
	return transport_connected(&client->transport);
}

int64_t client_deadline_ms(const rep_client *client)
{
	return clock_deadline_ms(client->request.timeout_ms);
}

static void free_call(rep_client *client, struct call *call)
{
	assert(call->state != CALL_FREE && call->kept_len <= client->kept_bytes);
	client->kept_bytes -= call->kept_len;
	free(call->kept);
	*call = (struct call){0};
	while (client->first != client->next &&
		call_at(client, client->first)->state == CALL_FREE) {
		client->first++;
	}
	check_window(client);
}

void client_disconnect(rep_client *client)
{
	transport_disconnect(&client->transport);
	for (uint32_t msgid = client->first; msgid != client->next; msgid++) {
		struct call *call = call_at(client, msgid);
		client->lost[call->pipeline]++; /* nobody reads that of CLIENT_NO_PIPELINE */
		free(call->kept);
		*call = (struct call){0};
	}
	client->first = client->next;
	client->kept_bytes = 0;
	assert(!client_connected(client));
}

void client_set_pipeline(rep_client *client, uint32_t msgid, enum client_pipeline pipeline)
{
	assert(in_window(client, msgid) && call_at(client, msgid)->state != CALL_FREE);
	assert(pipeline < CLIENT_PIPELINES);
	call_at(client, msgid)->pipeline = pipeline;
}

bool client_oldest(const rep_client *client, enum client_pipeline pipeline, uint32_t *msgid)
{
	assert(pipeline != CLIENT_NO_PIPELINE && pipeline < CLIENT_PIPELINES);
	for (uint32_t each = client->first; each != client->next; each++) {
		if (call_at(client, each)->pipeline == pipeline) {
			*msgid = each;
			return true;
		}
	}
	return false;
}

void client_drop_dead(rep_client *client)
{
	bool idle = client->first == client->next;
	if (client_connected(client) && idle && transport_dead(&client->transport)) {
		client_disconnect(client);
	}
}

/* ---- answers ---- */

/* Turns an opened response into what the caller sees. */
static enum status finish_reply(const struct rpc_envelope *envelope, struct reply *reply,
	struct error *err)
{
	if (envelope->failed) {
		enum status status = response_error(envelope->error, err);
		reply_close(reply);
		return status;
	}
	reply->result = envelope->result;
	return STATUS_OK;
}

/* Keeps an answer that came before it was asked for. */
static enum status keep_reply(rep_client *client, uint32_t msgid, struct wire_bytes bytes,
	struct error *err)
{
	if (client->kept_bytes + bytes.len > CLIENT_KEPT_BYTES_MAX) {
		return error_set(err, STATUS_TOO_LARGE, "answers out of order exceed %zu MiB",
			CLIENT_KEPT_BYTES_MAX >> 20);
	}
	struct call *call = call_at(client, msgid);
	assert(call->state == CALL_WAITING && call->kept == NULL && call->kept_len == 0);
	call->kept = malloc(bytes.len);
	if (call->kept == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for an answer out of order");
	}
	memcpy(call->kept, bytes.data, bytes.len);
	call->kept_len = bytes.len;
	call->kept_lag_ms = transport_lag_ms(&client->transport);
	call->state = CALL_KEPT;
	client->kept_bytes += bytes.len;
	return STATUS_OK;
}

/* Receives messages until one answers `msgid`; the others are kept. */
static enum status receive_until(rep_client *client, uint32_t msgid, int64_t deadline_ms,
	struct reply *out, struct rpc_envelope *envelope, struct error *err)
{
	for (;;) {
		struct wire_bytes bytes = {0};
		enum status status =
			transport_receive(&client->transport, deadline_ms, &bytes, err);
		if (status == STATUS_OK) {
			status = response_open(bytes, &client->parsed, envelope, err);
		}
		if (status != STATUS_OK) {
			return status;
		}
		if (!in_window(client, envelope->msgid) ||
			call_at(client, envelope->msgid)->state != CALL_WAITING) {
			status = error_set(err, STATUS_PROTOCOL,
				"the daemon answered msgid %u, which does not wait for an answer",
				envelope->msgid);
		} else if (envelope->msgid != msgid) {
			status = keep_reply(client, envelope->msgid, bytes, err);
		} else {
			*out = (struct reply){.message = client->parsed,
				.client = client,
				.bytes = bytes,
				.lag_ms = transport_lag_ms(&client->transport)};
			client->parsed = NULL;
			return STATUS_OK;
		}
		if (status != STATUS_OK) {
			return status;
		}
	}
}

/* Hands out an answer that was kept. */
static enum status take_kept(rep_client *client, uint32_t msgid, struct reply *out,
	struct rpc_envelope *envelope, struct error *err)
{
	struct call *call = call_at(client, msgid);
	*out = (struct reply){.kept = call->kept,
		.bytes = {call->kept, call->kept_len},
		.lag_ms = call->kept_lag_ms};
	call->kept = NULL;
	free_call(client, call);
	enum status status = response_open(out->bytes, &out->message, envelope, err);
	if (status != STATUS_OK) {
		reply_close(out);
	}
	return status;
}

enum status client_receive(rep_client *client, uint32_t msgid, int64_t deadline_ms,
	struct reply *out, struct error *err)
{
	if (!in_window(client, msgid)) {
		return error_set(err, STATUS_CLOSED,
			"'%s': the connection was lost before the answer",
			client->transport.address);
	}
	struct rpc_envelope envelope = {0};
	enum status status = STATUS_OK;
	assert(call_at(client, msgid)->state != CALL_FREE); /* an answer is handed out once */
	if (call_at(client, msgid)->state == CALL_KEPT) {
		status = take_kept(client, msgid, out, &envelope, err);
	} else {
		status = receive_until(client, msgid, deadline_ms, out, &envelope, err);
		if (status == STATUS_AGAIN) {
			return status;
		}
		if (status == STATUS_OK) {
			free_call(client, call_at(client, msgid));
		}
	}
	if (status != STATUS_OK) {
		client_disconnect(client);
		return status;
	}
	return finish_reply(&envelope, out, err);
}

/* ---- connecting ---- */

/* Connects to one address. */
static enum status connect_to(rep_client *client, const char *address, int64_t deadline_ms,
	struct error *err)
{
	client->transport.address = address;
	enum status status = transport_connect(&client->transport, deadline_ms, err);
	if (status == STATUS_OK) {
		status = hello_say(&client->transport, client->options.client, deadline_ms,
			&client->daemon, err);
	}
	client->request.can_limit = (client->daemon.features & HELLO_TIMEOUT_MS) != 0;
	client->request.can_trace = (client->daemon.features & HELLO_TRACE) != 0;
	if (status != STATUS_OK) {
		client_disconnect(client);
	}
	return status;
}

/* Connects to the address that served last, or to the next one that answers. */
static enum status connect_now(rep_client *client, struct error *err)
{
	/* To connect again is a part of a call, so it has the time of one at most. */
	const struct options *options = &client->options;
	const unsigned call_ms = client->request.timeout_ms;
	const bool is_less = call_ms != 0 && call_ms < options->connect_timeout_ms;
	const unsigned all_ms = is_less ? call_ms : options->connect_timeout_ms;
	const int64_t deadline_ms = clock_deadline_ms(all_ms);
	enum status status = STATUS_OK;
	for (size_t left = options->addresses_count; left > 0; left--) {
		/* Each has its share of what is left, lest one that is silent take all. */
		const int64_t now_ms = clock_now_ms();
		const int64_t share_ms = (deadline_ms - now_ms) / (int64_t)left;
		status = connect_to(client, options->addresses[client->address], now_ms + share_ms,
			err);
		if (status == STATUS_OK || client->transport.was_interrupted) {
			break;
		}
		client->address = (client->address + 1) % options->addresses_count;
	}
	return status;
}

enum status client_open(const struct rep_options *options, const struct embedded *embedded,
	void *context, rep_client **out, struct error *err)
{
	rep_client *client = calloc(1, sizeof *client);
	if (client == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for a client");
	}
	transport_init(&client->transport, NULL);
	client->transport.embedded = embedded;
	client->transport.embedded_context = context;
	enum status status = options_read(options, &client->options, err);
	client->request.timeout_ms = client->options.timeout_ms;
	spin_init(&client->transport.spin, client->options.spin_us);
	client->transport.secure = &client->options.secure;
	client->transport.interrupted = client->options.interrupted;
	client->transport.interrupted_context = client->options.interrupted_context;
	client->calls = calloc(CALLS_MIN, sizeof *client->calls);
	client->calls_cap = CALLS_MIN;
	if (status == STATUS_OK && client->calls == NULL) {
		status = error_set(err, STATUS_NO_MEMORY, "no memory for a client");
	}
	if (status == STATUS_OK) {
		status = connect_now(client, err);
	}
	if (status != STATUS_OK) {
		client->transport.embedded = NULL; /* it stays the caller's */
		rep_close(client);
		return status;
	}
	*out = client;
	return STATUS_OK;
}

enum rep_status rep_connect(const struct rep_options *options, rep_client **out,
	struct rep_error *err)
{
	return (enum rep_status)client_open(options, NULL, NULL, out, client_error(err));
}

void rep_close(rep_client *client)
{
	if (client == NULL) {
		return;
	}
	client_disconnect(client);
	transport_fini(&client->transport);
	request_fini(&client->request);
	wire_close(client->parsed);
	free(client->calls);
	options_fini(&client->options);
	free(client);
}

void rep_set_timeout(rep_client *client, unsigned timeout_ms)
{
	client->request.timeout_ms = timeout_ms;
}

enum rep_status rep_set_trace(rep_client *client, const char *trace, struct rep_error *err)
{
	return (enum rep_status)request_set_trace(&client->request, trace, client_error(err));
}

/* ---- requests ---- */

/* Makes room in the ring for one more call. */
static enum status grow_calls(rep_client *client, struct error *err)
{
	uint32_t used = client->next - client->first;
	if (used < client->calls_cap) {
		return STATUS_OK;
	}
	if (used >= CALLS_MAX) {
		return error_set(err, STATUS_TOO_LARGE,
			"%u calls wait to be received; receive some before sending more", used);
	}
	uint32_t cap = client->calls_cap * 2;
	struct call *calls = calloc(cap, sizeof *calls);
	if (calls == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for %u calls", cap);
	}
	for (uint32_t msgid = client->first; msgid != client->next; msgid++) {
		calls[msgid & (cap - 1)] = *call_at(client, msgid);
	}
	free(client->calls);
	client->calls = calls;
	client->calls_cap = cap;
	check_window(client);
	return STATUS_OK;
}

static enum status ensure_connected(rep_client *client, struct error *err)
{
	if (client_connected(client)) {
		return STATUS_OK;
	}
	if (client->options.no_reconnect) {
		return error_set(err, STATUS_CLOSED, "'%s': the connection is gone",
			client->transport.address);
	}
	return connect_now(client, err);
}

enum status client_send(rep_client *client, int64_t deadline_ms, uint32_t *msgid, struct error *err)
{
	const struct request *request = &client->request;
	const struct wire_bytes tail = request->tail;
	enum status status = request_check(request, err);
	if (status != STATUS_OK) {
		return status;
	}
	status = ensure_connected(client, err);
	if (status == STATUS_OK && hello_need(&client->daemon, request->needs, NULL) != STATUS_OK) {
		client_drop_dead(client); /* the next daemon may be newer */
		status = ensure_connected(client, err);
	}
	if (status == STATUS_OK) {
		status = hello_need(&client->daemon, request->needs, err);
	}
	if (status == STATUS_OK) {
		status = grow_calls(client, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	assert(request->msgid == client->next); /* nothing was sent since it was begun */
	*msgid = client->next++;
	assert(call_at(client, *msgid)->state == CALL_FREE);
	*call_at(client, *msgid) = (struct call){.state = CALL_WAITING};
	struct iovec parts[2] = {{request->writer.data, request->writer.len},
		{(void *)tail.data, tail.len}};
	status = transport_send(&client->transport, parts, tail.len > 0 ? 2 : 1, deadline_ms, err);
	if (status != STATUS_OK) {
		client_disconnect(client);
	}
	return status;
}

/* The request that is still in client->request gets its msgid once more. */
static void reuse_msgid(rep_client *client, uint32_t msgid)
{
	assert(client->first == client->next);
	client->first = msgid;
	client->next = msgid;
}

enum status client_call(rep_client *client, enum client_repeat repeat, int64_t deadline_ms,
	struct reply *out, struct error *err)
{
	uint32_t request_id = client->next;
	if (repeat == CLIENT_ONCE) {
		client_drop_dead(client);
	}
	for (bool again = client_connected(client) && !client->options.no_reconnect;;
		again = false) {
		uint32_t msgid = 0;
		enum status status = client_send(client, deadline_ms, &msgid, err);
		bool sent = status == STATUS_OK;
		if (sent) {
			status = client_receive(client, msgid, deadline_ms, out, err);
		}
		if (status != STATUS_CLOSED || client_connected(client) || !again ||
			client->transport.was_interrupted || (sent && repeat == CLIENT_ONCE)) {
			return status;
		}
		reuse_msgid(client, request_id);
	}
}

enum status client_call_plain(rep_client *client, enum client_repeat repeat, int64_t deadline_ms,
	struct error *err)
{
	struct reply reply = {0};
	enum status status = client_call(client, repeat, deadline_ms, &reply, err);
	reply_close(&reply);
	return status;
}

enum rep_status rep_ping(rep_client *client, struct rep_error *err)
{
	(void)client_begin(client, "ping", 0);
	return (enum rep_status)client_call_plain(client, CLIENT_REPEATABLE,
		client_deadline_ms(client), client_error(err));
}
