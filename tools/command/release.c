/* release.c - repstore release: begin, seal, publish, roll back and drop releases. */
#include "tools/command/command.h"
#include "tools/command/options.h"
#include "tools/command/release_argument.h"
#include "tools/command/release_folder.h"
#include "tools/command/watch.h"
#include "tools/format/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Writes an optional string of a request's map. */
static void write_text(struct wire_writer *writer, const char *name, const char *text)
{
	if (text != NULL) {
		wire_write_str(writer, name);
		wire_write_str(writer, text);
	}
}

static const struct watch_subject seal = {
	.what = "seal",
	.method = "release.show",
	.figures = "sealing",
	.total = "rows",
	.unit = PROGRESS_ROWS,
};

/* Calls a method for one release, or for none (NULL), and prints its answer. */
static int call_release(struct session *session, const char *method, const char *release,
	void (*print)(struct wire_value result))
{
	struct wire_writer params = {0};
	wire_write_map(&params, release != NULL);
	write_text(&params, "release", release);
	struct answer answer = {0};
	if (!session_connect(session)) {
		wire_writer_fini(&params);
		return EXIT_REFUSED;
	}
	struct watch *watch = NULL;
	/* They take as long as the work takes: without --timeout they wait without end. */
	if (session->timeout_ms == 0) {
		rep_set_timeout(session->client, 0);
	}
	if (strcmp(method, "release.seal") == 0) {
		watch = watch_begin(session, &seal, release);
	}
	struct rep_error err = {.status = (enum rep_status)params.status,
		.text = "the request could not be built"};
	const enum rep_status status =
		params.status != STATUS_OK ? err.status
					   : session_try(session, method, &params, &answer, &err);
	watch_end(watch); /* before anything is printed */
	wire_writer_fini(&params);
	return status == REP_OK ? session_print(session, &answer, print)
				: session_refuse(session, &err);
}

/* Reads the id of a release; least 0: it may be left out. */
static int read_id(struct session *session, int least, int argc, char **argv, const char **out)
{
	struct rest rest;
	const char *release = NULL;
	const struct option_row rows[] = {{"release", OPTION_TEXT, &release}};
	int status = options_read(session, rows, 1, argc, argv, &rest);
	if (status == EXIT_DONE) {
		status = release_argument_read(session, &rest, release, out);
	}
	if (status == EXIT_DONE && *out == NULL && least > 0) {
		return session_usage(session,
			"release %s: which release? `repstore release list` names them", argv[0]);
	}
	return status;
}

/* ---- create ---- */

static void print_created(struct wire_value result)
{
	char id[80];
	printf("release %s begun\n", text_str_of(result, "release", id, sizeof id));
}

static int run_create(struct session *session, int argc, char **argv)
{
	const char *model = NULL;
	const char *checkpoint = NULL;
	const struct option_row rows[] = {{"model", OPTION_TEXT, &model},
		{"checkpoint", OPTION_TEXT, &checkpoint}};
	struct rest rest;
	int status = options_read(session, rows, 2, argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count != 1) {
		return session_usage(session, "release create: one id");
	}
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	struct wire_writer params = {0};
	wire_write_map(&params, 1 + (size_t)(model != NULL) + (size_t)(checkpoint != NULL));
	write_text(&params, "release", rest.values[0]);
	write_text(&params, "model", model);
	write_text(&params, "checkpoint", checkpoint);
	struct answer answer = {0};
	if (!session_call(session, "release.create", &params, &answer)) {
		return EXIT_REFUSED;
	}
	return session_print(session, &answer, print_created);
}

/* ---- list, show ---- */

static const char *time_of(struct wire_value release, const char *name, char *text)
{
	int64_t when = 0;
	if (!wire_int(wire_get(release, name), &when) || when == 0) {
		return "-";
	}
	return text_time(when, text);
}

/* Where a release comes from, if that was told: a line of its own below the list. */
static void add_origin(struct text_table *table, struct wire_value each)
{
	char model[300];
	char checkpoint[300];
	char text[TEXT_BYTES + 60];
	text_str_of(each, "model", model, sizeof model);
	text_str_of(each, "checkpoint", checkpoint, sizeof checkpoint);
	if (model[0] == '\0' && checkpoint[0] == '\0') {
		return;
	}
	text_cell(table, "%s", text_str_of(each, "release", text, sizeof text));
	text_cell(table, "%s", time_of(each, "created_ms", text));
	text_cell(table, "%s", model[0] != '\0' ? model : "-");
	text_cell(table, "%s", checkpoint[0] != '\0' ? checkpoint : "-");
}

