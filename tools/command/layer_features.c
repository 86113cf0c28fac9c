/* layer_features.c - repstore layer features: a training set that holds what serving would have seen. */
#include "tools/command/layer_features.h"

#include "tools/command/decay_argument.h"
#include "tools/command/features_from.h"
#include "tools/command/options.h"
#include "tools/command/progress.h"
#include "tools/evaluation/training_set.h"
#include "tools/format/interrupt.h"
#include "tools/format/json_write.h"
#include "tools/format/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TABLES_MAX = 2 * OPTIONS_LIST_MAX };

/* The arguments, and what is made of them. */
struct wanted {
	struct training_request request; /* the fields below go into it after they were checked */
	struct option_list layers;
	const char *decay;
	const char *reading;
	const char *release; /* whose tables it begins with; NULL: none */
	uint64_t memory_mib;
	struct training_table tables[TABLES_MAX];
	size_t table_count;
	struct features_from from;
	struct progress progress;
};

static const uint64_t memory_default = UINT64_MAX;

/* ---- arguments ---- */

/* Half of what the machine has. */
static uint64_t half_of_memory(void)
{
	const long pages = sysconf(_SC_PHYS_PAGES);
	const long page_bytes = sysconf(_SC_PAGESIZE);
	return pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes / 2 : 0;
}

static int check_memory(const struct session *session, struct wanted *wanted)
{
	if (wanted->memory_mib == memory_default) {
		wanted->request.memory_bytes = half_of_memory();
		return EXIT_DONE;
	}
	if (wanted->memory_mib == 0 || wanted->memory_mib > UINT64_MAX >> 20) {
		return session_usage(session, "--memory: %" PRIu64 " MiB given, 1 or more allowed",
			wanted->memory_mib);
	}
	wanted->request.memory_bytes = wanted->memory_mib << 20;
	return EXIT_DONE;
}

/* The tables that a layer has unless they are called otherwise. */
static int add_tables(const struct session *session, struct wanted *wanted, size_t layer,
	const struct table_spec *spec)
{
	static const struct {
		const char *name;
		enum entity entity;
	} sides[] = {{"cr_user", ENTITY_USER}, {"cr_item", ENTITY_ITEM}};
	const char *text = wanted->layers.values[layer];
	const size_t len = strcspn(text, "=");
	struct name name;
	struct error err;
	for (size_t i = 0; i < layer; i++) {
		if (strncmp(wanted->layers.values[i], text, len) == 0 &&
			strchr("=", wanted->layers.values[i][len]) != NULL) {
			return session_usage(session,
				"--layer: '%.*s' given twice, each name once allowed", (int)len,
				text);
		}
	}
	if (name_check(text, len, "--layer", &name, &err) != STATUS_OK) {
		return session_usage(session, "%s", err.text);
	}
	for (size_t i = 0; i < 2; i++) {
		struct training_table *table = &wanted->tables[wanted->table_count++];
		*table = (struct training_table){layer, *spec};
		table->spec.entity = sides[i].entity;
		snprintf(table->spec.name.text, sizeof table->spec.name.text, "%s@%s",
			sides[i].name, name.text);
	}
	return EXIT_DONE;
}

/* Checks what was given, and completes the request. */
static int check_arguments(const struct session *session, struct wanted *wanted)
{
	struct training_request *request = &wanted->request;
	struct sample_paths *paths = &request->samples;
	struct table_spec spec = {.kind = KIND_CR, .dtype = DTYPE_F32, .state = STATE_F32X2};
	const bool columns = paths->users != NULL && paths->items != NULL && paths->times != NULL;
	const bool some = paths->users != NULL || paths->items != NULL || paths->times != NULL;
	if (paths->archive != NULL ? some : !columns) {
		return session_usage(session, "layer features: --users, --items and --times are "
					      "needed, or --samples alone");
	}
	if (wanted->layers.count == 0 || request->out == NULL) {
		return session_usage(session,
			"layer features: one --layer or more and -o FILE.npz are needed");
	}
	if (request->out[0] == '\0') {
		return session_usage(session, "-o: '' given, the name of a file allowed");
	}
	int status = check_memory(session, wanted);
	if (status == EXIT_DONE && wanted->release != NULL &&
		(wanted->decay != NULL || wanted->reading != NULL)) {
		status = session_usage(session,
			"--from: --decay and --read are those of the release's tables");
	}
	if (status == EXIT_DONE && wanted->release == NULL && request->skip_late) {
		status = session_usage(session, "layer features: --skip-late comes with --from");
	}
	if (status == EXIT_DONE) {
		status = decay_argument_read(session, wanted->decay,
			wanted->reading != NULL ? wanted->reading : "layer_norm", &spec);
	}
	for (size_t i = 0; i < wanted->layers.count && status == EXIT_DONE; i++) {
		status = add_tables(session, wanted, i, &spec);
	}
	paths->layers = wanted->layers.values;
	paths->layer_count = wanted->layers.count;
	request->tables = wanted->tables;
	request->table_count = wanted->table_count;
	return status;
}

/* ---- what was made ---- */

static double share_of(uint64_t count, const struct training_report *report)
{
	return 100.0 * (double)count / (double)report->samples;
}

