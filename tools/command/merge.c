/* merge.c - repstore merge: written rows into the files of their tables, now. */
#include "tools/command/command.h"
#include "tools/command/options.h"
#include "tools/format/text.h"

#include <inttypes.h>
#include <stdio.h>

static void print_merged(struct wire_value result)
{
	char size[TEXT_BYTES];
	char duration[TEXT_BYTES];
	printf("merged: %" PRIu64 " tables, %" PRIu64 " rows, %s, in %s\n",
		text_uint_of(result, "tables"), text_uint_of(result, "rows"),
		text_size(text_uint_of(result, "bytes"), size),
		text_duration(text_uint_of(result, "elapsed_ms"), duration));
}

static int run(struct session *session, int argc, char **argv)
{
	bool full = false;
	const struct option_row rows[] = {{"full", OPTION_FLAG, &full}};
	struct rest rest;
	struct answer answer = {0};
	int status = options_read(session, rows, 1, argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count > 0) {
		return session_usage(session, "'%s': not expected", rest.values[0]);
	}
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	/* A merge takes as long as the work takes: without --timeout it waits without end. */
	if (session->timeout_ms == 0) {
		rep_set_timeout(session->client, 0);
	}
	struct wire_writer params = {0};
	if (full) {
		wire_write_map(&params, 1);
		wire_write_str(&params, "full");
		wire_write_bool(&params, true);
	}
	if (!session_call(session, "merge", full ? &params : NULL, &answer)) {
		return EXIT_REFUSED;
	}
	return session_print(session, &answer, print_merged);
}

const struct command cmd_merge = {
	.name = "merge",
	.summary = "writes what was put and deleted into files, now",
	.usage = "merge [--full]\n",
	.help = "Waits until all that was put and deleted before is in files. Of a large table only what changed is\n"
		"written, as a delta above its base.\n"
		"  --full   tables with deltas, and those that were written to, become one base again\n",
	.run = run,
};
