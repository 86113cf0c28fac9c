/* text.c - formats into memory that grows, and escapes what others have named. */
#include "daemon/http/text.h"

#include "schema/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_fini(struct text *text)
{
	free(text->data);
	*text = (struct text){0};
}

/* Makes room for `more` bytes and a NUL. */
static bool reserve(struct text *text, size_t more)
{
	enum { FIRST_BYTES = 16 << 10 };
	if (text->failed) {
		return false;
	}
	if (text->cap - text->len > more) {
		return true;
	}
	size_t cap = text->cap == 0 ? FIRST_BYTES : text->cap * 2;
	while (cap - text->len <= more) {
		cap *= 2;
	}
	char *grown = realloc(text->data, cap);
	if (grown == NULL) {
		text->failed = true;
		return false;
	}
	text->data = grown;
	text->cap = cap;
	return true;
}

void text_add(struct text *text, const char *format, ...)
{
	va_list args;
	va_list again;
	if (!reserve(text, 0)) {
		return;
	}
	va_start(args, format);
	va_copy(again, args);
	const int len = vsnprintf(text->data + text->len, text->cap - text->len, format, args);
	va_end(args);
	if (len >= 0 && (size_t)len >= text->cap - text->len && reserve(text, (size_t)len)) {
		(void)vsnprintf(text->data + text->len, text->cap - text->len, format, again);
	}
	va_end(again);
	if (len < 0) {
		text->failed = true;
	}
	text->len += text->failed ? 0 : (size_t)len;
}

void text_add_label(struct text *text, const char *value)
{
	text_add(text, "\"");
	for (const char *at = value; *at != '\0'; at++) {
		if (*at == '\n') {
			text_add(text, "\\n");
		} else {
			text_add(text, *at == '"' || *at == '\\' ? "\\%c" : "%c", *at);
		}
	}
	text_add(text, "\"");
}

void text_add_json(struct text *text, const char *value)
{
	const bool is_utf8 = utf8_valid_bytes(value, strlen(value)) == strlen(value);
	text_add(text, "\"");
	for (const char *at = value; *at != '\0'; at++) {
		const unsigned char byte = (unsigned char)*at;
		const bool is_special = byte < 0x20 || byte == 0x7f || byte == '"' ||
					byte == '\\' || byte == '<' || byte == '>' || byte == '&' ||
					byte == '\'';
		if (is_special || (byte >= 0x80 && !is_utf8)) {
			text_add(text, "\\u%04x", byte);
		} else {
			text_add(text, "%c", byte);
		}
	}
	text_add(text, "\"");
}
