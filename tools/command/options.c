/* options.c - getopt_long over a table. */
#include "tools/command/options.h"

#include "tools/command/argument.h"
#include "tools/command/suggestion.h"
#include "tools/format/row_time.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum {
	CODE_FIRST = 256, /* of the table's rows */
	CODE_JSON = 128,
	CODE_TIMEOUT,
	CODE_LOCAL,
	CODE_TLS, /* and on: of tls_names */
};

/* Those that every command has besides: for addresses of tls:. */
static const char *const tls_names[] = {"tls-authority", "tls-certificate", "tls-key",
	"tls-server-name"};
enum {
	TLS_NAMES = sizeof tls_names / sizeof tls_names[0],
	COMMON = 3 + TLS_NAMES,
};

static const char **tls_field(struct session *session, int number)
{
	const char **const fields[TLS_NAMES] = {&session->tls_authority, &session->tls_certificate,
		&session->tls_key, &session->tls_server_name};
	return fields[number];
}

bool options_common_takes(const char *argument)
{
	bool takes = strcmp(argument, "-s") == 0 || strcmp(argument, "--timeout") == 0 ||
		     strcmp(argument, "--local") == 0;
	for (size_t i = 0; i < TLS_NAMES; i++) {
		takes = takes || (strncmp(argument, "--", 2) == 0 &&
					 strcmp(argument + 2, tls_names[i]) == 0);
	}
	return takes;
}

/* How the option is typed: --name, or -n. */
static const char *dashes(const struct option_row *row)
{
	return row->name[1] == '\0' ? "-" : "--";
}

static int take_of_list(const struct session *session, const struct option_row *row,
	const char *value)
{
	struct option_list *list = row->target;
	if (list->count == OPTIONS_LIST_MAX) {
		return session_usage(session, "%s%s: given more than %d times", dashes(row),
			row->name, OPTIONS_LIST_MAX);
	}
	list->values[list->count++] = value;
	return EXIT_DONE;
}

/* Reads the value of one option of the table. */
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
		if (!argument_count(value, row->target)) {
			return session_usage(session, "%s%s: '%s' is not a number below 2^64",
				dashes(row), row->name, value);
		}
		return EXIT_DONE;
	case OPTION_BITS:
		if (!argument_bits(value, row->target)) {
			return session_usage(session, "%s%s: '%s' is not 64 bits (7, 0x1f)",
				dashes(row), row->name, value);
		}
		return EXIT_DONE;
	case OPTION_DURATION:
		if (!argument_duration(value, row->target)) {
			return session_usage(session,
				"%s%s: '%s' is not a duration such as 500ms, 30s, 1h or 7d",
				dashes(row), row->name, value);
		}
		return EXIT_DONE;
	case OPTION_TIME_UNIT:
		if (!row_time_unit(value, row->target)) {
			return session_usage(session, "%s%s: '%s', " ROW_TIME_UNITS " allowed",
				dashes(row), row->name, value);
		}
		return EXIT_DONE;
	case OPTION_NUMBER:
		if (!argument_number(value, row->target)) {
			return session_usage(session, "%s%s: '%s' is not a number such as 1e-3",
				dashes(row), row->name, value);
		}
		return EXIT_DONE;
	case OPTION_LIST:
		return take_of_list(session, row, value);
	}
	return EXIT_USAGE;
}

static int take_common(struct session *session, int code, const char *value)
{
	const struct option_row timeout = {"timeout", OPTION_DURATION, &session->timeout_ms};
	if (code == 's') {
		session->address = value;
	} else if (code == CODE_LOCAL) {
		session->folder = value;
	} else if (code == CODE_JSON) {
		session->json = true;
	} else if (code >= CODE_TLS) {
		*tls_field(session, code - CODE_TLS) = value;
	} else {
		int status = take(session, &timeout, value);
		if (status == EXIT_DONE && session->timeout_ms > UINT32_MAX) {
			return session_usage(session, "--timeout: '%s' is too long", value);
		}
		return status;
	}
	return EXIT_DONE;
}

