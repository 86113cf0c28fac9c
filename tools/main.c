/* main.c - the repstore command: finds the subcommand and runs it. */
#include "config.h"
#include "tools/bench/bench_command.h"
#include "tools/command/command.h"
#include "tools/command/options.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* All commands, in the order of the help page; NULL ends them. */
static const struct command *const commands[] = {
	&cmd_release,
	&cmd_table,
	&cmd_tensor,
	&cmd_import,
	&cmd_dump,
	&cmd_fetch,
	&cmd_retrieve,
	&cmd_score,
	&cmd_put,
	&cmd_delete,
	&cmd_observe,
	&cmd_append,
	&cmd_positions,
	&cmd_layer,
	&cmd_merge,
	&cmd_backup,
	&cmd_verify,
	&cmd_repair,
	&cmd_stats,
	&cmd_top,
	&cmd_slowlog,
	&cmd_served,
	&cmd_latency,
	&cmd_info,
	&cmd_ping,
	&cmd_whoami,
	&cmd_access,
	&cmd_reload,
	&cmd_bench,
	&cmd_help,
	NULL,
};

/* Reads the options before the subcommand: those of every one, --help, --version.
 * first: out, the index of the subcommand's name; argc: there is none; -1: nothing is left to do.
 */
static int read_front(struct session *session, int argc, char **argv, int *first)
{
	int i = 1;
	while (i < argc && argv[i][0] == '-') {
		if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "-V") == 0) {
			argv[i] = (char *)(argv[i][1] == 'h' ? "--help" : "--version");
		}
		i += options_common_takes(argv[i]) ? 2 : 1;
	}
	*first = i < argc ? i : argc;
	bool help = false;
	bool version = false;
	const struct option_row rows[] = {{"help", OPTION_FLAG, &help},
		{"version", OPTION_FLAG, &version}};
	struct rest rest;
	int status = options_read(session, rows, sizeof rows / sizeof rows[0], *first, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (version) {
		puts("repstore " REPSTORE_VERSION);
	} else if (help) {
		char *none[] = {argv[0], NULL};
		cmd_help.run(session, 1, none);
	} else {
		return EXIT_DONE;
	}
	*first = -1;
	return session_finish(session, EXIT_DONE);
}

/* `repstore fetch --help` is `repstore help fetch`. */
static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			return true;
		}
	}
	return false;
}

/* The caller may have closed standard input or output. The next file or socket would get the free
 * number and be read or written as standard input or output. So /dev/null takes the number, opened
 * so that reading or writing it fails. */
static bool hold_standard_files(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		int flags = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", flags) != fd) {
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	struct session session = {.commands = commands, .command = &cmd_help};
	if (!hold_standard_files()) {
		return EXIT_REFUSED;
	}
	/* When the reader of a pipe leaves (`| head`), writing to stdout fails like on any other
	 * error. */
	signal(SIGPIPE, SIG_IGN);
	/* Also what is wrong before the option is read is told as JSON. */
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		session.json = session.json || strcmp(argv[i], "--json") == 0;
	}
	int first = 0;
	int status = read_front(&session, argc, argv, &first);
	if (status != EXIT_DONE || first < 0) {
		return status;
	}
	if (first == argc) {
		return session_usage(&session, "no command; `repstore help` lists them");
	}
	const struct command *command = command_find(commands, argv[first]);
	if (command == NULL) {
		return command_refuse(&session, argv[first]);
	}
	if (wants_help(argc - first, argv + first)) {
		char *help[] = {argv[0], argv[first], NULL};
		return cmd_help.run(&session, 2, help);
	}
	session.command = command;
	status = command->run(&session, argc - first, argv + first);
	session_close(&session);
	return status;
}
