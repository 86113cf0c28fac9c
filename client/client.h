/* client.h - one connection, the requests sent over it, and their answers.
 *
 *   client_request -> [it is begun and written]
 *                -> client_call
 *                -> client_send ... client_receive
 *
 * Each request takes the next msgid. The window [first, next) holds the msgids whose answers were
 * not handed out yet. An answer that comes before somebody asks for it is kept there.
 *
 * Threads: one at a time.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "client/embedded.h"
#include "client/hello.h"
#include "client/options.h"
#include "client/request.h"
#include "client/transport.h"
#include "repstore.h"
#include "schema/rpc.h"
#include "schema/status.h"
#include "schema/wire.h"

#include <stdbool.h>
#include <stdint.h>

/* Of answers that nobody has taken yet. */
#define CLIENT_KEPT_BYTES_MAX ((size_t)256 << 20)

struct call;

/* The pipeline of a request. Only the receives of that pipeline hand out its answer, and either
 * pipeline may be received first. */
enum client_pipeline {
	CLIENT_NO_PIPELINE = 0, /* the sender asks for the answer by its msgid */
	CLIENT_FETCHES,
	CLIENT_WRITES,
	CLIENT_PIPELINES,
};

struct rep_client {
	struct transport transport;
	struct request request; /* of the call that is being made */
	struct options options;
	struct hello daemon; /* of the last connection */
	size_t address;      /* of options.addresses: the one that is connected, or is tried next */
	struct call *calls;  /* owned; ring, indexed by msgid */
	uint32_t calls_cap;  /* a power of two */
	uint32_t first;
	uint32_t next;
	size_t kept_bytes;           /* of answers in `calls` */
	struct wire_message *parsed; /* owned: the memory of an answer that was closed; or NULL */
	/* Calls of each pipeline whose connection was lost. Each is still to be reported, once. */
	uint32_t lost[CLIENT_PIPELINES];
};

/* An answer; a zeroed one is empty. `result` is valid until reply_close or the next call. */
struct reply {
	struct wire_message *message; /* owned */
	rep_client *client;           /* borrowed: takes the message's memory back; or NULL */
	struct wire_value result;
	struct wire_bytes bytes; /* the whole response */
	uint8_t *kept;           /* owned: the memory of `bytes` if the answer was kept */
	uint64_t lag_ms;         /* as transport_lag_ms says of it */
};

void reply_close(struct reply *reply);

/* Connects a new client. embedded: the peer in this process, with its context, which is the client's then; NULL: the
 * options say where the daemon is. */
enum status client_open(const struct rep_options *options, const struct embedded *embedded,
	void *context, rep_client **out, struct error *err);

/* Whether a request may be sent again when it is not known whether the daemon has done it. */
enum client_repeat { CLIENT_ONCE, CLIENT_REPEATABLE };

/* Public functions take a struct rep_error; it is the same struct (status.c). */
static inline struct error *client_error(struct rep_error *err)
{
	return (struct error *)err;
}

/* The request of the client's next call, to be begun. */
static inline struct request *client_request(rep_client *client)
{
	client->request.msgid = client->next;
	return &client->request;
}

/* Begin that request, as request_begin and request_begin_long say. */
static inline struct wire_writer *client_begin(rep_client *client, const char *method,
	size_t fields)
{
	return request_begin(client_request(client), method, fields);
}

static inline struct wire_writer *client_begin_long(rep_client *client, const char *method,
	size_t fields)
{
	return request_begin_long(client_request(client), method, fields);
}

/* Sends the request that was begun and waits for its answer. Connects first when there is no
 * connection. When the connection breaks it connects and sends once more, but only if nothing can
 * be done twice by that. */
enum status client_call(rep_client *client, enum client_repeat repeat, int64_t deadline_ms,
	struct reply *out, struct error *err);

/* Sends the request that was begun. msgid: out, for client_receive. */
enum status client_send(rep_client *client, int64_t deadline_ms, uint32_t *msgid,
	struct error *err);

/* Waits for one answer. An error that the daemon answers is returned as the status, and the
 * connection stays. After any other failure the connection is gone, but for AGAIN: with
 * TRANSPORT_NOW_MS the answer is not there yet. */
enum status client_receive(rep_client *client, uint32_t msgid, int64_t deadline_ms,
	struct reply *out, struct error *err);

/* Puts a request into a pipeline, and finds the oldest request of one. Requests whose connection is
 * lost are counted in `lost`. For pipeline.c alone. */
void client_set_pipeline(rep_client *client, uint32_t msgid, enum client_pipeline pipeline);
bool client_oldest(const rep_client *client, enum client_pipeline pipeline, uint32_t *msgid);

bool client_connected(const rep_client *client);
/* Whether no request is under way. */
static inline bool client_is_idle(const rep_client *client)
{
	return client->first == client->next;
}
/* Drops the connection if its peer has left while no request was under way. A request that is sent
 * over such a connection would be lost without need. */
void client_drop_dead(rep_client *client);
/* Drops the connection and every call that waits on it. */
void client_disconnect(rep_client *client);

/* As client_call, for an answer that holds nothing of use. */
enum status client_call_plain(rep_client *client, enum client_repeat repeat, int64_t deadline_ms,
	struct error *err);

/* The deadline of a call that begins now. */
int64_t client_deadline_ms(const rep_client *client);

#endif
