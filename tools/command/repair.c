/* repair.c - repstore repair: damaged ranges of a table anew, without what cannot be read. */
#include "tools/command/command.h"
#include "tools/command/options.h"
#include "tools/command/table_argument.h"
#include "tools/format/text.h"

#include <inttypes.h>
#include <stdio.h>

static void print_range(struct wire_value range)
{
	char first[20];
	char last[20];
	const struct wire_value files = wire_get(range, "files");
	const uint64_t lost = text_uint_of(range, "lost");
	const uint64_t given_up = text_uint_of(range, "given_up");
	const uint64_t unreadable = text_uint_of(range, "unreadable");
	printf("hashes %s to %s: %" PRIu64 " rows kept, %" PRIu64,
		text_str_of(range, "first", first, sizeof first),
		text_str_of(range, "last", last, sizeof last), text_uint_of(range, "kept"), lost);
	if (given_up + unreadable > 0) {
		printf(" to %" PRIu64, lost + given_up + unreadable);
	}
	printf(" lost\n");
	for (size_t i = 0; i < wire_size(files); i++) {
		struct wire_bytes text;
		if (wire_str(wire_item(files, i), &text)) {
			printf("  damaged: %.*s\n", (int)text.len, (const char *)text.data);
		}
	}
	printf("  keys whose row cannot be read: %" PRIu64 "\n", lost);
	printf("  keys given up, since a newer row that cannot be read may have replaced theirs: %" PRIu64
	       "\n",
		given_up);
	printf("  rows whose key cannot be read: %" PRIu64 "\n", unreadable);
	if (text_uint_of(range, "partial") > 0) {
		printf("  rows kept without their time, tags or low parts, which are 0: %" PRIu64
		       "\n",
			text_uint_of(range, "partial"));
	}
}

static void print_repaired(struct wire_value result)
{
	char table[160];
	char release[80];
	char duration[TEXT_BYTES];
	bool dry_run = false;
	bool needs_start = false;
	const struct wire_value ranges = wire_get(result, "ranges");
	const size_t count = wire_size(ranges);
	(void)wire_bool(wire_get(result, "dry_run"), &dry_run);
	(void)wire_bool(wire_get(result, "needs_start"), &needs_start);
	for (size_t i = 0; i < count; i++) {
		print_range(wire_item(ranges, i));
	}
	printf("'%s' of release '%s': ", text_str_of(result, "table", table, sizeof table),
		text_str_of(result, "release", release, sizeof release));
	if (count == 0) {
		printf("nothing is damaged, nothing was changed\n");
	} else {
		printf("%zu %s %s, in %s\n", count, count == 1 ? "range" : "ranges",
			dry_run ? "to repair, nothing was changed" : "repaired",
			text_duration(text_uint_of(result, "elapsed_ms"), duration));
	}
	if (needs_start) {
		printf("the log has samples that could not be added to what was damaged: they are when repstored\n"
		       "is started again, and until then the table is not merged\n");
	}
}

static int repair(struct session *session, const struct place *place, bool dry_run)
{
	struct wire_writer params = {0};
	struct answer answer = {0};
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	/* It takes as long as the work takes: without --timeout it waits without end. */
	if (session->timeout_ms == 0) {
		rep_set_timeout(session->client, 0);
	}
	wire_write_map(&params, 2 + (size_t)dry_run);
	wire_write_str(&params, "release");
	wire_write_str(&params, place->release);
	wire_write_str(&params, "table");
	wire_write_str(&params, place->table);
	if (dry_run) {
		wire_write_str(&params, "dry_run");
		wire_write_bool(&params, true);
	}
	return session_call(session, "repair", &params, &answer)
		       ? session_print(session, &answer, print_repaired)
		       : EXIT_REFUSED;
}

static int run(struct session *session, int argc, char **argv)
{
	bool dry_run = false;
	const char *release = NULL;
	const struct option_row rows[] = {
		{"release", OPTION_TEXT, &release},
		{"dry-run", OPTION_FLAG, &dry_run},
	};
	struct rest rest;
	struct place place;
	int status = options_read(session, rows, sizeof rows / sizeof rows[0], argc, argv, &rest);
	if (status == EXIT_DONE && rest.count != 1) {
		status = session_usage(session, "repair: one TABLE is expected");
	}
	if (status == EXIT_DONE) {
		status = table_argument_read(session, rest.values[0], release, &place);
	}
	return status == EXIT_DONE ? repair(session, &place, dry_run) : status;
}

const struct command cmd_repair = {
	.name = "repair",
	.summary = "writes damaged ranges of a table anew, without what cannot be read",
	.usage = "repair TABLE [--release ID] [--dry-run]\n",
	.help = "Of each range of hashes that has a damaged page it says how many rows were kept, how many were\n"
		"lost, and which files were damaged. Keys that were lost are absent from then on, and the range\n"
		"takes writes and merges again. An older row is never served in the place of a lost one.\n"
		"  --release  of which release the table is (live)\n"
		"  --dry-run  only says it, and changes nothing\n",
	.run = run,
};