static void print_list(struct wire_value result)
{
	static const char *const heads[] = {"RELEASE", "STATE", "TABLES", "ROWS", "BYTES",
		"PUBLISHED"};
	static const char *const more_heads[] = {"RELEASE", "CREATED", "MODEL", "CHECKPOINT"};
	struct text_table table = {.columns = sizeof heads / sizeof heads[0], .fold = true};
	struct text_table more = {.columns = sizeof more_heads / sizeof more_heads[0],
		.fold = true};
	const struct wire_value list = wire_get(result, "releases");
	for (size_t i = 0; i < table.columns; i++) {
		text_cell(&table, "%s", heads[i]);
	}
	for (size_t i = 0; i < more.columns; i++) {
		text_cell(&more, "%s", more_heads[i]);
	}
	for (size_t i = 0; i < wire_size(list); i++) {
		const struct wire_value each = wire_item(list, i);
		char text[300];
		char when[TEXT_BYTES];
		text_cell(&table, "%s", text_str_of(each, "release", text, sizeof text));
		text_cell(&table, "%s", text_str_of(each, "state", text, sizeof text));
		text_cell(&table, "%" PRIu64, text_uint_of(each, "tables"));
		text_cell(&table, "%s", text_rows(each, when));
		text_cell(&table, "%s", text_size(text_uint_of(each, "bytes"), when));
		text_cell(&table, "%s", time_of(each, "published_ms", when));
		add_origin(&more, each);
	}
	const bool has_more = more.count > more.columns;
	text_print(&table);
	if (has_more) {
		putchar('\n');
		text_print(&more);
	}
	text_free(&more);
}

static int run_list(struct session *session, int argc, char **argv)
{
	struct rest rest;
	int status = options_read(session, NULL, 0, argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count > 0) {
		return session_usage(session, "'%s': not expected", rest.values[0]);
	}
	return call_release(session, "release.list", NULL, print_list);
}

static void print_tables(struct wire_value list)
{
	struct text_table table = {.columns = 7, .fold = true};
	char text[160];
	char size[TEXT_BYTES];
	for (size_t i = 0; i < wire_size(list); i++) {
		struct wire_value each = wire_item(list, i);
		text_cell(&table, "  table %s", text_str_of(each, "table", text, sizeof text));
		text_cell(&table, "%s", text_str_of(each, "entity", text, sizeof text));
		text_cell(&table, "%s", text_str_of(each, "dtype", text, sizeof text));
		text_cell(&table, "%" PRIu64 " x %" PRIu64, text_uint_of(each, "views"),
			text_uint_of(each, "dim"));
		text_cell(&table, "%s rows", text_rows(each, size));
		text_cell(&table, "%" PRIu64 " pending", text_uint_of(each, "pending"));
		text_cell(&table, "%s", text_size(text_uint_of(each, "bytes"), size));
	}
	text_print(&table);
}

static void print_loads(struct wire_value list)
{
	for (size_t i = 0; i < wire_size(list); i++) {
		struct wire_value each = wire_item(list, i);
		bool ended = false;
		char name[160];
		char table[160];
		wire_bool(wire_get(each, "ended"), &ended);
		printf("  load %s of table %s: %" PRIu64 " rows, %s\n",
			text_str_of(each, "load", name, sizeof name),
			text_str_of(each, "table", table, sizeof table), text_uint_of(each, "rows"),
			ended ? "whole" : "not ended");
	}
}

static void print_show(struct wire_value result)
{
	static const char *const labels[] = {"model", "checkpoint", "state"};
	static const char *const times[] = {"created_ms", "sealed_ms", "published_ms"};
	static const char *const time_labels[] = {"created", "sealed", "published"};
	char text[300];
	printf("release %s\n", text_str_of(result, "release", text, sizeof text));
	for (size_t i = 0; i < 3; i++) {
		printf("  %-10s %s\n", labels[i],
			text_str_of(result, labels[i], text, sizeof text));
	}
	for (size_t i = 0; i < 3; i++) {
		char when[TEXT_BYTES];
		printf("  %-10s %s\n", time_labels[i], time_of(result, times[i], when));
	}
	const struct wire_value sealing = wire_get(result, "sealing");
	if (wire_type(sealing) == WIRE_MAP) {
		const uint64_t rows = text_uint_of(sealing, "rows");
		const uint64_t done = text_uint_of(sealing, "done");
		printf("  %-10s %" PRIu64 " of %" PRIu64 " rows are done\n", "sealing", done, rows);
	}
	print_tables(wire_get(result, "table_list"));
	if (text_uint_of(result, "tensors") > 0) {
		char size[TEXT_BYTES];
		printf("  %" PRIu64 " tensors, %s\n", text_uint_of(result, "tensors"),
			text_size(text_uint_of(result, "tensor_bytes"), size));
	}
	print_loads(wire_get(result, "loads"));
}

static int run_show(struct session *session, int argc, char **argv)
{
	const char *id = NULL;
	int status = read_id(session, 0, argc, argv, &id);
	return status != EXIT_DONE ? status : call_release(session, "release.show", id, print_show);
}

