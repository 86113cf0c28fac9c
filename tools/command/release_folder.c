/* release_folder.c - repstore release export and adopt: one release into a folder, and from one. */
#include "tools/command/release_folder.h"

#include "tools/command/options.h"
#include "tools/command/watch.h"
#include "tools/format/text.h"

#include <inttypes.h>
#include <stdio.h>

static const struct watch_subject exporting = {
	.what = "export",
	.method = "stats",
	.figures = "backup",
	.total = "bytes",
	.unit = PROGRESS_BYTES,
};

static void print_exported(struct wire_value result)
{
	char id[80];
	char size[TEXT_BYTES];
	char duration[TEXT_BYTES];
	printf("exported %s: %" PRIu64 " files, %s, in %s\n",
		text_str_of(result, "release", id, sizeof id), text_uint_of(result, "files"),
		text_size(text_uint_of(result, "bytes"), size),
		text_duration(text_uint_of(result, "elapsed_ms"), duration));
}

int release_folder_export(struct session *session, int argc, char **argv)
{
	bool copy = false;
	const struct option_row rows[] = {{"copy", OPTION_FLAG, &copy}};
	struct rest rest;
	const int status = options_read(session, rows, 1, argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count != 2) {
		return session_usage(session, "release export: an id and a folder");
	}
	struct wire_writer params = {0};
	wire_write_map(&params, 3);
	wire_write_str(&params, "release");
	wire_write_str(&params, rest.values[0]);
	wire_write_str(&params, "dir");
	wire_write_str(&params, rest.values[1]);
	wire_write_str(&params, "copy");
	wire_write_bool(&params, copy);
	return watch_call(session, &exporting, "release.export", &params,
		&(struct watch_answer){.print = print_exported});
}

static void print_adopted(struct wire_value result)
{
	char id[80];
	char size[TEXT_BYTES];
	char duration[TEXT_BYTES];
	printf("adopted %s as number %" PRIu64 ": %" PRIu64 " tables, %" PRIu64
	       " rows, %s, in %s; publish makes it live\n",
		text_str_of(result, "release", id, sizeof id), text_uint_of(result, "number"),
		text_uint_of(result, "tables"), text_uint_of(result, "rows"),
		text_size(text_uint_of(result, "bytes"), size),
		text_duration(text_uint_of(result, "elapsed_ms"), duration));
}

int release_folder_adopt(struct session *session, int argc, char **argv)
{
	const char *id = NULL;
	const struct option_row rows[] = {{"as", OPTION_TEXT, &id}};
	struct rest rest;
	const int status = options_read(session, rows, 1, argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count != 1) {
		return session_usage(session, "release adopt: one folder");
	}
	struct wire_writer params = {0};
	wire_write_map(&params, 1 + (size_t)(id != NULL));
	wire_write_str(&params, "dir");
	wire_write_str(&params, rest.values[0]);
	if (id != NULL) {
		wire_write_str(&params, "release");
		wire_write_str(&params, id);
	}
	return watch_call(session, NULL, "release.adopt", &params,
		&(struct watch_answer){.print = print_adopted});
}
