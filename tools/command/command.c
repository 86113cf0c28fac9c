/* command.c - finds a command in the table, and the verb behind a command's name. */
#include "tools/command/command.h"

#include "tools/command/suggestion.h"

#include <stdio.h>
#include <string.h>

enum { COMMANDS_MAX = 32, VERBS_MAX = 16 };

const struct command *command_find(const struct command *const *commands, const char *name)
{
	for (size_t i = 0; commands[i] != NULL; i++) {
		if (strcmp(commands[i]->name, name) == 0) {
			return commands[i];
		}
	}
	return NULL;
}

int command_refuse(const struct session *session, const char *name)
{
	const char *names[COMMANDS_MAX];
	size_t count = 0;
	while (session->commands[count] != NULL && count < COMMANDS_MAX) {
		names[count] = session->commands[count]->name;
		count++;
	}
	const char *near = suggestion_of(name, names, count);
	return session_usage(session, "no command '%s'; %s%s%s`repstore help` lists them", name,
		near != NULL ? "did you mean '" : "", near != NULL ? near : "",
		near != NULL ? "'? " : "");
}

int command_run_verb(struct session *session, const struct verb *verbs, size_t count, int argc,
	char **argv)
{
	if (session->words && argc < 2) {
		for (size_t i = 0; i < count; i++) {
			puts(verbs[i].name);
		}
		return EXIT_LISTED;
	}
	if (argc < 2) {
		return session_usage(session, "%s: what?", session->command->name);
	}
	for (size_t i = 0; i < count; i++) {
		if (strcmp(verbs[i].name, argv[1]) == 0) {
			return verbs[i].run(session, argc - 1, argv + 1);
		}
	}
	const char *names[VERBS_MAX];
	for (size_t i = 0; i < count && i < VERBS_MAX; i++) {
		names[i] = verbs[i].name;
	}
	const char *near = suggestion_of(argv[1], names, count < VERBS_MAX ? count : VERBS_MAX);
	return session_usage(session, "%s: no such thing as '%s'%s%s%s", session->command->name,
		argv[1], near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
		near != NULL ? "'?" : "");
}
