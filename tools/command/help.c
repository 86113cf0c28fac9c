/* help.c - repstore help: lists the commands, and says how one is used. */
#include "tools/command/command.h"
#include "tools/command/options.h"

#include "tools/format/wrap.h"

#include <stdio.h>
#include <string.h>

enum { CONTINUED = 9 }; /* where a usage goes on */

static void print_all(const struct command *const *commands)
{
	fputs("usage: repstore [-s ADDRESS] [--local DIR] [--json] [--timeout TIME] COMMAND ...\n"
	      "       repstore -h | -V\n\n",
		stdout);
	for (size_t i = 0; commands[i] != NULL; i++) {
		printf("  %-9s %s\n", commands[i]->name, commands[i]->summary);
	}
	fputs("\n"
	      "The daemon is found by -s ADDRESS, then $REPSTORE, then\n"
	      "/run/repstore/repstore.sock. An address is unix:PATH, tls:HOST:PORT, tcp:HOST:PORT\n"
	      "or a path. tls: needs --tls-authority, --tls-certificate and --tls-key FILE, or\n"
	      "$REPSTORE_TLS_AUTHORITY, _CERTIFICATE and _KEY; --tls-server-name NAME\n"
	      "where the daemon's certificate names another host than the address.\n"
	      "--local DIR reads the data folder DIR instead, whether or not a daemon runs on it:\n"
	      "for commands that only read. With -s the daemon there is told, and counts it.\n"
	      "--json answers with one JSON document a line, --timeout (30s) bounds each request.\n"
	      "Exit status: 0 done, 1 the daemon or the input said no, 2 wrong usage.\n"
	      "`repstore help COMMAND` says more.\n",
		stdout);
}

static void print_one(const struct command *command)
{
	static const char usage[] = "usage: repstore ";
	char title[160];
	snprintf(title, sizeof title, "repstore %s: %s\n", command->name, command->summary);
	wrap_print(stdout, title, 0, 0);
	printf("\n%s", usage);
	wrap_print(stdout, command->usage, strlen(usage), CONTINUED);
	if (command->help[0] != '\0') {
		putchar('\n');
		wrap_print(stdout, command->help, 0, 0);
	}
}

/* Prints the words that may follow a command and its verb: commands, verbs, options. The tables that
 * read them print them, so none is forgotten. */
static int list_words(const struct session *session, const struct rest *given)
{
	if (given->count == 0) {
		for (size_t i = 0; session->commands[i] != NULL; i++) {
			puts(session->commands[i]->name);
		}
		return session_finish(session, EXIT_DONE);
	}
	const struct command *command = command_find(session->commands, given->values[0]);
	if (command == NULL) {
		return command_refuse(session, given->values[0]);
	}
	struct session listing = *session;
	listing.words = true;
	listing.command = command;
	const int status = command->run(&listing, given->count, given->values);
	return session_finish(session, status == EXIT_LISTED ? EXIT_DONE : status);
}

static int run(struct session *session, int argc, char **argv)
{
	struct rest rest;
	bool words = false;
	const struct option_row rows[] = {{"words", OPTION_FLAG, &words}};
	int status = options_read(session, rows, 1, argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (words) {
		return list_words(session, &rest);
	}
	if (rest.count == 0) {
		print_all(session->commands);
		return session_finish(session, EXIT_DONE);
	}
	const struct command *command = command_find(session->commands, rest.values[0]);
	if (command == NULL) {
		return command_refuse(session, rest.values[0]);
	}
	print_one(command);
	return session_finish(session, EXIT_DONE);
}

const struct command cmd_help = {
	.name = "help",
	.summary = "says how a command is used",
	.usage = "[-s ADDRESS] [--local DIR] [--json] [--timeout TIME] COMMAND ...\n"
		 "       repstore help [COMMAND]\n"
		 "       repstore help --words [COMMAND [VERB]]\n",
	.help = "  --words    what may follow, a word a line; completion of shells asks for it\n",
	.run = run,
};
