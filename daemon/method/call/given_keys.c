/* given_keys.c - packs the keys of an array; finds where packed byte strings begin. */
#include "daemon/method/call/given_keys.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	ARRAY_KEY_NS = 50, /* an element is looked at twice and copied */
	/* Of byte strings, only a walk tells how many there are, so all count as short: 2 measured
	 * for each of two walks. */
	PACKED_KEY_NS = 4,
};

static bool is_packed(struct wire_value given)
{
	return wire_type(given) == WIRE_BIN || wire_type(given) == WIRE_STR;
}

static enum status count_packed(struct given_keys *keys, struct error *err)
{
	struct wire_bytes packed = {0};
	wire_bin(keys->given, &packed);
	enum key_type type = keys->batch.type;
	enum status status = keys_count(type, packed.data, packed.len, &keys->batch.count, err);
	keys->batch.packed = packed.data;
	if (status != STATUS_OK && err != NULL) {
		return error_set(err, status, "%s%s; the table's keys are %s", keys->where,
			err->text, key_type_name(type));
	}
	return status;
}

uint64_t given_keys_cost(struct wire_value given, enum key_type type)
{
	struct wire_bytes packed;
	if (!wire_bin(given, &packed)) {
		const size_t count = wire_size(given);
		return (count < LIMIT_KEYS ? count : LIMIT_KEYS) * ARRAY_KEY_NS;
	}
	if (type == KEY_U64) {
		return 0; /* they are used where they stand */
	}
	const size_t most = packed.len / 2 < LIMIT_KEYS ? packed.len / 2 : LIMIT_KEYS;
	return most * PACKED_KEY_NS;
}

enum status given_keys_begin(struct given_keys *keys, struct wire_value given, enum key_type type,
	const char *where, struct error *err)
{
	*keys = (struct given_keys){.batch.type = type, .given = given, .where = where};
	enum wire_type wire = wire_type(given);
	if (is_packed(given)) {
		return count_packed(keys, err);
	}
	if (wire != WIRE_ARRAY) {
		return error_set(err, STATUS_BAD_REQUEST, "%skeys: %s given, bin or array expected",
			where, wire_type_name(wire));
	}
	size_t count = wire_size(given);
	if (count > LIMIT_KEYS) {
		return error_set(err, STATUS_TOO_LARGE, "%skeys: %zu given, at most %u allowed",
			where, count, LIMIT_KEYS);
	}
	keys->batch.count = (uint32_t)count;
	return STATUS_OK;
}

static enum status pack_u64(struct given_keys *keys, struct error *err)
{
	size_t count = keys->batch.count;
	assert(count == wire_size(keys->given));
	uint64_t *packed = malloc(count * sizeof *packed);
	if (packed == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "%skeys: no memory", keys->where);
	}
	keys->memory = packed;
	keys->batch.packed = (const uint8_t *)packed;
	for (size_t i = 0; i < count; i++) {
		struct wire_value item = wire_item(keys->given, i);
		if (!wire_uint(item, &packed[i])) {
			return error_set(err, STATUS_BAD_REQUEST,
				"%skeys[%zu]: %s given, uint expected; the table's keys are u64",
				keys->where, i, wire_type_name(wire_type(item)));
		}
	}
	return STATUS_OK;
}

/* Adds up the bytes that the strings of an array take when they are packed. */
static enum status measure_bytes(const struct given_keys *keys, size_t *bytes, struct error *err)
{
	*bytes = 0;
	for (size_t i = 0; i < keys->batch.count; i++) {
		struct wire_value item = wire_item(keys->given, i);
		struct wire_bytes key;
		if (!wire_str(item, &key)) {
			return error_set(err, STATUS_BAD_REQUEST,
				"%skeys[%zu]: %s given, str or bin expected; the table's keys are "
				"bytes",
				keys->where, i, wire_type_name(wire_type(item)));
		}
		if (key.len == 0 || key.len > LIMIT_KEY_BYTES) {
			return error_set(err, STATUS_BAD_REQUEST,
				"%skeys[%zu]: %zu bytes given, 1..%u allowed", keys->where, i,
				key.len, LIMIT_KEY_BYTES);
		}
		*bytes += 1 + key.len;
	}
	return STATUS_OK;
}

static enum status pack_bytes(struct given_keys *keys, struct error *err)
{
	size_t bytes;
	enum status status = measure_bytes(keys, &bytes, err);
	if (status != STATUS_OK) {
		return status;
	}
	size_t count = keys->batch.count;
	uint32_t *at = malloc(count * sizeof *at + bytes);
	if (at == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "%skeys: no memory", keys->where);
	}
	uint8_t *packed = (uint8_t *)(at + count);
	keys->memory = at;
	keys->batch.at = at;
	keys->batch.packed = packed;
	uint32_t next = 0;
	for (size_t i = 0; i < count; i++) {
		struct wire_bytes key = {0};
		wire_str(wire_item(keys->given, i), &key);
		at[i] = next;
		packed[next] = (uint8_t)key.len;
		memcpy(packed + next + 1, key.data, key.len);
		next += 1 + (uint32_t)key.len;
	}
	assert(next == bytes); /* as measure_bytes has promised */
	return STATUS_OK;
}

static enum status index_bytes(struct given_keys *keys, struct error *err)
{
	assert(keys->batch.type == KEY_BYTES && keys->batch.packed != NULL);
	uint32_t *at = malloc(keys->batch.count * sizeof *at);
	if (at == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "%skeys: no memory", keys->where);
	}
	keys->memory = at;
	keys->batch.at = at;
	keys_find_offsets(keys->batch.packed, keys->batch.count, at);
	return STATUS_OK;
}

enum status given_keys_pack(struct given_keys *keys, struct error *err)
{
	assert(keys->memory == NULL); /* keys are packed once */
	assert(keys->batch.count <= LIMIT_KEYS);
	if (keys->batch.count == 0) {
		return STATUS_OK;
	}
	bool is_u64 = keys->batch.type == KEY_U64;
	if (is_packed(keys->given)) {
		return is_u64 ? STATUS_OK : index_bytes(keys, err);
	}
	return is_u64 ? pack_u64(keys, err) : pack_bytes(keys, err);
}

void given_keys_fini(struct given_keys *keys)
{
	if (keys != NULL) {
		free(keys->memory);
		keys->memory = NULL;
	}
}
