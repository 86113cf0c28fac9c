/* fuzz_json.c - any bytes as JSON text: refused with a reason, or a value that lies within them. */
#include "tools/format/json_scan.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void read_value(const struct json_value *value)
{
	char string[64];
	uint64_t unsigned_number;
	int64_t number;
	float real;
	if (value->kind == JSON_STRING &&
		json_value_string(value, string, sizeof string) > value->len) {
		abort(); /* escapes only shorten a string */
	}
	(void)json_value_u64(value, &unsigned_number);
	(void)json_value_i64(value, &number);
	(void)json_value_float(value, &real);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text =
		malloc(len > 0 ? len : 1); /* of just that size: a sanitizer sees a step too far */
	if (text == NULL) {
		return 0;
	}
	memcpy(text, data, len);
	struct json_scan scan = {.text = text, .len = len};
	struct json_value value = {0};
	if (!json_scan_value(&scan, &value)) {
		if (scan.wrong == NULL || scan.at > len) {
			abort();
		}
	} else if (value.kind == JSON_ABSENT || value.text < text ||
		   value.text + value.len > text + len || scan.at > len) {
		abort();
	} else {
		read_value(&value);
	}
	free(text);
	return 0;
}
