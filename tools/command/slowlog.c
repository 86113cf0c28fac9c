/* slowlog.c - repstore slowlog: the requests that took longer than the daemon's slow_threshold. */
#include "tools/command/command.h"
#include "tools/command/options.h"
#include "tools/format/text.h"

#include <inttypes.h>
#include <stdio.h>

enum { ENTRIES_MAX = 256, NAME_BYTES = 256 };

/* What the request was about: its release and its tables, or its layer. */
static void cell_of_subject(struct text_table *table, struct wire_value entry)
{
	char release[NAME_BYTES] = "";
	char name[NAME_BYTES] = "";
	const bool has_tables = wire_type(wire_get(entry, "tables")) != WIRE_ABSENT;
	text_str_of(entry, "release", release, sizeof release);
	text_str_of(entry, has_tables ? "tables" : "layer", name, sizeof name);
	if (release[0] == '\0' && name[0] == '\0') {
		text_cell(table, "-");
	} else {
		text_cell(table, "%s%s%s", release,
			release[0] != '\0' && name[0] != '\0' ? "/" : "", name);
	}
}

static void cell_of_text(struct text_table *table, struct wire_value entry, const char *name)
{
	char text[NAME_BYTES] = "";
	text_str_of(entry, name, text, sizeof text);
	text_cell(table, "%s", text[0] != '\0' ? text : "-");
}

static void print_entries(struct wire_value result)
{
	static const char *const heads[] = {"ID", "TIME", "MS", "QUEUED", "WORK", "METHOD", "CODE",
		"RELEASE/TABLES", "KEYS", "BYTES IN", "OUT", "PEER", "CLIENT", "TRACE"};
	static const char *const spans[] = {"us", "queued_us", "work_us"};
	struct text_table table = {.columns = sizeof heads / sizeof heads[0]};
	const struct wire_value list = wire_get(result, "entries");
	printf("%" PRIu64 " requests took longer than %" PRIu64 " ms, %.3f s together\n",
		text_uint_of(result, "count"), text_uint_of(result, "threshold_ms"),
		(double)text_uint_of(result, "us") / 1e6);
	for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
		text_cell(&table, "%s", heads[i]);
	}
	for (size_t i = 0; i < wire_size(list); i++) {
		const struct wire_value entry = wire_item(list, i);
		char when[TEXT_BYTES];
		int64_t time_ms = 0;
		(void)wire_int(wire_get(entry, "time_ms"), &time_ms);
		text_cell(&table, "%" PRIu64, text_uint_of(entry, "id"));
		text_cell(&table, "%s", text_time(time_ms, when));
		for (size_t j = 0; j < sizeof spans / sizeof spans[0]; j++) {
			text_cell(&table, "%.3f", (double)text_uint_of(entry, spans[j]) / 1e3);
		}
		cell_of_text(&table, entry, "method");
		cell_of_text(&table, entry, "code");
		cell_of_subject(&table, entry);
		text_cell(&table, "%" PRIu64, text_uint_of(entry, "keys"));
		text_cell(&table, "%" PRIu64, text_uint_of(entry, "bytes_in"));
		text_cell(&table, "%" PRIu64, text_uint_of(entry, "bytes_out"));
		cell_of_text(&table, entry, "peer");
		cell_of_text(&table, entry, "client");
		cell_of_text(&table, entry, "trace");
	}
	text_print(&table);
}

static int run(struct session *session, int argc, char **argv)
{
	uint64_t n = 10;
	bool reset = false;
	const struct option_row rows[] = {
		{"n", OPTION_COUNT, &n},
		{"reset", OPTION_FLAG, &reset},
	};
	struct rest rest;
	int status = options_read(session, rows, sizeof rows / sizeof rows[0], argc, argv, &rest);
	if (status == EXIT_DONE && rest.count > 0) {
		status = session_usage(session, "'%s': not expected", rest.values[0]);
	}
	if (status == EXIT_DONE && (n == 0 || n > ENTRIES_MAX)) {
		status = session_usage(session, "-n: %" PRIu64 " given, 1 to %d allowed", n,
			ENTRIES_MAX);
	}
	if (status != EXIT_DONE) {
		return status;
	}
	struct wire_writer params = {0};
	struct answer answer = {0};
	wire_write_map(&params, 2);
	wire_write_str(&params, "n");
	wire_write_uint(&params, n);
	wire_write_str(&params, "reset");
	wire_write_bool(&params, reset);
	if (!session_connect(session)) {
		wire_writer_fini(&params);
		return EXIT_REFUSED;
	}
	return session_call(session, "slowlog", &params, &answer)
		       ? session_print(session, &answer, print_entries)
		       : EXIT_REFUSED;
}

const struct command cmd_slowlog = {
	.name = "slowlog",
	.summary = "the requests that took longer than the setting slow_threshold",
	.usage = "slowlog [-n N] [--reset]\n",
	.help = "The newest first, times in ms: from the last byte of a request to its answer; of it,\n"
		"how long it waited for a thread, and ran. The rest it waited for the disk, or for\n"
		"its loop. The daemon keeps the last 256. CLIENT is the name that a client gives\n"
		"itself, TRACE what it says that the request belongs to. Neither keys nor rows are\n"
		"kept.\n"
		"  -n       so many, up to 256 (10)\n"
		"  --reset  shows them for the last time; the counts go on\n",
	.run = run,
};
