/* key_argument.c - reads keys. */
#include "tools/command/key_argument.h"

#include "schema/limits.h"
#include "tools/command/argument.h"
#include "tools/format/json.h"

#include <assert.h>
#include <stdio.h>
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
			return session_usage(session,
				"'%s': keys of this table are integers from 0 to 2^64 - 1", text);
		}
		status = buffer_add(out, &id, sizeof id);
	}
	return status == STATUS_OK ? EXIT_DONE
				   : session_refuse_text(session, status, "no memory for the keys");
}

/* Whether a terminal shows all of it, and a person can type it: UTF-8 without control characters. */
static bool is_plain(const uint8_t *key, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		/* The second half of the controls, U+0080 to U+009F, is c2 80 to c2 9f. */
		if (key[i] < 0x20 || key[i] == 0x7f ||
			(key[i] == 0xc2 && i + 1 < len && key[i + 1] < 0xa0)) {
			return false;
		}
	}
	return json_is_utf8(key, len) && (len < 4 || memcmp(key, "hex:", 4) != 0);
}

const char *key_argument_text(const uint8_t *key, size_t len, char text[KEY_ARGUMENT_BYTES])
{
	assert(len <= LIMIT_KEY_BYTES);
	if (is_plain(key, len)) {
		memcpy(text, key, len);
		text[len] = '\0';
		return text;
	}
	size_t at = (size_t)snprintf(text, KEY_ARGUMENT_BYTES, "hex:");
	for (size_t i = 0; i < len; i++) {
		at += (size_t)snprintf(text + at, KEY_ARGUMENT_BYTES - at, "%02x", key[i]);
	}
	return text;
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
