/* rpc.h - the MessagePack-RPC envelope.
 *
 *   request       [0, msgid, method, params]    params: array of one map, or empty; the map may be
 *                                               nil or, where languages have no empty map, []
 *   response      [1, msgid, error, result]     error: nil or "CODE: message"
 *   notification  [2, method, params]
 *
 * Threads: any; there is no state.
 * Source: github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md
 */
#ifndef SCHEMA_RPC_H
#define SCHEMA_RPC_H

#include "schema/status.h"
#include "schema/wire.h"

#include <stdint.h>

enum rpc_type { RPC_REQUEST = 0, RPC_RESPONSE = 1, RPC_NOTIFICATION = 2 };

struct rpc_envelope {
	enum rpc_type type;
	uint32_t msgid;           /* 0 for a notification */
	struct wire_bytes method; /* of a request or notification */
	struct wire_value params; /* the one map, or absent when params is empty */
	bool failed;              /* of a response: error is not nil */
	struct wire_bytes error;  /* of a failed response: "CODE: message" */
	struct wire_value result; /* of a response */
};

/* Reads the envelope of a parsed message.
 *
 * Errors: PROTOCOL     It is no envelope at all (no array, an unknown type, no msgid). The stream
 *                      is broken, so close it.
 *         BAD_REQUEST  Method or params are wrong. Of a request type and msgid are filled, so it
 *                      can be answered. Of a notification type is filled; nobody waits for an
 *                      answer.
 */
enum status rpc_read(struct wire_value root, struct rpc_envelope *out, struct error *err);

/* Writes everything of a request up to its params' map, which the caller writes. */
void rpc_write_request(struct wire_writer *writer, uint32_t msgid, const char *method);

/* Writes everything of a response up to its result, which the caller writes. */
void rpc_write_response(struct wire_writer *writer, uint32_t msgid);

/* Writes a whole failed response: "CODE: text". */
void rpc_write_error(struct wire_writer *writer, uint32_t msgid, const struct error *err);

/* Splits "CODE: message" of a failed response. If the code is unknown, the status is INTERNAL and
 * the whole string is the text. */
void rpc_split_error(struct wire_bytes error, struct error *out);

#endif
