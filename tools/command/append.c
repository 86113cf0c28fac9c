/* append.c - repstore append: vectors from NumPy arrays into a table of histories. */
#include "tools/command/command.h"
#include "tools/command/options.h"
#include "tools/command/sample_files.h"
#include "tools/command/table_argument.h"

#include <stdio.h>

/* The release stays the same, if another is published meanwhile, and so does the table that a name
 * without @LAYER means. */
static int append_files(struct session *session, struct sample_files *append)
{
	struct rep_release release;
	struct rep_table table;
	struct rep_error err;
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	if (rep_release_show(session->client, append->release, &release, &err) != REP_OK ||
		rep_table_show(session->client, release.id, append->layer, &table, &err) !=
			REP_OK) {
		return session_refuse(session, &err);
	}
	snprintf(append->release_id, sizeof append->release_id, "%s", release.id);
	append->spec = table.spec;
	append->layer = append->spec.name;
	append->user_key = table.spec.key_type;
	append->spec.history = 0; /* what is sent are single vectors */
	if (table.spec.history == 0) {
		return session_refuse_text(session, STATUS_BAD_REQUEST,
			"table '%s' has no histories; `repstore %s` is for it", table.spec.name,
			table.spec.kind == REP_CR ? "observe" : "put");
	}
	return sample_files_send(session, append);
}

static int run(struct session *session, int argc, char **argv)
{
	struct sample_files append = {.appends = true,
		.position = sample_files_no_position,
		.batch = SAMPLE_FILES_BATCH};
	const struct option_row rows[] = {
		{"release", OPTION_TEXT, &append.release},
		{"keys", OPTION_TEXT, &append.users},
		{"times", OPTION_TEXT, &append.times},
		{"time-unit", OPTION_TIME_UNIT, &append.time.unit},
		{"any-time", OPTION_FLAG, &append.time.any},
		{"rows", OPTION_TEXT, &append.rows},
		{"scales", OPTION_TEXT, &append.scales},
		{"source", OPTION_TEXT, &append.source},
		{"position", OPTION_COUNT, &append.position},
		{"first", OPTION_FLAG, &append.first},
		{"batch", OPTION_COUNT, &append.batch},
	};
	struct rest rest;
	struct place place;
	int status = options_read(session, rows, sizeof rows / sizeof rows[0], argc, argv, &rest);
	if (status == EXIT_DONE && rest.count != 1) {
		status = session_usage(session, "append: one TABLE");
	}
	if (status == EXIT_DONE) {
		status = table_argument_read(session, rest.values[0], append.release, &place);
	}
	if (status == EXIT_DONE) {
		append.release = place.release;
		append.layer = place.table;
		status = sample_files_check(session, &append);
	}
	return status != EXIT_DONE ? status : append_files(session, &append);
}

const struct command cmd_append = {
	.name = "append",
	.summary = "vectors into the histories of a table",
	.usage = "append [RELEASE/]TABLE --keys K.npy --times T.npy --rows R.npy\n"
		 "         [--time-unit ms|s|us|ns] [--any-time] [--scales S.npy]\n"
		 "         [--release ID] [--batch N]\n"
		 "         [--source NAME [--position P] [--first]]\n",
	.help = "  --keys     whose history each vector goes into\n"
		"  --rows     the vectors: [n, dim], or [n, views x dim]\n"
		"The other options are those of observe. Each vector finds its place by its time among\n"
		"the newest of its key; what is older than all places of a full history falls off.\n"
		"Without --source the same command again adds them once more.\n",
	.run = run,
};