/* ---- seal, publish, rollback, drop ---- */

static void print_sealed(struct wire_value result)
{
	char id[80];
	char size[TEXT_BYTES];
	char duration[TEXT_BYTES];
	printf("release %s sealed: %" PRIu64 " tables, %" PRIu64 " rows, %s, in %s\n",
		text_str_of(result, "release", id, sizeof id), text_uint_of(result, "tables"),
		text_uint_of(result, "rows"), text_size(text_uint_of(result, "bytes"), size),
		text_duration(text_uint_of(result, "elapsed_ms"), duration));
}

/* Tells a person the commands that drop the loads which are in the way of a seal. */
static void tell_loads(struct session *session, const char *id)
{
	struct wire_writer params = {0};
	struct answer answer = {0};
	struct rep_error err;
	release_argument_write(&params, id, 0);
	if (session->json || session->client == NULL ||
		session_try(session, "release.show", &params, &answer, &err) != REP_OK) {
		wire_writer_fini(&params);
		return;
	}
	wire_writer_fini(&params);
	const struct wire_value loads = wire_get(answer.result, "loads");
	for (size_t i = 0; i < wire_size(loads); i++) {
		const struct wire_value each = wire_item(loads, i);
		bool ended = false;
		char name[160];
		char table[160];
		wire_bool(wire_get(each, "ended"), &ended);
		if (!ended) {
			fprintf(stderr,
				"repstore: `repstore import %s/%s --forget %s` drops a load that has "
				"not ended\n",
				id, text_str_of(each, "table", table, sizeof table),
				text_str_of(each, "load", name, sizeof name));
		}
	}
	answer_close(&answer);
}

static int run_seal(struct session *session, int argc, char **argv)
{
	const char *id = NULL;
	int status = read_id(session, 1, argc, argv, &id);
	if (status == EXIT_DONE) {
		status = call_release(session, "release.seal", id, print_sealed);
		if (status == EXIT_REFUSED) {
			tell_loads(session, id);
		}
	}
	return status;
}

static void print_live(struct wire_value result)
{
	char id[80];
	char previous[80];
	text_str_of(result, "previous", previous, sizeof previous);
	printf("release %s is live", text_str_of(result, "release", id, sizeof id));
	if (previous[0] != '\0') {
		printf("; %s was", previous);
	}
	putchar('\n');
}

static int run_publish(struct session *session, int argc, char **argv)
{
	const char *id = NULL;
	int status = read_id(session, 1, argc, argv, &id);
	return status != EXIT_DONE ? status
				   : call_release(session, "release.publish", id, print_live);
}

static int run_rollback(struct session *session, int argc, char **argv)
{
	struct rest rest;
	int status = options_read(session, NULL, 0, argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count > 0) {
		return session_usage(session,
			"release rollback: goes to the release before; '%s' is not expected",
			rest.values[0]);
	}
	return call_release(session, "release.rollback", NULL, print_live);
}

static void print_dropped(struct wire_value result)
{
	char id[80];
	printf("release %s dropped\n", text_str_of(result, "release", id, sizeof id));
}

static int run_drop(struct session *session, int argc, char **argv)
{
	const char *id = NULL;
	int status = read_id(session, 1, argc, argv, &id);
	return status != EXIT_DONE ? status
				   : call_release(session, "release.drop", id, print_dropped);
}

static const struct verb verbs[] = {
	{"create", run_create},
	{"list", run_list},
	{"show", run_show},
	{"seal", run_seal},
	{"publish", run_publish},
	{"rollback", run_rollback},
	{"drop", run_drop},
	{"export", release_folder_export},
	{"adopt", release_folder_adopt},
};

static int run(struct session *session, int argc, char **argv)
{
	return command_run_verb(session, verbs, sizeof verbs / sizeof verbs[0], argc, argv);
}

const struct command cmd_release = {
	.name = "release",
	.summary = "begin, seal, publish, roll back, drop, export and adopt releases",
	.usage =
		"release create ID [--model TEXT] [--checkpoint TEXT]\n"
		"       repstore release list | show [ID] | seal ID | publish ID | rollback | drop ID\n"
		"       repstore release export ID DIR [--copy] | adopt DIR [--as ID]\n",
	.help = "A release holds all tables that one checkpoint of the foundation model made.\n"
		"It is open first and takes tables and imports; `seal` makes it immutable,\n"
		"`publish` makes it the live one, which reads get unless they name another, and\n"
		"`rollback` goes back to the one that was live before. `show` without ID shows the\n"
		"live one. --release ID is the same as ID.\n"
		"`export` puts a sealed release into a folder below the daemon's setting backup_folder,\n"
		"`adopt` takes such a folder as a release of this daemon, under its own name or another.\n",
	.run = run,
};
