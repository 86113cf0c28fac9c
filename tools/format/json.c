/* json.c - escapes and digits of JSON. */
#include "tools/format/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How many bytes the UTF-8 sequence at `text` has; 0 if there is none. The table is that
 * of RFC 3629, section 4. */
static size_t sequence_bytes(const uint8_t *text, size_t len)
{
	static const struct {
		uint8_t first_low, first_high, second_low, second_high;
		uint8_t bytes;
	} forms[] = {
		{0x00, 0x7f, 0x00, 0x00, 1},
		{0xc2, 0xdf, 0x80, 0xbf, 2},
		{0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3},
		{0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4},
		{0xf4, 0xf4, 0x80, 0x8f, 4},
	};
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		if (text[0] < forms[i].first_low || text[0] > forms[i].first_high) {
			continue;
		}
		size_t bytes = forms[i].bytes;
		if (bytes > len) {
			return 0;
		}
		if (bytes > 1 &&
			(text[1] < forms[i].second_low || text[1] > forms[i].second_high)) {
			return 0;
		}
		for (size_t j = 2; j < bytes; j++) {
			if ((text[j] & 0xc0) != 0x80) {
				return 0;
			}
		}
		return bytes;
	}
	return 0;
}

bool json_is_utf8(const uint8_t *text, size_t len)
{
	for (size_t at = 0; at < len;) {
		size_t bytes = sequence_bytes(text + at, len - at);
		if (bytes == 0) {
			return false;
		}
		at += bytes;
	}
	return true;
}

void json_string(FILE *out, const uint8_t *text, size_t len)
{
	putc('"', out);
	for (size_t i = 0; i < len; i++) {
		switch (text[i]) {
		case '"':
		case '\\':
			putc('\\', out);
			putc(text[i], out);
			break;
		case '\n':
			fputs("\\n", out);
			break;
		case '\t':
			fputs("\\t", out);
			break;
		default:
			if (text[i] < 0x20 || text[i] == 0x7f) {
				fprintf(out, "\\u%04x", text[i]);
			} else {
				putc(text[i], out);
			}
		}
	}
	putc('"', out);
}

void json_text(FILE *out, const char *text)
{
	json_string(out, (const uint8_t *)text, strlen(text));
}

void json_hex(FILE *out, const uint8_t *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	putc('"', out);
	for (size_t i = 0; i < len; i++) {
		putc(digits[data[i] >> 4], out);
		putc(digits[data[i] & 15], out);
	}
	putc('"', out);
}

void json_float(FILE *out, float value)
{
	if (isnan(value)) {
		fputs("\"NaN\"", out);
	} else if (isinf(value)) {
		fputs(value < 0 ? "\"-Infinity\"" : "\"Infinity\"", out);
	} else if (value == 0) {
		fputs(signbit(value) ? "-0.0" : "0", out);
	} else {
		fprintf(out, "%.9g", (double)value);
	}
}

void json_double(FILE *out, double value)
{
	char text[32];
	if (!isfinite(value)) {
		fputs("null", out);
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, value);
		if (strtod(text, NULL) == value) {
			break;
		}
	}
	fputs(text, out);
}
