/* keys.c - checks keys that a caller gives, and writes them into a request. */
#include "client/keys.h"

#include "schema/key.h"
#include "schema/limits.h"

enum {
	/* Keys of a request that are written one by one; a message may have twice as many. */
	MOST_ELEMENTS = LIMIT_MESSAGE_ELEMENTS / 2,
};

enum status keys_check(const struct rep_keys *keys, struct error *err)
{
	if (keys->type != REP_KEY_U64 && keys->type != REP_KEY_BYTES) {
		return error_set(err, STATUS_BAD_REQUEST, "keys: no type of key is %d",
			(int)keys->type);
	}
	if (keys->data == NULL && keys->bytes > 0) {
		return error_set(err, STATUS_BAD_REQUEST, "keys: NULL given for %zu bytes",
			keys->bytes);
	}
	uint32_t count = 0;
	enum status status =
		keys_count((enum key_type)keys->type, keys->data, keys->bytes, &count, err);
	if (status == STATUS_OK && count != keys->count) {
		status = error_set(err, STATUS_BAD_REQUEST, "keys: %zu bytes hold %u, not %u",
			keys->bytes, count, keys->count);
	}
	return status;
}

void keys_write(struct wire_writer *writer, const struct rep_keys *keys, size_t lists)
{
	const size_t count = keys->count;
	if (count == 0 || keys->type != REP_KEY_BYTES || keys->bytes != count * sizeof(uint64_t) ||
		count > MOST_ELEMENTS / lists) {
		wire_write_bin(writer, keys->data, keys->bytes);
		return;
	}
	const uint8_t *at = keys->data;
	wire_write_array(writer, count);
	for (size_t i = 0; i < count; i++) {
		wire_write_bin(writer, at + 1, at[0]);
		at += 1 + at[0];
	}
}
