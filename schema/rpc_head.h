/* rpc_head.h - the first bytes of a message, read without parsing the rest.
 *
 * Of a request they say which method is called, so that the message can be handed to the thread that will run
 * it, and be parsed there. They also have the msgid, which an error reply needs even if the message
 * is broken or too large further on.
 *
 * Threads: any; there is no state.
 */
#ifndef SCHEMA_RPC_HEAD_H
#define SCHEMA_RPC_HEAD_H

#include "schema/rpc.h"

enum rpc_head_reach {
	RPC_HEAD_NONE,  /* nobody can be answered */
	RPC_HEAD_MSGID, /* type and msgid are known, and the sender waits for an answer */
	RPC_HEAD_WHOLE, /* so is the method; the type is request or notification */
};

struct rpc_head {
	enum rpc_type type;
	uint32_t msgid;           /* 0 for a notification */
	struct wire_bytes method; /* points into the data */
};

/* `data` is a message or its beginning. */
enum rpc_head_reach rpc_head_read(const uint8_t *data, size_t len, struct rpc_head *out);

/* Reads the unsigned integer `name` from the params of a whole request or notification, without
 * parsing it. False: there is none, or it stands behind so many values that nobody looks for it on a
 * loop. */
bool rpc_param_read(const uint8_t *data, size_t len, const char *name, uint64_t *out);

/* The same of a boolean. */
bool rpc_param_flag(const uint8_t *data, size_t len, const char *name, bool *out);

/* The same of a str or bin, which stays in `data`; and of the map that is the result of a response. */
bool rpc_param_text(const uint8_t *data, size_t len, const char *name, struct wire_bytes *out);
bool rpc_result_text(const uint8_t *data, size_t len, const char *name, struct wire_bytes *out);

enum { RPC_SUBJECT_TABLES = 6 };

/* What a request is about, in the words that it was asked in. */
struct rpc_subject {
	struct wire_bytes release;
	struct wire_bytes layer;
	struct wire_bytes trace;
	struct wire_bytes client; /* of hello */
	struct wire_bytes tables[RPC_SUBJECT_TABLES];
	uint32_t table_count; /* also of those that have no room above */
	/* How many keys it names. Packed ones do not say of which type they are, so there are two numbers;
	 * of bytes that were cut the second has none. */
	uint64_t keys_if_u64;
	uint64_t keys_if_bytes;
};

/* Reads what the data has of it: a request, or its beginning. What is there points into the data. Values of
 * another type than their name's are passed over. */
void rpc_subject_read(const uint8_t *data, size_t len, struct rpc_subject *out);

/* Reads the msgid of a response, and whether it is an error. False: it is none. */
bool rpc_response_read(const uint8_t *data, size_t len, uint32_t *msgid, bool *failed);

#endif
