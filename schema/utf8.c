/* utf8.c - well-formed sequences of bytes. */
#include "schema/utf8.h"

/* How many bytes the sequence at `text` has; 0 if there is none. */
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

size_t utf8_valid_bytes(const void *text, size_t len)
{
	const uint8_t *bytes = text;
	size_t at = 0;
	while (at < len) {
		const size_t sequence = sequence_bytes(bytes + at, len - at);
		if (sequence == 0) {
			break;
		}
		at += sequence;
	}
	return at;
}

void utf8_repair(void *text, size_t len)
{
	uint8_t *bytes = text;
	for (size_t at = utf8_valid_bytes(text, len); at < len;
		at += utf8_valid_bytes(bytes + at, len - at)) {
		bytes[at] = '?';
	}
}
