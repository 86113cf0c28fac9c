/* command.h - the subcommands of repstore, one a file.
 *
 * A new one is a file <name>.c, a line here and one in the table of main.c. main.c hands that
 * table down (session->commands): no subcommand names main.c.
 */
#ifndef TOOLS_COMMAND_COMMAND_H
#define TOOLS_COMMAND_COMMAND_H

#include "tools/command/session.h"

extern const struct command cmd_access;
extern const struct command cmd_backup;
extern const struct command cmd_delete;
extern const struct command cmd_dump;
extern const struct command cmd_fetch;
extern const struct command cmd_retrieve;
extern const struct command cmd_score;
extern const struct command cmd_served;
extern const struct command cmd_help;
extern const struct command cmd_import;
extern const struct command cmd_info;
extern const struct command cmd_latency;
extern const struct command cmd_layer;
extern const struct command cmd_merge;
extern const struct command cmd_append;
extern const struct command cmd_observe;
extern const struct command cmd_ping;
extern const struct command cmd_positions;
extern const struct command cmd_put;
extern const struct command cmd_release;
extern const struct command cmd_reload;
extern const struct command cmd_repair;
extern const struct command cmd_slowlog;
extern const struct command cmd_stats;
extern const struct command cmd_table;
extern const struct command cmd_tensor;
extern const struct command cmd_top;
extern const struct command cmd_whoami;
extern const struct command cmd_verify;

/* The command of that name in a table that NULL ends. NULL: there is none. */
const struct command *command_find(const struct command *const *commands, const char *name);

/* Says that there is no such command, and which may be meant. Returns EXIT_USAGE. */
int command_refuse(const struct session *session, const char *name);

/* The word behind a subcommand's name: `list` in `release list`. */
struct verb {
	const char *name;
	int (*run)(struct session *session, int argc, char **argv);
};

/* Runs the verb that argv[1] names. The verb gets argv from there on. */
int command_run_verb(struct session *session, const struct verb *verbs, size_t count, int argc,
	char **argv);

#endif
