/* access.c - repstore whoami, access check: who may do what. */
#include "tools/command/command.h"
#include "tools/command/options.h"
#include "tools/format/text.h"

#include <stdio.h>
#include <string.h>

/* Prints an array of strings, or of numbers, on one line. */
static void print_list(struct wire_value list, const char *none)
{
	for (size_t i = 0; i < wire_size(list); i++) {
		struct wire_bytes text;
		uint64_t number = 0;
		if (wire_str(wire_item(list, i), &text)) {
			printf(" %.*s", (int)text.len, (const char *)text.data);
		} else if (wire_uint(wire_item(list, i), &number)) {
			printf(" %llu", (unsigned long long)number);
		}
	}
	printf("%s\n", wire_size(list) == 0 ? none : "");
}

/* Who it is, which roles that gives, and by which entries of the settings. */
static void print_identity(struct wire_value result)
{
	char peer[256];
	const struct wire_value by = wire_get(result, "by");
	printf("peer:   %s\n", text_str_of(result, "peer", peer, sizeof peer));
	if (wire_type(wire_get(result, "gid")) != WIRE_ABSENT) {
		printf("groups: %llu", (unsigned long long)text_uint_of(result, "gid"));
		print_list(wire_get(result, "groups"), "");
	}
	if (wire_type(wire_get(result, "names")) != WIRE_ABSENT) {
		printf("names: ");
		print_list(wire_get(result, "names"), " none");
	}
	printf("roles: ");
	print_list(wire_get(result, "roles"), " none");
	for (size_t i = 0; i < wire_size(by); i++) {
		struct wire_bytes text = {0};
		(void)wire_str(wire_item(by, i), &text);
		printf("by:     %.*s\n", (int)text.len, (const char *)text.data);
	}
}

static int run_whoami(struct session *session, int argc, char **argv)
{
	struct rest rest;
	struct answer answer = {0};
	int status = options_read(session, NULL, 0, argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count > 0) {
		return session_usage(session, "'%s': not expected", rest.values[0]);
	}
	if (!session_connect(session) || !session_call(session, "whoami", NULL, &answer)) {
		return EXIT_REFUSED;
	}
	return session_print(session, &answer, print_identity);
}

static void print_check(struct wire_value result)
{
	char method[80];
	char wants[40];
	bool allowed = false;
	(void)wire_bool(wire_get(result, "allowed"), &allowed);
	printf("%s: %s wants the role %s\n", allowed ? "allowed" : "denied",
		text_str_of(result, "method", method, sizeof method),
		text_str_of(result, "wants", wants, sizeof wants));
	print_identity(result);
}

static int run_check(struct session *session, int argc, char **argv)
{
	const char *as = NULL;
	const struct option_row rows[] = {{"as", OPTION_TEXT, &as}};
	struct rest rest;
	struct answer answer = {0};
	struct wire_writer params = {0};
	bool allowed = false;
	int status = options_read(session, rows, sizeof rows / sizeof rows[0], argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (as == NULL) {
		return session_usage(session,
			"access check: --as WHO says whose roles are asked for");
	}
	if (rest.count == 0) {
		return session_usage(session, "access check: which METHOD? `put`, for instance");
	}
	if (rest.count > 2) {
		return session_usage(session, "'%s': not expected", rest.values[2]);
	}
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	wire_write_map(&params, 2);
	wire_write_str(&params, "as");
	wire_write_str(&params, as);
	wire_write_str(&params, "method");
	wire_write_str(&params, rest.values[0]);
	if (!session_call(session, "access.check", &params, &answer)) {
		return EXIT_REFUSED;
	}
	(void)wire_bool(wire_get(answer.result, "allowed"), &allowed);
	status = session_print(session, &answer, print_check);
	return status == EXIT_DONE && !allowed ? EXIT_REFUSED : status;
}

static const struct verb verbs[] = {{"check", run_check}};

static int run_access(struct session *session, int argc, char **argv)
{
	return command_run_verb(session, verbs, sizeof verbs / sizeof verbs[0], argc, argv);
}

const struct command cmd_whoami = {
	.name = "whoami",
	.summary = "who you are to the daemon, and what you may do",
	.usage = "whoami\n",
	.help = "The user and the groups are those that the daemon was told by the kernel when you\n"
		"connected. `by` are the entries in [access] of its settings that give the roles.\n",
	.run = run_whoami,
};

const struct command cmd_access = {
	.name = "access",
	.summary = "whether somebody may call a method",
	.usage = "access check --as WHO METHOD [RELEASE/TABLE]\n",
	.help = "Asks, as an admin, what the settings that are in force say; nothing is called. The\n"
		"exit status is 1 when it is denied. Roles hold for all releases and tables, so\n"
		"RELEASE/TABLE makes no difference.\n"
		"  --as    user:NAME (with the groups of a new login), cert:KIND=NAME with KIND one of\n"
		"          URI, DNS and CN, or tcp:loopback\n"
		"  METHOD  as in schema/PROTOCOL.md: put, load, release.publish\n",
	.run = run_access,
};
