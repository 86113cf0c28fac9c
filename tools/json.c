/* json.c - escapes, digits and MessagePack as JSON. */
#include "tools/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the UTF-8 sequence at `text`, 0 when it is none. The table is that of
 * RFC 3629, section 4. */
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

static void write_bytes(FILE *out, struct wire_value value)
{
	struct wire_bytes bytes = {0};
	wire_str(value, &bytes);
	if (wire_type(value) == WIRE_STR && json_is_utf8(bytes.data, bytes.len)) {
		json_string(out, bytes.data, bytes.len);
	} else {
		json_hex(out, bytes.data, bytes.len);
	}
}

static void write_array(FILE *out, struct wire_value value)
{
	putc('[', out);
	for (size_t i = 0; i < wire_size(value); i++) {
		fputs(i > 0 ? ", " : "", out);
		json_wire(out, wire_item(value, i));
	}
	putc(']', out);
}

static void write_map(FILE *out, struct wire_value value)
{
	putc('{', out);
	for (size_t i = 0; i < wire_size(value); i++) {
		fputs(i > 0 ? ", " : "", out);
		struct wire_value key = wire_map_key(value, i);
		if (wire_type(key) == WIRE_STR || wire_type(key) == WIRE_BIN) {
			write_bytes(out, key);
		} else {
			fputs("\"?\"", out); /* no name of ours */
		}
		fputs(": ", out);
		json_wire(out, wire_map_value(value, i));
	}
	putc('}', out);
}

/* NOLINTNEXTLINE(misc-no-recursion): a message is at most 16 levels deep */
void json_wire(FILE *out, struct wire_value value)
{
	bool flag = false;
	uint64_t number = 0;
	int64_t negative = 0;
	double fraction = 0;
	switch (wire_type(value)) {
	case WIRE_BOOL:
		wire_bool(value, &flag);
		fputs(flag ? "true" : "false", out);
		break;
	case WIRE_UINT:
		wire_uint(value, &number);
		fprintf(out, "%" PRIu64, number);
		break;
	case WIRE_INT:
		wire_int(value, &negative);
		fprintf(out, "%" PRId64, negative);
		break;
	case WIRE_FLOAT:
		wire_float(value, &fraction);
		if (isfinite(fraction)) {
			fprintf(out, "%.17g", fraction);
		} else {
			fputs("null", out);
		}
		break;
	case WIRE_STR:
	case WIRE_BIN:
		write_bytes(out, value);
		break;
	case WIRE_ARRAY:
		write_array(out, value);
		break;
	case WIRE_MAP:
		write_map(out, value);
		break;
	case WIRE_ABSENT:
	case WIRE_NIL:
	case WIRE_EXT:
		fputs("null", out);
		break;
	}
}
