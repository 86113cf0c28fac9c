/* rpc_head.c - reads [0, msgid, method, ... or [2, method, ... or [1, msgid, ... */
#include "schema/rpc_head.h"

#include "schema/limits.h"

#include <assert.h>
#include <string.h>

/* Values that rpc_param_read passes, at most: some microseconds. A fetch of 64 parts has as many. */
enum { RPC_PARAM_HEADS_MAX = 1500 };

/* The bytes that are still to be read. Once `ok` is false it stays so, and all reads give 0. */
struct cursor {
	const uint8_t *at;
	const uint8_t *end;
	bool ok;
};

/* A big-endian number of `size` bytes; 0 after the end. */
static uint64_t take_number(struct cursor *cursor, size_t size)
{
	uint64_t number = 0;
	assert(size <= sizeof number);
	if (!cursor->ok || (size_t)(cursor->end - cursor->at) < size) {
		cursor->ok = false;
		return 0;
	}
	while (size-- > 0) {
		number = number << 8 | *cursor->at++;
	}
	return number;
}

/* The number of items of an array; 0 when it is none. */
static uint64_t take_array(struct cursor *cursor)
{
	uint8_t first = (uint8_t)take_number(cursor, 1);
	if (first >> 4 == 0x9) {
		return first & 15u;
	}
	if (first == 0xdc) {
		return take_number(cursor, 2);
	}
	if (first == 0xdd) {
		return take_number(cursor, 4);
	}
	cursor->ok = false;
	return 0;
}

/* The integer that a float is which has `first` for its first byte. */
static uint64_t take_whole(struct cursor *cursor, uint8_t first)
{
	int64_t whole = 0;
	double number = 0;
	if (first == 0xca) {
		const uint32_t bits = (uint32_t)take_number(cursor, sizeof bits);
		float single;
		memcpy(&single, &bits, sizeof single);
		number = single;
	} else {
		const uint64_t bits = take_number(cursor, sizeof bits);
		memcpy(&number, &bits, sizeof number);
	}
	if (!wire_whole(number, &whole) || whole < 0) {
		cursor->ok = false;
		return 0;
	}
	return (uint64_t)whole;
}

/* An integer that is not negative, in any of its widths, or as a float. */
static uint64_t take_uint(struct cursor *cursor)
{
	uint8_t first = (uint8_t)take_number(cursor, 1);
	if (first < 0x80) {
		return first;
	}
	if (first == 0xca || first == 0xcb) {
		return take_whole(cursor, first);
	}
	if (first >= 0xcc && first <= 0xcf) {
		return take_number(cursor, (size_t)1 << (first - 0xcc));
	}
	if (first < 0xd0 || first > 0xd3) {
		cursor->ok = false;
		return 0;
	}
	static const uint64_t most[] = {INT8_MAX, INT16_MAX, INT32_MAX, INT64_MAX};
	unsigned width = first - 0xd0u;
	uint64_t number = take_number(cursor, (size_t)1 << width);
	if (number > most[width]) {
		cursor->ok = false;
	}
	return number;
}

/* The length of a str or bin. */
static uint64_t take_text_len(struct cursor *cursor)
{
	uint8_t first = (uint8_t)take_number(cursor, 1);
	if (first >> 5 == 0x5) {
		return first & 31u;
	}
	if (first >= 0xd9 && first <= 0xdb) {
		return take_number(cursor, (size_t)1 << (first - 0xd9));
	}
	if (first >= 0xc4 && first <= 0xc6) {
		return take_number(cursor, (size_t)1 << (first - 0xc4));
	}
	cursor->ok = false;
	return 0;
}

/* A str or bin. */
static struct wire_bytes take_text(struct cursor *cursor)
{
	const uint64_t len = take_text_len(cursor);
	assert(cursor->at <= cursor->end);
	if (!cursor->ok || len > (size_t)(cursor->end - cursor->at)) {
		cursor->ok = false;
		return (struct wire_bytes){0};
	}
	return (struct wire_bytes){.data = cursor->at, .len = (size_t)len};
}

enum rpc_head_reach rpc_head_read(const uint8_t *data, size_t len, struct rpc_head *out)
{
	struct cursor cursor = {.at = data, .end = data + len, .ok = true};
	uint64_t items = take_array(&cursor);
	uint64_t type = take_uint(&cursor);
	if (!cursor.ok || (type != RPC_REQUEST && type != RPC_NOTIFICATION)) {
		return RPC_HEAD_NONE;
	}
	*out = (struct rpc_head){.type = (enum rpc_type)type};
	enum rpc_head_reach reach = RPC_HEAD_NONE;
	if (type == RPC_REQUEST) {
		uint64_t msgid = take_uint(&cursor);
		if (!cursor.ok || items < 2 || msgid > UINT32_MAX) {
			return RPC_HEAD_NONE;
		}
		out->msgid = (uint32_t)msgid;
		reach = RPC_HEAD_MSGID;
	}
	struct wire_bytes method = take_text(&cursor);
	bool is_call = items == (type == RPC_REQUEST ? 4 : 3);
	if (!cursor.ok || !is_call || method.len == 0 || method.len > LIMIT_METHOD_BYTES) {
		return reach;
	}
	out->method = method;
	return RPC_HEAD_WHOLE;
}

