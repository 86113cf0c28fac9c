/* wire_read.c - reads a whole message by way of msgpack-c. */
#include "schema/wire.h"

#include <msgpack.h>

#include <stdlib.h>
#include <string.h>

/* The default of msgpack-c is 8192. Most messages have some twenty to forty values of 24 bytes, and malloc
 * keeps chunks below 1 KiB at hand for each thread. */
enum { WIRE_CHUNK_BYTES = 960 };

struct wire_message {
	msgpack_zone zone; /* arrays and maps; strings and bins stay where they were */
	msgpack_object root;
};

static enum status status_of_unpack(msgpack_unpack_return result)
{
	switch (result) {
	case MSGPACK_UNPACK_SUCCESS:
		return STATUS_OK;
	case MSGPACK_UNPACK_NOMEM_ERROR:
		return STATUS_NO_MEMORY;
	case MSGPACK_UNPACK_EXTRA_BYTES: /* more than one message */
	case MSGPACK_UNPACK_CONTINUE:    /* less than one */
	case MSGPACK_UNPACK_PARSE_ERROR:
		break;
	}
	return STATUS_PROTOCOL;
}

enum status wire_open(const uint8_t *data, size_t len, struct wire_message **out)
{
	struct wire_message *message = NULL;
	const enum status status = wire_reopen(data, len, &message);
	if (status != STATUS_OK) {
		wire_close(message);
		return status;
	}
	*out = message;
	return STATUS_OK;
}

static struct wire_message *make_message(void)
{
	struct wire_message *message = malloc(sizeof *message);
	if (message != NULL && !msgpack_zone_init(&message->zone, WIRE_CHUNK_BYTES)) {
		free(message);
		return NULL;
	}
	return message;
}

enum status wire_reopen(const uint8_t *data, size_t len, struct wire_message **message)
{
	if (*message == NULL) {
		*message = make_message();
	} else {
		msgpack_zone_clear(&(*message)->zone); /* it keeps its first chunk */
	}
	if (*message == NULL) {
		return STATUS_NO_MEMORY;
	}
	size_t at = 0;
	return status_of_unpack(
		msgpack_unpack((const char *)data, len, &at, &(*message)->zone, &(*message)->root));
}

void wire_close(struct wire_message *message)
{
	if (message == NULL) {
		return;
	}
	msgpack_zone_destroy(&message->zone);
	free(message);
}

struct wire_value wire_root(const struct wire_message *message)
{
	return (struct wire_value){.object = &message->root};
}

enum wire_type wire_type(struct wire_value value)
{
	if (value.object == NULL) {
		return WIRE_ABSENT;
	}
	switch (value.object->type) {
	case MSGPACK_OBJECT_NIL:
		return WIRE_NIL;
	case MSGPACK_OBJECT_BOOLEAN:
		return WIRE_BOOL;
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
		return WIRE_UINT;
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		return WIRE_INT;
	case MSGPACK_OBJECT_FLOAT32:
	case MSGPACK_OBJECT_FLOAT64:
		return WIRE_FLOAT;
	case MSGPACK_OBJECT_STR:
		return WIRE_STR;
	case MSGPACK_OBJECT_BIN:
		return WIRE_BIN;
	case MSGPACK_OBJECT_ARRAY:
		return WIRE_ARRAY;
	case MSGPACK_OBJECT_MAP:
		return WIRE_MAP;
	case MSGPACK_OBJECT_EXT:
		return WIRE_EXT;
	}
	return WIRE_ABSENT;
}

const char *wire_type_name(enum wire_type type)
{
	switch (type) {
	case WIRE_ABSENT:
		return "nothing";
	case WIRE_NIL:
		return "nil";
	case WIRE_BOOL:
		return "bool";
	case WIRE_UINT:
		return "uint";
	case WIRE_INT:
		return "int";
	case WIRE_FLOAT:
		return "float";
	case WIRE_STR:
		return "str";
	case WIRE_BIN:
		return "bin";
	case WIRE_ARRAY:
		return "array";
	case WIRE_MAP:
		return "map";
	case WIRE_EXT:
		return "ext";
	}
	return "nothing";
}

static bool is(struct wire_value value, msgpack_object_type type)
{
	return value.object != NULL && value.object->type == type;
}

bool wire_bool(struct wire_value value, bool *out)
{
	if (!is(value, MSGPACK_OBJECT_BOOLEAN)) {
		return false;
	}
	*out = value.object->via.boolean;
	return true;
}

static bool is_float(struct wire_value value)
{
	return is(value, MSGPACK_OBJECT_FLOAT64) || is(value, MSGPACK_OBJECT_FLOAT32);
}

