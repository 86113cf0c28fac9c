/* merge.c - repstore merge: written rows into the files of their tables, now. */
#include "tools/command/command.h"
#include "tools/command/options.h"
#include "tools/command/table_argument.h"
#include "tools/format/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_merged(struct wire_value result)
{
	char size[TEXT_BYTES];
	char duration[TEXT_BYTES];
	printf("merged: %" PRIu64 " tables, %" PRIu64 " rows, %s, in %s\n",
		text_uint_of(result, "tables"), text_uint_of(result, "rows"),
		text_size(text_uint_of(result, "bytes"), size),
		text_duration(text_uint_of(result, "elapsed_ms"), duration));
}

/* What is asked. */
struct wanted {
	bool full;
	const char *release; /* NULL: --release is not given */
	size_t count;
	struct place *tables;
};

/* Reads TABLE ..., which are of one release. */
static int read_tables(const struct session *session, const struct rest *rest,
	struct wanted *wanted)
{
	for (int i = 0; i < rest->count; i++) {
		const int status = table_argument_read(session, rest->values[i], wanted->release,
			&wanted->tables[i]);
		if (status != EXIT_DONE) {
			return status;
		}
		if (strcmp(wanted->tables[i].release, wanted->tables[0].release) != 0) {
			return session_usage(session,
				"'%s': of another release than '%s'; one release at a time",
				rest->values[i], rest->values[0]);
		}
		wanted->count++;
	}
	return EXIT_DONE;
}

static void write_params(struct wire_writer *params, const struct wanted *wanted)
{
	const char *release = wanted->count > 0 ? wanted->tables[0].release : wanted->release;
	wire_write_map(params, (size_t)wanted->full + (release != NULL) + (wanted->count > 0));
	if (wanted->full) {
		wire_write_str(params, "full");
		wire_write_bool(params, true);
	}
	if (release != NULL) {
		wire_write_str(params, "release");
		wire_write_str(params, release);
	}
	if (wanted->count > 0) {
		wire_write_str(params, "tables");
		wire_write_array(params, wanted->count);
		for (size_t i = 0; i < wanted->count; i++) {
			wire_write_str(params, wanted->tables[i].table);
		}
	}
}

static int merge(struct session *session, const struct wanted *wanted)
{
	struct answer answer = {0};
	struct wire_writer params = {0};
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	/* A merge takes as long as the work takes: without --timeout it waits without end. */
	if (session->timeout_ms == 0) {
		rep_set_timeout(session->client, 0);
	}
	const bool has_params = wanted->full || wanted->release != NULL || wanted->count > 0;
	if (has_params) {
		write_params(&params, wanted);
	}
	if (!session_call(session, "merge", has_params ? &params : NULL, &answer)) {
		return EXIT_REFUSED;
	}
	return session_print(session, &answer, print_merged);
}

static int run(struct session *session, int argc, char **argv)
{
	struct wanted wanted = {0};
	const struct option_row rows[] = {
		{"full", OPTION_FLAG, &wanted.full},
		{"release", OPTION_TEXT, &wanted.release},
	};
	struct rest rest;
	int status = options_read(session, rows, sizeof rows / sizeof rows[0], argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	wanted.tables = calloc((size_t)rest.count + 1, sizeof *wanted.tables);
	if (wanted.tables == NULL) {
		return session_usage(session, "%d tables: no memory", rest.count);
	}
	status = read_tables(session, &rest, &wanted);
	if (status == EXIT_DONE) {
		status = merge(session, &wanted);
	}
	free(wanted.tables);
	return status;
}

const struct command cmd_merge = {
	.name = "merge",
	.summary = "writes what was put and deleted into files, now",
	.usage = "merge [TABLE ...] [--release ID] [--full]\n",
	.help = "Waits until all that was put and deleted before is in files. Of a large table only what changed is\n"
		"written, as a delta above its base. Named tables, or all of --release, alone: the others stay as\n"
		"they are.\n"
		"  --release  of which release the tables are (live)\n"
		"  --full     tables with deltas, and those that were written to, become one base again\n",
	.run = run,
};
