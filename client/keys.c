/* keys.c - checks keys that a caller gives. */
#include "client/keys.h"

#include "schema/key.h"

enum status keys_check(const struct rep_keys *keys, struct error *err)
{
	if (keys->type != REP_KEY_U64 && keys->type != REP_KEY_BYTES) {
		return error_set(err, STATUS_BAD_REQUEST, "keys: no type of key is %d",
			(int)keys->type);
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
