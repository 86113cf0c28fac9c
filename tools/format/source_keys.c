/* source_keys.c - the keys of an import from arrays: integers, or strings of NumPy's. */
#include "tools/format/source_arrays.h"

#include "schema/limits.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum status source_wrong_descr(const struct array *array, struct error *err, const char *allowed)
{
	return error_set(err, STATUS_BAD_REQUEST, "'%s': descr: %c%zu given, %s", array->name,
		array->npy.kind, array->npy.item_bytes, allowed);
}

bool source_is_type(const struct array *array, char kind, size_t bytes)
{
	return array->npy.kind == kind && array->npy.item_bytes == bytes;
}

/* Reads an integer of any size. negative: out, whether it is below 0. */
static uint64_t integer_at(const struct npy *npy, const uint8_t *at, bool *negative)
{
	uint64_t value = 0;
	memcpy(&value, at, npy->item_bytes);
	*negative = npy->kind == 'i' && (at[npy->item_bytes - 1] & 0x80) != 0;
	return value;
}

static int64_t signed_of(const struct npy *npy, uint64_t value)
{
	const unsigned unused_bits = (unsigned)(64 - 8 * npy->item_bytes);
	return (int64_t)(value << unused_bits) >> unused_bits;
}

/* How many bytes a string has without the NULs that NumPy pads it with. */
static size_t string_bytes(const struct npy *npy, const uint8_t *at)
{
	size_t len = npy->item_bytes;
	while (len > 0 && at[len - 1] == 0) {
		len--;
	}
	return len;
}

enum status source_keys_check(const struct source_arrays *source, struct error *err)
{
	const struct array *keys = &source->columns.arrays[COLUMN_KEYS];
	const bool strings = source->options.spec->key_type == REP_KEY_BYTES;
	char shape[NPY_SHAPE_BYTES];
	if (keys->npy.dims != 1) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': shape: %s given, keys have one dimension", keys->name,
			npy_shape(keys->npy.shape, keys->npy.dims, shape));
	}
	if (strings && keys->npy.kind != 'S') {
		return source_wrong_descr(keys, err,
			"keys of this table are byte strings: save x.astype('S')");
	}
	if (!strings && keys->npy.kind != 'u' && keys->npy.kind != 'i') {
		return source_wrong_descr(keys, err,
			"keys of this table are integers: save x.astype('u8')");
	}
	return STATUS_OK;
}

/* Packs one key; i: its row. */
static enum status pack_key(struct source_arrays *source, const uint8_t *at, uint64_t i,
	struct error *err)
{
	const struct array *keys = &source->columns.arrays[COLUMN_KEYS];
	const struct npy *npy = &keys->npy;
	struct buffer *buffer = &source->key_buffer;
	enum status status = STATUS_OK;
	if (npy->kind == 'S') {
		const size_t len = string_bytes(npy, at);
		const uint8_t packed_len = (uint8_t)len;
		if (len == 0 || len > LIMIT_KEY_BYTES) {
			return error_set(err, STATUS_BAD_REQUEST,
				"'%s': key %" PRIu64 " has %zu bytes; 1 to %u are allowed",
				keys->name, i, len, LIMIT_KEY_BYTES);
		}
		status = buffer_add(buffer, &packed_len, 1);
		if (status == STATUS_OK) {
			status = buffer_add(buffer, at, len);
		}
	} else {
		bool negative = false;
		const uint64_t key = integer_at(npy, at, &negative);
		if (negative) {
			return error_set(err, STATUS_BAD_REQUEST,
				"'%s': key %" PRIu64 " is %" PRId64
				"; keys of this table are 0 to 2^64 - 1",
				keys->name, i, signed_of(npy, key));
		}
		status = buffer_add(buffer, &key, sizeof key);
	}
	return status == STATUS_OK ? status : error_set(err, status, "no memory for keys");
}

/* Others than u64 are read some at a time, since strings may be wide. */
enum status source_keys_take(struct source_arrays *source, uint64_t first, uint32_t count,
	struct rep_keys *out, struct error *err)
{
	enum { PIECE_BYTES = 1 << 20 };
	struct array *keys = &source->columns.arrays[COLUMN_KEYS];
	const size_t item_bytes = keys->npy.item_bytes;
	const void *data = NULL;
	if (source_is_type(keys, 'u', 8)) {
		const enum status status =
			array_read(keys, first * 8, (size_t)count * 8, &data, err);
		*out = (struct rep_keys){REP_KEY_U64, count, data, (size_t)count * 8};
		return status;
	}
	const uint64_t some = PIECE_BYTES / item_bytes;
	assert(some > 0); /* readers bound the width */
	const uint64_t end = first + count;
	source->key_buffer.len = 0;
	for (uint64_t at = first; at < end;) {
		const size_t n = (size_t)(end - at < some ? end - at : some);
		enum status status = array_read(keys, at * item_bytes, n * item_bytes, &data, err);
		for (size_t i = 0; i < n && status == STATUS_OK; i++) {
			status = pack_key(source, (const uint8_t *)data + i * item_bytes, at + i,
				err);
		}
		if (status != STATUS_OK) {
			return status;
		}
		at += n;
	}
	*out = (struct rep_keys){keys->npy.kind == 'S' ? REP_KEY_BYTES : REP_KEY_U64, count,
		source->key_buffer.data, source->key_buffer.len};
	return STATUS_OK;
}