static void print_report(const struct training_request *request,
	const struct training_report *report, double seconds)
{
	static const char *const heads[] = {"TABLE", "THERE", "NONE BEFORE", "LEFT OUT"};
	struct text_table table = {.columns = sizeof heads / sizeof heads[0]};
	char first[TEXT_BYTES];
	char last[TEXT_BYTES];
	char memory[TEXT_BYTES];
	printf("%" PRIu64 " samples of %" PRIu64 " users and %" PRIu64 " items, %s to %s%s\n",
		report->samples, report->users, report->items, text_time(report->first_ms, first),
		text_time(report->last_ms, last),
		report->in_order ? "" : ", which were not in the order of time");
	for (size_t i = 0; i < table.columns; i++) {
		text_cell(&table, "%s", heads[i]);
	}
	for (size_t i = 0; i < request->table_count; i++) {
		const struct training_count *count = &report->tables[i];
		text_cell(&table, "%s", request->tables[i].spec.name.text);
		text_cell(&table, "%.1f%%", share_of(count->there, report));
		text_cell(&table, "%.1f%%", share_of(count->none, report));
		text_cell(&table, "%" PRIu64, count->late);
	}
	text_print(&table);
	printf("written to '%s' in %.1f s: %" PRIu32 " passes, %s for keys and states\n",
		request->out, seconds, report->passes, text_size(report->memory_bytes, memory));
}

static void print_json(const struct training_request *request, const struct training_report *report,
	double seconds)
{
	struct json_writer json = {.out = stdout};
	json_write_object(&json, NULL);
	json_write_text(&json, "file", request->out);
	json_write_u64(&json, "samples", report->samples);
	json_write_bool(&json, "in_order", report->in_order);
	json_write_u64(&json, "users", report->users);
	json_write_u64(&json, "items", report->items);
	json_write_i64(&json, "first_ms", report->first_ms);
	json_write_i64(&json, "last_ms", report->last_ms);
	json_write_u64(&json, "passes", report->passes);
	json_write_u64(&json, "memory_bytes", report->memory_bytes);
	json_write_array(&json, "tables");
	for (size_t i = 0; i < request->table_count; i++) {
		const struct table_spec *spec = &request->tables[i].spec;
		const struct training_count *count = &report->tables[i];
		json_write_object(&json, NULL);
		json_write_text(&json, "table", spec->name.text);
		json_write_double(&json, "decay_events", spec->decay_events);
		json_write_u64(&json, "half_life_ms", spec->half_life_ms);
		json_write_text(&json, "read", reading_name(spec->reading));
		json_write_u64(&json, "there", count->there);
		json_write_u64(&json, "none_before", count->none);
		json_write_u64(&json, "left_out", count->late);
		json_write_object_end(&json);
	}
	json_write_array_end(&json);
	json_write_fixed(&json, "seconds", seconds, 3);
	json_write_object_end(&json);
	json_write_line(&json);
}

/* ---- the command ---- */

static enum status on_begin(void *context, size_t table, const struct training_keys *keys,
	struct cr_states *states, struct error *err)
{
	struct wanted *wanted = context;
	return features_from_begin(&wanted->from, table, keys, states, err);
}

/* Takes the tables of the release in place of those that a layer has by default. */
static int begin_from(struct session *session, struct wanted *wanted)
{
	const int status = features_from_open(session, wanted->release, wanted->layers.values,
		wanted->layers.count, &wanted->from);
	wanted->request.begin = on_begin;
	wanted->request.tables = wanted->from.tables;
	wanted->request.table_count = wanted->from.table_count;
	return status;
}

static bool on_progress(void *context, uint64_t done, uint64_t total)
{
	struct wanted *wanted = context;
	progress_update(&wanted->progress, done, total, done);
	return !interrupt_seen();
}

static int make(struct session *session, struct wanted *wanted)
{
	struct training_report report = {0};
	struct error err = {0};
	wanted->request.progress = on_progress;
	wanted->request.context = wanted;
	progress_begin(&wanted->progress, "features");
	interrupt_watch();
	const enum status status = training_set_make(&wanted->request, &report, &err);
	const double seconds = progress_end(&wanted->progress);
	if (status != STATUS_OK) {
		session_refuse_error(session, &err);
		interrupt_end();
		return EXIT_REFUSED;
	}
	if (session->json) {
		print_json(&wanted->request, &report, seconds);
	} else {
		print_report(&wanted->request, &report, seconds);
	}
	training_report_fini(&report);
	return session_finish(session, EXIT_DONE);
}

int layer_features_run(struct session *session, int argc, char **argv)
{
	static struct wanted wanted; /* too large for a stack */
	struct training_request *request = &wanted.request;
	struct sample_paths *paths = &request->samples;
	wanted = (struct wanted){.memory_mib = memory_default};
	const struct option_row rows[] = {
		{"samples", OPTION_TEXT, &paths->archive},
		{"users", OPTION_TEXT, &paths->users},
		{"items", OPTION_TEXT, &paths->items},
		{"times", OPTION_TEXT, &paths->times},
		{"layer", OPTION_LIST, &wanted.layers},
		{"time-unit", OPTION_TIME_UNIT, &paths->time.unit},
		{"any-time", OPTION_FLAG, &paths->time.any},
		{"decay", OPTION_TEXT, &wanted.decay},
		{"read", OPTION_TEXT, &wanted.reading},
		{"from", OPTION_TEXT, &wanted.release},
		{"skip-late", OPTION_FLAG, &request->skip_late},
		{"memory", OPTION_COUNT, &wanted.memory_mib},
		{"o", OPTION_TEXT, &request->out},
	};
	struct rest rest;
	int status = options_read(session, rows, sizeof rows / sizeof rows[0], argc, argv, &rest);
	if (status == EXIT_DONE && rest.count > 0) {
		status = session_usage(session, "'%s': not expected", rest.values[0]);
	}
	if (status == EXIT_DONE) {
		status = check_arguments(session, &wanted);
	}
	if (status == EXIT_DONE && wanted.release != NULL) {
		status = begin_from(session, &wanted);
	}
	if (status == EXIT_DONE) {
		status = make(session, &wanted);
	}
	features_from_close(&wanted.from);
	return status;
}
