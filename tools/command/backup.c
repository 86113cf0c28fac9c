/* backup.c - repstore backup: the whole store into a folder, while it works. */
#include "tools/command/command.h"
#include "tools/command/options.h"
#include "tools/command/watch.h"
#include "tools/format/text.h"

#include <inttypes.h>
#include <stdio.h>

static const struct watch_subject backup = {
	.what = "backup",
	.method = "stats",
	.figures = "backup",
	.total = "bytes",
	.unit = PROGRESS_BYTES,
};

static void print_made(struct wire_value result)
{
	char size[TEXT_BYTES];
	char written[TEXT_BYTES];
	char linked[TEXT_BYTES];
	char kept[TEXT_BYTES];
	char duration[TEXT_BYTES];
	printf("backed up up to write %" PRIu64 ": %" PRIu64 " files, %s, in %s\n",
		text_uint_of(result, "sequence"), text_uint_of(result, "files"),
		text_size(text_uint_of(result, "bytes"), size),
		text_duration(text_uint_of(result, "elapsed_ms"), duration));
	printf("%s copied, %s linked, %s were there\n",
		text_size(text_uint_of(result, "written"), written),
		text_size(text_uint_of(result, "linked"), linked),
		text_size(text_uint_of(result, "kept"), kept));
}

static int run(struct session *session, int argc, char **argv)
{
	bool copy = false;
	const struct option_row rows[] = {{"copy", OPTION_FLAG, &copy}};
	struct rest rest;
	const int status = options_read(session, rows, 1, argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count != 1) {
		return session_usage(session, "backup: one folder");
	}
	struct wire_writer params = {0};
	wire_write_map(&params, 2);
	wire_write_str(&params, "dir");
	wire_write_str(&params, rest.values[0]);
	wire_write_str(&params, "copy");
	wire_write_bool(&params, copy);
	return watch_call(session, &backup, "backup", &params,
		&(struct watch_answer){.print = print_made});
}

const struct command cmd_backup = {
	.name = "backup",
	.summary = "copies the whole store into a folder, while it works",
	.usage = "backup DIR [--copy]\n",
	.help = "DIR lies below the daemon's setting backup_folder. It is new, empty, or an earlier backup: of\n"
		"that, files that did not change are kept. Files that never change become links to those of\n"
		"the store if DIR is on the same file system, else copies.\n"
		"  --copy   no file is a link: DIR does not share the fate of the store's disk\n"
		"To restore, copy DIR and start a daemon on the copy (repstored --data).\n",
	.run = run,
};
