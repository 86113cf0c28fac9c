/* argument.c - parses numbers, durations, steps and places. */
#include "tools/command/argument.h"

#include <errno.h>
#include <math.h>
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

bool argument_bits(const char *text, uint64_t *out)
{
	if (text[0] != '0' || (text[1] | 0x20) != 'x') {
		return argument_count(text, out);
	}
	size_t digits = strspn(text + 2, "0123456789abcdefABCDEF");
	if (digits == 0 || digits > 16 || text[2 + digits] != '\0') {
		return false;
	}
	*out = strtoull(text + 2, NULL, 16);
	return true;
}

bool argument_number(const char *text, double *out)
{
	/* strtod would take spaces, hexadecimal digits, "nan" and "infinity" too. */
	const char *digits = text + (text[0] == '-' || text[0] == '+');
	char *end = NULL;
	if (digits[0] == '\0' || strspn(digits, "0123456789.eE+-") != strlen(digits)) {
		return false;
	}
	double value = strtod(text, &end);
	if (end == text || *end != '\0' || !isfinite(value)) {
		return false;
	}
	*out = value;
	return true;
}

bool argument_float(const char *text, float *out)
{
	double value;
	if (!argument_number(text, &value)) {
		return false;
	}
	/* Parsed once more: rounding to double and then to float may differ. */
	float rounded = strtof(text, NULL);
	if (!isfinite(rounded)) {
		return false;
	}
	*out = rounded;
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

/* Reads events=D or half_life=TIME. */
static bool read_decay_part(const char *part, struct decay_argument *out)
{
	static const char events[] = "events=";
	static const char half_life[] = "half_life=";
	if (strncmp(part, events, strlen(events)) == 0 && !out->has_events) {
		out->has_events = argument_number(part + strlen(events), &out->events);
		return out->has_events;
	}
	return strncmp(part, half_life, strlen(half_life)) == 0 && out->half_life_ms == 0 &&
	       argument_duration(part + strlen(half_life), &out->half_life_ms) &&
	       out->half_life_ms != 0;
}

bool argument_decay(const char *text, struct decay_argument *out)
{
	enum { PART_BYTES = 64 };
	struct decay_argument read = {0};
	const char *at = text;
	for (;;) {
		char part[PART_BYTES];
		const size_t len = strcspn(at, ",");
		if (len >= sizeof part) {
			return false;
		}
		memcpy(part, at, len);
		part[len] = '\0';
		if (!read_decay_part(part, &read)) {
			return false;
		}
		if (at[len] == '\0') {
			*out = read;
			return true;
		}
		at += len + 1;
	}
}

static enum status cut_steps(struct steps_argument *steps, const char *text, struct error *err)
{
	for (char *at = steps->list; at != NULL;) {
		char *comma = strchr(at, ',');
		if (comma != NULL) {
			*comma++ = '\0';
		}
		if (steps->count == LIMIT_ADAPTER_STEPS) {
			return error_set(err, STATUS_BAD_REQUEST, "'%.80s': at most %u steps", text,
				LIMIT_ADAPTER_STEPS);
		}
		if (*at == '\0') {
			return error_set(err, STATUS_BAD_REQUEST, "'%.80s': step %u is empty", text,
				steps->count + 1);
		}
		steps->steps[steps->count++] = at;
		at = comma;
	}
	return STATUS_OK;
}

enum status argument_steps(const char *text, struct steps_argument *out, struct error *err)
{
	struct steps_argument read = {.list = strdup(text)};
	const enum status status =
		read.list == NULL ? error_set(err, STATUS_NO_MEMORY, "no memory for the steps")
				  : cut_steps(&read, text, err);
	if (status != STATUS_OK) {
		steps_argument_fini(&read);
		return status;
	}
	*out = read;
	return STATUS_OK;
}

void steps_argument_fini(struct steps_argument *steps)
{
	free(steps->list);
	*steps = (struct steps_argument){0};
}

bool argument_shard(const char *text, struct shard_argument *out)
{
	enum { PART_BYTES = 16 };
	char number[PART_BYTES];
	const size_t len = strcspn(text, "/");
	if (len >= sizeof number || text[len] == '\0') {
		return false;
	}
	memcpy(number, text, len);
	number[len] = '\0';
	uint64_t i;
	uint64_t n;
	if (!argument_count(number, &i) || !argument_count(text + len + 1, &n) || i >= n ||
		n > UINT32_MAX) {
		return false;
	}
	*out = (struct shard_argument){.number = (uint32_t)i, .count = (uint32_t)n};
	return true;
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
