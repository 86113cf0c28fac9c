/* options.h - a subcommand's options, as a table.
 *
 * Options may stand before, between and behind the other arguments; `--` ends them. An
 * argument that begins with a minus and a digit or point is a number, never an option.
 * An option whose name is one letter takes a value and may be written with one minus.
 * The options that every subcommand has (-s, --local, --json, --timeout, --tls-...) are read here too.
 */
#ifndef TOOLS_COMMAND_OPTIONS_H
#define TOOLS_COMMAND_OPTIONS_H

#include "tools/command/session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
	OPTION_FLAG,      /* bool: set to true */
	OPTION_TEXT,      /* const char * */
	OPTION_COUNT,     /* uint64_t: decimal */
	OPTION_BITS,      /* uint64_t: decimal, or hexadecimal after 0x */
	OPTION_DURATION,  /* uint64_t: milliseconds, written 500ms, 30s, 5m, 1h, 7d */
	OPTION_TIME_UNIT, /* enum row_time_unit: ms, s, us, ns */
	OPTION_NUMBER,    /* double: a decimal fraction, finite */
	OPTION_LIST,      /* struct option_list: may be given several times */
};

enum { OPTIONS_LIST_MAX = 64 };

/* A zeroed one is empty. */
struct option_list {
	const char *values[OPTIONS_LIST_MAX];
	size_t count;
};

struct option_row {
	const char *name;
	enum option_kind kind;
	void *target;
};

enum { OPTIONS_MAX = 24 };

/* Reads argv[1..]; the arguments that are no options go into `rest`. Returns EXIT_DONE; or
 * EXIT_USAGE, after it has said what is wrong; or EXIT_LISTED, after it has printed the options. */
struct rest {
	int count;
	char **values;
};
/* Does the value of an option that every subcommand has stand behind it, as an argument of its own? */
bool options_common_takes(const char *argument);

int options_read(struct session *session, const struct option_row *rows, size_t count, int argc,
	char **argv, struct rest *rest);

#endif
