/* key_argument.c - reads keys. */
#include "tools/command/key_argument.h"

#include "schema/limits.h"
#include "tools/command/argument.h"

#include <string.h>

static int digit_of(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* key: out, uint8_t[LIMIT_KEY_BYTES]. */
static bool read_bytes(const char *text, uint8_t *key, size_t *len)
{
	if (strncmp(text, "hex:", 4) != 0) {
		*len = strlen(text);
		if (*len <= LIMIT_KEY_BYTES) {
			memcpy(key, text, *len);
		}
		return *len > 0 && *len <= LIMIT_KEY_BYTES;
	}
	text += 4;
	*len = strlen(text) / 2;
	if (strlen(text) % 2 != 0 || *len == 0 || *len > LIMIT_KEY_BYTES) {
		return false;
	}
	for (size_t i = 0; i < *len; i++) {
		int high = digit_of(text[2 * i]);
		int low = digit_of(text[2 * i + 1]);
		if (high < 0 || low < 0) {
			return false;
		}
		key[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static int pack_one(const struct session *session, enum rep_key_type type, const char *text,
	struct buffer *out)
{
	uint8_t packed[1 + LIMIT_KEY_BYTES];
	size_t len = 0;
	uint64_t id = 0;
	enum status status = STATUS_OK;
	if (type == REP_KEY_BYTES) {
		if (!read_bytes(text, packed + 1, &len)) {
			return session_usage(session,
				"'%s': not a key of 1 to %u bytes (or hex:...)", text,
				LIMIT_KEY_BYTES);
		}
		packed[0] = (uint8_t)len;
		status = buffer_add(out, packed, 1 + len);
	} else {
		if (!argument_count(text, &id)) {
			return session_usage(session, "'%s': keys of this table are integers",
				text);
		}
		status = buffer_add(out, &id, sizeof id);
	}
	return status == STATUS_OK ? EXIT_DONE
				   : session_refuse_text(session, status, "no memory for the keys");
}

int key_argument_pack(const struct session *session, enum rep_key_type type,
	const struct rest *keys, struct buffer *out)
{
	int status = EXIT_DONE;
	for (int i = 0; i < keys->count && status == EXIT_DONE; i++) {
		status = pack_one(session, type, keys->values[i], out);
	}
	return status;
}