bool wire_whole(double number, int64_t *out)
{
	static const double beyond = (double)(INT64_C(1) << 53);
	/* What is not a number fails both comparisons. */
	if (!(number > -beyond && number < beyond) || (double)(int64_t)number != number) {
		return false;
	}
	*out = (int64_t)number;
	return true;
}

bool wire_uint(struct wire_value value, uint64_t *out)
{
	int64_t whole;
	if (is(value, MSGPACK_OBJECT_POSITIVE_INTEGER)) {
		*out = value.object->via.u64;
	} else if (is_float(value) && wire_whole(value.object->via.f64, &whole) && whole >= 0) {
		*out = (uint64_t)whole;
	} else {
		return false;
	}
	return true;
}

bool wire_int(struct wire_value value, int64_t *out)
{
	if (is(value, MSGPACK_OBJECT_NEGATIVE_INTEGER)) {
		*out = value.object->via.i64;
	} else if (is(value, MSGPACK_OBJECT_POSITIVE_INTEGER) &&
		   value.object->via.u64 <= INT64_MAX) {
		*out = (int64_t)value.object->via.u64;
	} else {
		return is_float(value) && wire_whole(value.object->via.f64, out);
	}
	return true;
}

bool wire_float(struct wire_value value, double *out)
{
	if (is_float(value)) {
		*out = value.object->via.f64;
	} else if (is(value, MSGPACK_OBJECT_POSITIVE_INTEGER)) {
		*out = (double)value.object->via.u64;
	} else if (is(value, MSGPACK_OBJECT_NEGATIVE_INTEGER)) {
		*out = (double)value.object->via.i64;
	} else {
		return false;
	}
	return true;
}

/* Where there are no bytes msgpack-c gives NULL, which memcmp and memcpy must not get. */
static struct wire_bytes bytes_at(const char *data, size_t len)
{
	return (struct wire_bytes){.data = (const uint8_t *)(len > 0 ? data : ""), .len = len};
}

/* False: it is neither str nor bin. */
static bool read_bytes(const msgpack_object *object, struct wire_bytes *out)
{
	if (object->type == MSGPACK_OBJECT_STR) {
		*out = bytes_at(object->via.str.ptr, object->via.str.size);
	} else if (object->type == MSGPACK_OBJECT_BIN) {
		*out = bytes_at(object->via.bin.ptr, object->via.bin.size);
	} else {
		return false;
	}
	return true;
}

bool wire_str(struct wire_value value, struct wire_bytes *out)
{
	return wire_bin(value, out);
}

bool wire_bin(struct wire_value value, struct wire_bytes *out)
{
	return value.object != NULL && read_bytes(value.object, out);
}

size_t wire_size(struct wire_value value)
{
	if (is(value, MSGPACK_OBJECT_ARRAY)) {
		return value.object->via.array.size;
	}
	return is(value, MSGPACK_OBJECT_MAP) ? value.object->via.map.size : 0;
}

struct wire_value wire_item(struct wire_value array, size_t i)
{
	if (!is(array, MSGPACK_OBJECT_ARRAY) || i >= array.object->via.array.size) {
		return (struct wire_value){0};
	}
	return (struct wire_value){.object = &array.object->via.array.ptr[i]};
}

/* NULL when `map` is no map or has no entry `i`. */
static const msgpack_object_kv *entry_of(struct wire_value map, size_t i)
{
	if (!is(map, MSGPACK_OBJECT_MAP) || i >= map.object->via.map.size) {
		return NULL;
	}
	return &map.object->via.map.ptr[i];
}

struct wire_value wire_map_key(struct wire_value map, size_t i)
{
	const msgpack_object_kv *entry = entry_of(map, i);
	return (struct wire_value){.object = entry != NULL ? &entry->key : NULL};
}

struct wire_value wire_map_value(struct wire_value map, size_t i)
{
	const msgpack_object_kv *entry = entry_of(map, i);
	return (struct wire_value){.object = entry != NULL ? &entry->val : NULL};
}

struct wire_value wire_get(struct wire_value map, const char *name)
{
	const size_t size = is(map, MSGPACK_OBJECT_MAP) ? map.object->via.map.size : 0;
	for (size_t i = size; i-- > 0;) {
		const msgpack_object_kv *entry = &map.object->via.map.ptr[i];
		struct wire_bytes key;
		if (read_bytes(&entry->key, &key) && wire_bytes_are(key, name)) {
			const bool is_nil = entry->val.type == MSGPACK_OBJECT_NIL;
			return (struct wire_value){.object = is_nil ? NULL : &entry->val};
		}
	}
	return (struct wire_value){0};
}
