/* help.c - repstore help: lists the commands, and says how one is used. */
#include "tools/command/command.h"
#include "tools/command/options.h"

#include <stdio.h>

static void print_all(const struct command *const *commands)
{
	fputs("usage: repstore [-s ADDRESS] [--json] [--timeout TIME] COMMAND ...\n\n", stdout);
	for (size_t i = 0; commands[i] != NULL; i++) {
		printf("  %-9s %s\n", commands[i]->name, commands[i]->summary);
	}
	fputs("\n"
	      "The daemon is found by -s ADDRESS, then $REPSTORE, then\n"
	      "/run/repstore/repstore.sock. An address is unix:PATH, tcp:HOST:PORT or a path.\n"
	      "--json answers with one JSON document a line, --timeout (30s) bounds each request.\n"
	      "Exit status: 0 done, 1 the daemon or the input said no, 2 wrong usage.\n"
	      "`repstore help COMMAND` says more.\n",
		stdout);
}

static int run(struct session *session, int argc, char **argv)
{
	struct rest rest;
	int status = options_read(session, NULL, 0, argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count == 0) {
		print_all(session->commands);
		return session_finish(session, EXIT_DONE);
	}
	const struct command *command = command_find(session->commands, rest.values[0]);
	if (command == NULL) {
		return session_usage(session, "no command '%s'", rest.values[0]);
	}
	printf("repstore %s: %s\n\nusage: repstore %s", command->name, command->summary,
		command->usage);
	if (command->help[0] != '\0') {
		printf("\n%s", command->help);
	}
	return session_finish(session, EXIT_DONE);
}

const struct command cmd_help = {
	.name = "help",
	.summary = "says how a command is used",
	.usage = "[-s ADDRESS] [--json] [--timeout TIME] COMMAND ...\n"
		 "       repstore help [COMMAND]\n",
	.help = "",
	.run = run,
};
