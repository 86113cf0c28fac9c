/* argument.c - parses numbers, durations and places. */
#include "tools/argument.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool argument_count(const char *text, uint64_t *out)
{
	if (text[0] < '0' || text[0] > '9') {
		return false; /* strtoull takes signs and spaces */
	}
	char *end = NULL;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0') {
		return false;
	}
	*out = value;
	return true;
}

bool argument_duration(const char *text, uint64_t *out_ms)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
	size_t digits = strspn(text, "0123456789");
	char number[24];
	uint64_t value = 0;
	if (digits == 0 || digits >= sizeof number) {
		return false;
	}
	memcpy(number, text, digits);
	number[digits] = '\0';
	if (!argument_count(number, &value)) {
		return false;
	}
	if (text[digits] == '\0' && value == 0) {
		*out_ms = 0;
		return true;
	}
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (strcmp(text + digits, units[i].name) == 0 &&
			value <= UINT64_MAX / units[i].ms) {
			*out_ms = value * units[i].ms;
			return true;
		}
	}
	return false;
}

bool argument_place(const char *text, struct place *out)
{
	const char *slash = strchr(text, '/');
	if (slash == NULL) {
		return false;
	}
	size_t release_len = (size_t)(slash - text);
	size_t table_len = strlen(slash + 1);
	if (release_len == 0 || release_len >= sizeof out->release || table_len == 0 ||
		table_len >= sizeof out->table) {
		return false;
	}
	memcpy(out->release, text, release_len);
	out->release[release_len] = '\0';
	memcpy(out->table, slash + 1, table_len + 1);
	return true;
}