/* "-" is standard input and "-0.5" is a number: both are no options. */
static bool is_option(const char *text)
{
	return text[0] == '-' && strchr("0123456789.", text[1]) == NULL;
}

/* Moves the arguments before the next option to the front, from argv[1] on. False: there is no
 * further option. (getopt could do so too, but takes negative numbers for options.) */
static bool find_option(int argc, char **argv, int *plain)
{
	while (optind < argc && !is_option(argv[optind])) {
		argv[++*plain] = argv[optind++];
	}
	if (optind < argc && strcmp(argv[optind], "--") != 0) {
		return true;
	}
	for (optind++; optind < argc; optind++) {
		argv[++*plain] = argv[optind];
	}
	return false;
}

/* Adds the options whose name is one letter to getopt's list. */
static void name_letters(const struct option_row *rows, size_t count, char *letters)
{
	char *end = letters + strlen(letters);
	for (size_t i = 0; i < count; i++) {
		if (rows[i].name[1] == '\0') {
			*end++ = rows[i].name[0];
			*end++ = ':';
		}
	}
	*end = '\0';
}

/* The code of an option whose name is one letter: that of its row. */
static int code_of(const struct option_row *rows, size_t count, int code)
{
	for (size_t i = 0; i < count; i++) {
		if (rows[i].name[0] == code && rows[i].name[1] == '\0') {
			return CODE_FIRST + (int)i;
		}
	}
	return code;
}

static int refuse_unknown(const struct session *session, const struct option_row *rows,
	size_t count, const char *given)
{
	const char *names[OPTIONS_MAX + COMMON] = {"json", "timeout", "local"};
	char near[80] = "";
	memcpy(names + COMMON - TLS_NAMES, tls_names, sizeof tls_names);
	for (size_t i = 0; i < count; i++) {
		names[i + COMMON] = rows[i].name;
	}
	const char *name = suggestion_of(given + strspn(given, "-"), names, count + COMMON);
	if (name != NULL) {
		snprintf(near, sizeof near, "; did you mean '%s%s'?", name[1] == '\0' ? "-" : "--",
			name);
	}
	return session_usage(session, "unknown option '%s'%s", given, near);
}

/* Prints the options as they are typed, those of all commands last. */
static int print_words(const struct option_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		printf("%s%s\n", dashes(&rows[i]), rows[i].name);
	}
	puts("--json\n--timeout\n--local\n--help\n-s");
	for (size_t i = 0; i < TLS_NAMES; i++) {
		printf("--%s\n", tls_names[i]);
	}
	return EXIT_LISTED;
}

int options_read(struct session *session, const struct option_row *rows, size_t count, int argc,
	char **argv, struct rest *rest)
{
	if (session->words) {
		return print_words(rows, count);
	}
	struct option options[OPTIONS_MAX + COMMON + 1] = {
		{"json", no_argument, NULL, CODE_JSON},
		{"timeout", required_argument, NULL, CODE_TIMEOUT},
		{"local", required_argument, NULL, CODE_LOCAL},
	};
	assert(count <= OPTIONS_MAX);
	for (int i = 0; i < TLS_NAMES; i++) {
		options[COMMON - TLS_NAMES + i] =
			(struct option){tls_names[i], required_argument, NULL, CODE_TLS + i};
	}
	for (size_t i = 0; i < count; i++) {
		options[i + COMMON] = (struct option){rows[i].name,
			rows[i].kind == OPTION_FLAG ? no_argument : required_argument, NULL,
			CODE_FIRST + (int)i};
	}
	char letters[sizeof "+:s:" + (size_t)2 * OPTIONS_MAX] = "+:s:";
	name_letters(rows, count, letters);
	int plain = 0;
	optind = 1;
	while (find_option(argc, argv, &plain)) {
		int code = code_of(rows, count, getopt_long(argc, argv, letters, options, NULL));
		if (code == '?') {
			return refuse_unknown(session, rows, count, argv[optind - 1]);
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
	*rest = (struct rest){.count = plain, .values = argv + 1};
	return EXIT_DONE;
}
