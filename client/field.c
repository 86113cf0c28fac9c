/* field.c - reads fields of an answer's map. */
#include "client/field.h"

#include <string.h>

bool field_uint(struct wire_value map, const char *name, uint64_t *out)
{
	return wire_uint(wire_get(map, name), out);
}

bool field_int(struct wire_value map, const char *name, int64_t *out)
{
	return wire_int(wire_get(map, name), out);
}

bool field_text(struct wire_value map, const char *name, char *text, size_t size)
{
	struct wire_bytes bytes = {0};
	if (!wire_str(wire_get(map, name), &bytes) || bytes.len >= size ||
		(bytes.len > 0 && memchr(bytes.data, '\0', bytes.len) != NULL)) {
		return false;
	}
	if (bytes.len > 0) {
		memcpy(text, bytes.data, bytes.len);
	}
	text[bytes.len] = '\0';
	return true;
}

bool field_is(struct wire_value map, const char *name, const char *text)
{
	struct wire_bytes bytes = {0};
	return wire_str(wire_get(map, name), &bytes) && wire_bytes_are(bytes, text);
}
