/* json.c - escapes and digits of JSON. */
#include "tools/format/json.h"

#include "schema/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool json_is_utf8(const uint8_t *text, size_t len)
{
	return utf8_valid_bytes(text, len) == len;
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