/* The number of pairs of a map; 0 when it is none. */
static uint64_t take_map(struct cursor *cursor)
{
	uint8_t first = (uint8_t)take_number(cursor, 1);
	if (first >> 4 == 0x8) {
		return first & 15u;
	}
	if (first == 0xde || first == 0xdf) {
		return take_number(cursor, first == 0xde ? 2 : 4);
	}
	cursor->ok = false;
	return 0;
}

/* Passes a value; *heads_max as of wire_skip. */
static void pass(struct cursor *cursor, uint32_t *heads_max)
{
	size_t at = 0;
	cursor->ok = cursor->ok &&
		     wire_skip(cursor->at, (size_t)(cursor->end - cursor->at), &at, heads_max);
	cursor->at += cursor->ok ? at : 0;
}

/* Moves to the last item of the message: the params, or the result. */
static struct cursor last_item(const uint8_t *data, size_t len, uint32_t *heads_max)
{
	struct cursor cursor = {.at = data, .end = data + len, .ok = true};
	const uint64_t items = take_array(&cursor);
	for (uint64_t i = 1; i < items && cursor.ok; i++) {
		pass(&cursor, heads_max);
	}
	return cursor;
}

/* Moves from the beginning of a map to the value of `name`. False: there is none. */
static bool seek(struct cursor *cursor, const char *name, uint32_t *heads_max)
{
	const uint64_t pairs = take_map(cursor);
	for (uint64_t i = 0; i < pairs && cursor->ok; i++) {
		const struct wire_bytes given = take_text(cursor);
		cursor->at += given.len;
		if (cursor->ok && wire_bytes_are(given, name)) {
			return true;
		}
		pass(cursor, heads_max);
	}
	return false;
}

bool rpc_param_read(const uint8_t *data, size_t len, const char *name, uint64_t *out)
{
	uint32_t heads_max = RPC_PARAM_HEADS_MAX;
	struct cursor cursor = last_item(data, len, &heads_max);
	if (take_array(&cursor) != 1 || !seek(&cursor, name, &heads_max)) {
		return false;
	}
	*out = take_uint(&cursor);
	return cursor.ok;
}

bool rpc_param_flag(const uint8_t *data, size_t len, const char *name, bool *out)
{
	enum { FALSE = 0xc2, TRUE = 0xc3 };
	uint32_t heads_max = RPC_PARAM_HEADS_MAX;
	struct cursor cursor = last_item(data, len, &heads_max);
	if (take_array(&cursor) != 1 || !seek(&cursor, name, &heads_max)) {
		return false;
	}
	const uint64_t first = take_number(&cursor, 1);
	*out = first == TRUE;
	return cursor.ok && (first == TRUE || first == FALSE);
}

bool rpc_param_text(const uint8_t *data, size_t len, const char *name, struct wire_bytes *out)
{
	uint32_t heads_max = RPC_PARAM_HEADS_MAX;
	struct cursor cursor = last_item(data, len, &heads_max);
	if (take_array(&cursor) != 1 || !seek(&cursor, name, &heads_max)) {
		return false;
	}
	*out = take_text(&cursor);
	return cursor.ok;
}

bool rpc_result_text(const uint8_t *data, size_t len, const char *name, struct wire_bytes *out)
{
	uint32_t heads_max = RPC_PARAM_HEADS_MAX;
	struct cursor cursor = last_item(data, len, &heads_max);
	if (!seek(&cursor, name, &heads_max)) {
		return false;
	}
	*out = take_text(&cursor);
	return cursor.ok;
}

/* ---- what a request is about ---- */

enum text_head { HEAD_TEXT, HEAD_ARRAY, HEAD_MAP, HEAD_OTHER };

static enum text_head next_head(const struct cursor *cursor)
{
	const uint8_t first = cursor->ok && cursor->at < cursor->end ? *cursor->at : 0;
	if (first >> 5 == 0x5 || (first >= 0xd9 && first <= 0xdb) ||
		(first >= 0xc4 && first <= 0xc6)) {
		return HEAD_TEXT;
	}
	if (first >> 4 == 0x9 || first == 0xdc || first == 0xdd) {
		return HEAD_ARRAY;
	}
	return first >> 4 == 0x8 || first == 0xde || first == 0xdf ? HEAD_MAP : HEAD_OTHER;
}

static void pass_text(struct cursor *cursor, struct wire_bytes *out, uint32_t *heads_max)
{
	if (next_head(cursor) != HEAD_TEXT) {
		pass(cursor, heads_max);
		return;
	}
	*out = take_text(cursor);
	cursor->at += out->len;
}

