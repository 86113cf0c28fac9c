/* positions.c - repstore positions: how far each source of samples is counted. */
#include "tools/command/command.h"
#include "tools/command/options.h"
#include "tools/format/text.h"

#include <inttypes.h>

static void print_positions(struct wire_value result)
{
	static const char *const heads[] = {"LAYER", "SOURCE", "NEXT"};
	struct text_table table = {.columns = sizeof heads / sizeof heads[0]};
	const struct wire_value list = wire_get(result, "positions");
	for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
		text_cell(&table, "%s", heads[i]);
	}
	for (size_t i = 0; i < wire_size(list); i++) {
		const struct wire_value each = wire_item(list, i);
		char layer[80] = "";
		char source[80] = "";
		text_cell(&table, "%s", text_str_of(each, "layer", layer, sizeof layer));
		text_cell(&table, "%s", text_str_of(each, "source", source, sizeof source));
		text_cell(&table, "%" PRIu64, text_uint_of(each, "next"));
	}
	text_print(&table);
}

static int run(struct session *session, int argc, char **argv)
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
	if (!session_call(session, "positions", &params, &answer)) {
		return EXIT_REFUSED;
	}
	return session_print(session, &answer, print_positions);
}

const struct command cmd_positions = {
	.name = "positions",
	.summary = "how far each source of samples is counted",
	.usage = "positions [RELEASE]\n",
	.help = "NEXT is the position of the source's next sample. What is shown is durable: a\n"
		"pipeline that begins there counts each sample once.\n",
	.run = run,
};
