/* options.c - getopt_long over a table. */
#include "tools/options.h"

#include "schema/limits.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum {
	CODE_FIRST = 256, /* of the table's rows */
	CODE_JSON = 128,
	CODE_TIMEOUT,
};

bool options_count(const char *text, uint64_t *out)
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

bool options_duration(const char *text, uint64_t *out_ms)
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
	if (!options_count(number, &value)) {
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

bool options_place(const char *text, struct place *out)
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

/* Takes one option of the table. */
static int take(const struct session *session, const struct option_row *row, const char *value)
{
	switch (row->kind) {
	case OPTION_FLAG:
		*(bool *)row->target = true;
		return EXIT_DONE;
	case OPTION_TEXT:
		*(const char **)row->target = value;
		return EXIT_DONE;
	case OPTION_COUNT:
		if (!options_count(value, row->target)) {
			return session_usage(session, "--%s: '%s' is not a number", row->name,
				value);
		}
		return EXIT_DONE;
	case OPTION_DURATION:
		if (!options_duration(value, row->target)) {
			return session_usage(session,
				"--%s: '%s' is not a duration such as 500ms, 30s, 1h or 7d",
				row->name, value);
		}
		return EXIT_DONE;
	}
	return EXIT_USAGE;
}

static int take_common(struct session *session, int code, const char *value)
{
	const struct option_row timeout = {"timeout", OPTION_DURATION, &session->timeout_ms};
	if (code == 's') {
		session->address = value;
	} else if (code == CODE_JSON) {
		session->json = true;
	} else {
		int status = take(session, &timeout, value);
		if (status == EXIT_DONE && session->timeout_ms > UINT32_MAX) {
			return session_usage(session, "--timeout: '%s' is too long", value);
		}
		return status;
	}
	return EXIT_DONE;
}

int options_read(struct session *session, const struct option_row *rows, size_t count, int argc,
	char **argv, struct rest *rest)
{
	struct option options[OPTIONS_MAX + 3] = {
		{"json", no_argument, NULL, CODE_JSON},
		{"timeout", required_argument, NULL, CODE_TIMEOUT},
	};
	assert(count <= OPTIONS_MAX);
	for (size_t i = 0; i < count; i++) {
		options[i + 2] = (struct option){rows[i].name,
			rows[i].kind == OPTION_FLAG ? no_argument : required_argument, NULL,
			CODE_FIRST + (int)i};
	}
	optind = 0; /* from the beginning, also the second time */
	for (;;) {
		int code = getopt_long(argc, argv, ":s:", options, NULL);
		if (code < 0) {
			break;
		}
		if (code == '?') {
			return session_usage(session, "unknown option '%s'", argv[optind - 1]);
		}
		if (code == ':') {
			return session_usage(session, "option '%s' needs a value",
				argv[optind - 1]);
		}
		int status = code >= CODE_FIRST ? take(session, &rows[code - CODE_FIRST], optarg)
						: take_common(session, code, optarg);
		if (status != EXIT_DONE) {
			return status;
		}
	}
	*rest = (struct rest){.count = argc - optind, .values = argv + optind};
	return EXIT_DONE;
}
