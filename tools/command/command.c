/* command.c - finds a command in the table, and the verb behind a command's name. */
#include "tools/command/command.h"

#include <string.h>

const struct command *command_find(const struct command *const *commands, const char *name)
{
	for (size_t i = 0; commands[i] != NULL; i++) {
		if (strcmp(commands[i]->name, name) == 0) {
			return commands[i];
		}
	}
	return NULL;
}

int command_run_verb(struct session *session, const struct verb *verbs, size_t count, int argc,
	char **argv)
{
	if (argc < 2) {
		return session_usage(session, "%s: what?", session->command->name);
	}
	for (size_t i = 0; i < count; i++) {
		if (strcmp(verbs[i].name, argv[1]) == 0) {
			return verbs[i].run(session, argc - 1, argv + 1);
		}
	}
	return session_usage(session, "%s: no such thing as '%s'", session->command->name, argv[1]);
}
