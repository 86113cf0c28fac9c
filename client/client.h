/* client.h - one connection, the requests sent over it, and their answers.
 *
 *   client_begin -> [caller writes the params' map, and may set a tail]
 *                -> client_call
 *                -> client_send ... client_receive
 *
 * Every request has the next msgid. The window [first, next) of msgids holds those
 * whose answer has not been handed out; answers that come before they are asked for
 * are kept there.
 *
 * Threads: one at a time.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "client/transport.h"
#include "repstore.h"
#include "schema/rpc.h"
#include "schema/status.h"
#include "schema/wire.h"

#include <stdbool.h>
#include <stdint.h>

struct call;

/* Whose receives hand out the answer of a request: those of one pipeline know nothing
 * of the other's, and either may be received first. */
enum client_pipeline {
	CLIENT_NO_PIPELINE = 0, /* its sender asks for it by its msgid */
	CLIENT_FETCHES,
	CLIENT_WRITES,
	CLIENT_PIPELINES,
};

struct rep_client {
	struct transport transport;
	struct wire_writer request; /* of the call that is being made; reused */
	struct wire_bytes tail;     /* borrowed; sent after `request`, whose bytes announce it */
	char *address;              /* owned */
	unsigned connect_timeout_ms;
	unsigned timeout_ms; /* 0: none */
	bool no_reconnect;
	struct call *calls; /* owned; ring, indexed by msgid */
	uint32_t calls_cap; /* a power of two */
	uint32_t first;
	uint32_t next;
	size_t kept_bytes; /* of answers in `calls` */
	/* Calls of each pipeline that went with their connection, to be reported. */
	uint32_t lost[CLIENT_PIPELINES];
};

/* An answer; zeroed it is empty. `result` is valid until reply_close or the next call. */
struct reply {
	struct wire_message *message; /* owned */
	struct wire_value result;
	struct wire_bytes bytes; /* the whole response */
	uint8_t *kept;           /* owned; where `bytes` lives if it was kept */
};

void reply_close(struct reply *reply);

/* Whether the same request may be sent again when nobody knows what became of it. */
enum client_repeat { CLIENT_ONCE, CLIENT_REPEATABLE };

/* Public functions take a struct rep_error; it is the same struct (status.c). */
static inline struct error *client_error(struct rep_error *err)
{
	return (struct error *)err;
}

/* Begins a request; the caller writes its map into the writer returned. There is no
 * tail until it sets client->tail. */
struct wire_writer *client_begin(rep_client *client, const char *method);

/* Sends the request begun and waits for its answer. Connects when there is no
 * connection, and once more when it breaks, if nothing can have been done twice. */
enum status client_call(rep_client *client, enum client_repeat repeat, int64_t deadline_ms,
	struct reply *out, struct error *err);

/* Sends the request begun. */
enum status client_send(rep_client *client, int64_t deadline_ms, uint32_t *msgid,
	struct error *err);

/* Waits for one answer. An error of the daemon is returned as such. Whenever else
 * this fails the connection is gone; except AGAIN, for TRANSPORT_NOW_MS. */
enum status client_receive(rep_client *client, uint32_t msgid, int64_t deadline_ms,
	struct reply *out, struct error *err);

/* Makes a request one of a pipeline, and finds the oldest of them. Those that go with
 * their connection are counted in `lost`. pipeline.h does it all. */
void client_set_pipeline(rep_client *client, uint32_t msgid, enum client_pipeline pipeline);
bool client_oldest(const rep_client *client, enum client_pipeline pipeline, uint32_t *msgid);

bool client_connected(const rep_client *client);
/* Drops a connection whose peer has left while nothing was under way: what is sent
 * then would be lost without need. */
void client_drop_dead(rep_client *client);
/* Drops the connection and every call that waits on it. */
void client_disconnect(rep_client *client);

/* A call without an answer worth reading. */
enum status client_call_plain(rep_client *client, enum client_repeat repeat, int64_t deadline_ms,
	struct error *err);

/* The deadline of a call that begins now. */
int64_t client_deadline_ms(const rep_client *client);

#endif