static uint64_t count_packed(struct wire_bytes packed)
{
	uint64_t count = 0;
	for (size_t at = 0; at < packed.len; at += 1u + packed.data[at]) {
		count++;
	}
	return count;
}

/* Packed, or an array of them. What is cut has its number all the same, where the head says it. */
static void pass_keys(struct cursor *cursor, struct rpc_subject *out, uint32_t *heads_max)
{
	struct cursor ahead = *cursor;
	if (next_head(cursor) == HEAD_ARRAY) {
		const uint64_t count = take_array(&ahead);
		out->keys_if_u64 += count;
		out->keys_if_bytes += count;
	} else if (next_head(cursor) == HEAD_TEXT) {
		struct cursor head = ahead;
		out->keys_if_u64 += take_text_len(&head) / sizeof(uint64_t);
		out->keys_if_bytes += count_packed(take_text(&ahead));
	}
	pass(cursor, heads_max);
}

static void add_table(struct cursor *cursor, struct rpc_subject *out, uint32_t *heads_max)
{
	struct wire_bytes name = {0};
	pass_text(cursor, &name, heads_max);
	if (name.data != NULL) {
		if (out->table_count < RPC_SUBJECT_TABLES) {
			out->tables[out->table_count] = name;
		}
		out->table_count++;
	}
}

static void read_pairs(struct cursor *cursor, struct rpc_subject *out, uint32_t *heads_max,
	int depth);

/* `from` is a map that names a table, `parts` an array of such maps. */
static void pass_nested(struct cursor *cursor, struct rpc_subject *out, uint32_t *heads_max,
	int depth)
{
	const enum text_head head = next_head(cursor);
	if (depth == 0 || (head != HEAD_ARRAY && head != HEAD_MAP)) {
		pass(cursor, heads_max);
		return;
	}
	const uint64_t count = head == HEAD_ARRAY ? take_array(cursor) : 1;
	for (uint64_t i = 0; i < count && cursor->ok; i++) {
		if (next_head(cursor) == HEAD_MAP) {
			read_pairs(cursor, out, heads_max, depth - 1);
		} else {
			pass(cursor, heads_max);
		}
	}
}

/* The value of a name that is a text; NULL: it is none. */
static struct wire_bytes *text_of(struct wire_bytes name, struct rpc_subject *out)
{
	const struct {
		const char *name;
		struct wire_bytes *text;
	} texts[] = {{"release", &out->release}, {"layer", &out->layer}, {"trace", &out->trace},
		{"client", &out->client}};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		if (wire_bytes_are(name, texts[i].name)) {
			return texts[i].text;
		}
	}
	return NULL;
}

/* Samples have as many users as items. */
static bool are_keys(struct wire_bytes name, const struct rpc_subject *out)
{
	return wire_bytes_are(name, "keys") || wire_bytes_are(name, "users") ||
	       (wire_bytes_are(name, "items") && out->keys_if_u64 == 0);
}

/* NOLINTNEXTLINE(misc-no-recursion): `depth` bounds it */
static void read_pairs(struct cursor *cursor, struct rpc_subject *out, uint32_t *heads_max,
	int depth)
{
	const uint64_t pairs = take_map(cursor);
	for (uint64_t i = 0; i < pairs && cursor->ok; i++) {
		const struct wire_bytes name = take_text(cursor);
		cursor->at += name.len;
		struct wire_bytes *text = text_of(name, out);
		if (text != NULL) {
			pass_text(cursor, text, heads_max);
		} else if (wire_bytes_are(name, "table") || wire_bytes_are(name, "in")) {
			add_table(cursor, out, heads_max);
		} else if (are_keys(name, out)) {
			pass_keys(cursor, out, heads_max);
		} else if (wire_bytes_are(name, "from") || wire_bytes_are(name, "parts")) {
			pass_nested(cursor, out, heads_max, depth);
		} else {
			pass(cursor, heads_max);
		}
	}
}

void rpc_subject_read(const uint8_t *data, size_t len, struct rpc_subject *out)
{
	uint32_t heads_max = RPC_PARAM_HEADS_MAX;
	struct cursor cursor = last_item(data, len, &heads_max);
	*out = (struct rpc_subject){0};
	if (take_array(&cursor) == 1 && next_head(&cursor) == HEAD_MAP) {
		read_pairs(&cursor, out, &heads_max, 1);
	}
}

bool rpc_response_read(const uint8_t *data, size_t len, uint32_t *msgid, bool *failed)
{
	enum { ITEMS = 4, NIL = 0xc0 };
	struct cursor cursor = {.at = data, .end = data + len, .ok = true};
	const uint64_t items = take_array(&cursor);
	const uint64_t type = take_uint(&cursor);
	const uint64_t number = take_uint(&cursor);
	if (!cursor.ok || items != ITEMS || type != RPC_RESPONSE || number > UINT32_MAX) {
		return false;
	}
	*msgid = (uint32_t)number;
	*failed = cursor.at < cursor.end && *cursor.at != NIL;
	return true;
}
