/* cmd_layer.c - repstore layer: which layers a release has, and which one is served. */
#include "tools/command.h"
#include "tools/options.h"
#include "tools/text.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- list ---- */

static void print_list(struct wire_value result)
{
	static const char *const heads[] = {"LAYER", "CHOSEN", "DIM", "VIEWS", "TABLES"};
	struct text_table table = {.columns = sizeof heads / sizeof heads[0]};
	const struct wire_value list = wire_get(result, "layers");
	for (size_t i = 0; i < table.columns; i++) {
		text_cell(&table, "%s", heads[i]);
	}
	for (size_t i = 0; i < wire_size(list); i++) {
		const struct wire_value each = wire_item(list, i);
		const struct wire_value tables = wire_get(each, "tables");
		char text[80];
		char names[512];
		size_t len = 0;
		bool chosen = false;
		names[0] = '\0';
		for (size_t j = 0; j < wire_size(tables) && len < sizeof names; j++) {
			struct wire_bytes name = {0};
			(void)wire_str(wire_item(tables, j), &name);
			len += (size_t)snprintf(names + len, sizeof names - len, "%s%.*s",
				j > 0 ? " " : "", (int)name.len, (const char *)name.data);
		}
		(void)wire_bool(wire_get(each, "chosen"), &chosen);
		text_cell(&table, "%s", text_str_of(each, "layer", text, sizeof text));
		text_cell(&table, "%s", chosen ? "yes" : "no");
		text_cell(&table, "%" PRIu64, text_uint_of(each, "dim"));
		text_cell(&table, "%" PRIu64, text_uint_of(each, "views"));
		text_cell(&table, "%s", names);
	}
	text_print(&table);
}

static int run_list(struct session *session, int argc, char **argv)
{
	struct rest rest;
	struct answer answer = {0};
	const int status = options_read(session, NULL, 0, argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count > 1) {
		return session_usage(session, "'%s': not expected", rest.values[1]);
	}
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	struct wire_writer params = {0};
	wire_write_map(&params, rest.count > 0 ? 1 : 0);
	if (rest.count > 0) {
		wire_write_str(&params, "release");
		wire_write_str(&params, rest.values[0]);
	}
	if (!session_call(session, "layer.list", &params, &answer)) {
		return EXIT_REFUSED;
	}
	return session_print(session, &answer, print_list);
}

/* ---- choose ---- */

static void print_chosen(struct wire_value result)
{
	char release[80];
	char layer[80];
	char previous[80];
	text_str_of(result, "previous", previous, sizeof previous);
	printf("layer %s of %s is served", text_str_of(result, "layer", layer, sizeof layer),
		text_str_of(result, "release", release, sizeof release));
	printf(previous[0] != '\0' ? "; before it was %s\n" : "%s\n", previous);
}

static int run_choose(struct session *session, int argc, char **argv)
{
	const char *release = "live";
	const struct option_row rows[] = {{"release", OPTION_TEXT, &release}};
	struct rest rest;
	struct answer answer = {0};
	const int status = options_read(session, rows, 1, argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count != 1) {
		return session_usage(session, "layer choose: one LAYER");
	}
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	struct wire_writer params = {0};
	wire_write_map(&params, 2);
	wire_write_str(&params, "release");
	wire_write_str(&params, release);
	wire_write_str(&params, "layer");
	wire_write_str(&params, rest.values[0]);
	if (!session_call(session, "layer.choose", &params, &answer)) {
		return EXIT_REFUSED;
	}
	return session_print(session, &answer, print_chosen);
}

static const struct verb verbs[] = {
	{"list", run_list},
	{"choose", run_choose},
};

static int run(struct session *session, int argc, char **argv)
{
	return command_run_verb(session, verbs, sizeof verbs / sizeof verbs[0], argc, argv);
}

const struct command cmd_layer = {
	.name = "layer",
	.summary = "extraction layers of a release: which there are, which is served",
	.usage = "layer list [RELEASE]\n"
		 "       repstore layer choose LAYER [--release ID]\n",
	.help = "Tables of kind cr are named NAME@LAYER. A NAME alone, wherever a table is named, is\n"
		"that of the chosen layer: choosing another one changes what is served for users and\n"
		"items at once. The first layer of a release is chosen until another is.\n",
	.run = run,
};
