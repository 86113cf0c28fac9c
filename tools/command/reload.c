/* reload.c - repstore reload: the daemon reads its settings anew, and says which it has taken over. */
#include "tools/command/command.h"
#include "tools/command/options.h"
#include "tools/format/text.h"

#include <stdio.h>

enum { CONFIG_BYTES = 1100 };

static void print_settings(struct wire_value result, const char *name, const char *what)
{
	const struct wire_value list = wire_get(result, name);
	for (size_t i = 0; i < wire_size(list); i++) {
		struct wire_bytes text = {0};
		(void)wire_str(wire_item(list, i), &text);
		printf("%.*s: %s\n", (int)text.len, (const char *)text.data, what);
	}
}

static void print(struct wire_value result)
{
	char config[CONFIG_BYTES];
	const char *file = text_str_of(result, "config", config, sizeof config);
	print_settings(result, "changed", "changed");
	print_settings(result, "kept", "differs; a restart takes it over");
	printf("the settings hold: %s\n", file[0] != '\0' ? file : "no file");
}

static int run(struct session *session, int argc, char **argv)
{
	struct rest rest;
	struct answer answer = {0};
	const int status = options_read(session, NULL, 0, argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count > 0) {
		return session_usage(session, "'%s': not expected", rest.values[0]);
	}
	if (!session_connect(session) || !session_call(session, "reload", NULL, &answer)) {
		return EXIT_REFUSED;
	}
	return session_print(session, &answer, print);
}

const struct command cmd_reload = {
	.name = "reload",
	.summary = "the daemon reads its settings anew",
	.usage = "reload\n",
	.help = "As SIGHUP, for an admin: what may change while the daemon runs is in force when it\n"
		"returns, and each setting that differs is named. Settings with a mistake change\n"
		"nothing; the error has their file and line.\n",
	.run = run,
};
