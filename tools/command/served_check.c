/* served_check.c - repstore served check: whether serving saw what training computes, or a release held. */
#include "tools/command/served_check.h"

#include "tools/command/options.h"
#include "tools/evaluation/feature_file.h"
#include "tools/evaluation/served_skew.h"
#include "tools/format/interrupt.h"
#include "tools/format/json_write.h"
#include "tools/format/served_read.h"
#include "tools/format/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* How many hours a person is told. */
enum { TOLD_MAX = 20, HOUR_MS = 3600 * 1000 };

/* The arguments, and what came of them. */
struct check {
	const char *path; /* of the training set; or NULL: there are dumps */
	struct option_list dumps;
	const char *release;
	double tolerance;
	double allowed; /* share of keys of a table in an hour */
	struct feature_file features;
	struct skew skew;
	uint64_t hours; /* of tables, that have more than is allowed */
	bool damaged;
};

/* ---- reading ---- */

static enum status add_file(struct check *check, const char *path, struct error *err)
{
	struct served_reader reader;
	struct served_record record;
	bool more = true;
	enum status status = served_reader_open(path, &reader, err);
	if (status != STATUS_OK) {
		return status;
	}
	while (status == STATUS_OK && more) {
		status = interrupt_seen() ? error_set(err, STATUS_CLOSED, "interrupted")
					  : served_reader_next(&reader, &record, &more, err);
		const bool wanted =
			status == STATUS_OK && more &&
			(check->release == NULL || strcmp(check->release, record.release) == 0);
		if (wanted && skew_add(&check->skew, &check->features, &record) != STATUS_OK) {
			status = error_set(err, STATUS_NO_MEMORY, "no memory to compare rows");
		}
	}
	if (status == STATUS_OK && reader.end == SERVED_END_DAMAGED) {
		fprintf(stderr,
			"repstore: '%s' is damaged at byte %zu; what stands behind is not read\n",
			path, reader.at);
		check->damaged = true;
	}
	served_reader_close(&reader);
	return status == STATUS_OK ? mapping_check(err) : status;
}

/* ---- telling ---- */

static const char *hour_text(int64_t hour, char text[TEXT_BYTES])
{
	text_time(hour * HOUR_MS, text);
	text[sizeof "2026-11-24 02" - 1] = '\0'; /* what follows are zeros */
	return text;
}

static void add_cells(struct text_table *table, const struct skew_count *count)
{
	text_cell(table, "%" PRIu64, count->compared);
	text_cell(table, "%" PRIu64, count->differ);
	text_cell(table, "%.3g%%", 100 * skew_share(count));
	text_cell(table, "%.3g", count->difference_max);
	text_cell(table, "%.3g", skew_mean(count));
	text_cell(table, "%" PRIu64, count->missing_served);
	text_cell(table, "%" PRIu64, count->missing_training);
	text_cell(table, "%" PRIu64, count->unknown);
}

static void begin_table(const struct check *check, struct text_table *table, const char *second)
{
	const char *const heads[] = {"COMPARED", "DIFFER", "SKEW", "MAX", "MEAN", "NOT SERVED",
		check->path != NULL ? "NOT TRAINED" : "NOT DUMPED", "UNKNOWN"};
	*table = (struct text_table){
		.columns = 1 + (second != NULL) + sizeof heads / sizeof heads[0]};
	text_cell(table, "TABLE");
	if (second != NULL) {
		text_cell(table, "%s", second);
	}
	for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
		text_cell(table, "%s", heads[i]);
	}
}

/* The hours that have more than is allowed, in their order, as many as a person reads. */
static void print_hours(const struct check *check)
{
	struct text_table table;
	char text[TEXT_BYTES];
	uint64_t told = 0;
	begin_table(check, &table, "HOUR");
	for (size_t i = 0; i < check->skew.table_count; i++) {
		const struct skew_table *each = &check->skew.tables[i];
		for (size_t j = 0; j < each->hour_count && told < TOLD_MAX; j++) {
			if (skew_share(&each->hours[j].count) > check->allowed) {
				text_cell(&table, "%s", each->name);
				text_cell(&table, "%s", hour_text(each->hours[j].hour, text));
				add_cells(&table, &each->hours[j].count);
				told++;
			}
		}
	}
	text_print(&table);
	if (told < check->hours) {
		printf("and %" PRIu64 " more\n", check->hours - told);
	}
}

/* Is there a key of which anything can be said? */
static bool is_anything_known(const struct skew *skew)
{
	uint64_t known = 0;
	for (size_t i = 0; i < skew->table_count; i++) {
		const struct skew_count *count = &skew->tables[i].count;
		known += count->compared + count->both + count->none + count->missing_served +
			 count->missing_training;
	}
	return known > 0;
}

static void print_text(const struct check *check)
{
	const struct skew *skew = &check->skew;
	struct text_table table;
	printf("%" PRIu64 " fetches against %" PRIu64, skew->fetches, check->features.count);
	if (check->path != NULL) {
		printf(" samples of '%s'", check->path);
	} else {
		printf(" rows of '%s'", check->release);
	}
	printf(skew->other > 0 ? "; %" PRIu64 " keys are of other tables, or not comparable\n"
			       : "\n",
		skew->other);
	begin_table(check, &table, NULL);
	for (size_t i = 0; i < skew->table_count; i++) {
		text_cell(&table, "%s", skew->tables[i].name);
		add_cells(&table, &skew->tables[i].count);
	}
	text_print(&table);
	if (check->hours == 0 && !is_anything_known(skew)) {
		printf("nothing was compared: no key of these tables can be judged\n");
	} else if (check->hours == 0) {
		printf("no skew: no table has more than %g%% in any hour\n", 100 * check->allowed);
	} else {
		printf("\nskew, more than %g%% of the keys:\n", 100 * check->allowed);
		print_hours(check);
	}
}

static void write_count(const struct check *check, struct json_writer *json,
	const struct skew_count *count)
{
	json_write_u64(json, "compared", count->compared);
	json_write_u64(json, "differ", count->differ);
	json_write_double(json, "skew", skew_share(count));
	json_write_double(json, "difference_max", count->difference_max);
	json_write_double(json, "difference_mean", skew_mean(count));
	json_write_u64(json, "found_on_both", count->both);
	json_write_u64(json, "found_on_none", count->none);
	json_write_u64(json, "missing_served", count->missing_served);
	json_write_u64(json, check->path != NULL ? "missing_training" : "missing_dump",
		count->missing_training);
	json_write_u64(json, "unknown", count->unknown);
}

static void print_json(const struct check *check)
{
	struct json_writer json = {.out = stdout};
	json_write_object(&json, NULL);
	json_write_u64(&json, "fetches", check->skew.fetches);
	json_write_u64(&json, check->path != NULL ? "samples" : "rows", check->features.count);
	json_write_u64(&json, "other", check->skew.other);
	json_write_double(&json, "allowed", check->allowed);
	json_write_u64(&json, "hours_with_skew", check->hours);
	json_write_array(&json, "tables");
	for (size_t i = 0; i < check->skew.table_count; i++) {
		const struct skew_table *table = &check->skew.tables[i];
		json_write_object(&json, NULL);
		json_write_text(&json, "table", table->name);
		write_count(check, &json, &table->count);
		json_write_array(&json, "hours");
		for (size_t j = 0; j < table->hour_count; j++) {
			json_write_object(&json, NULL);
			json_write_i64(&json, "hour_ms", table->hours[j].hour * HOUR_MS);
			write_count(check, &json, &table->hours[j].count);
			json_write_object_end(&json);
		}
		json_write_array_end(&json);
		json_write_object_end(&json);
	}
	json_write_array_end(&json);
	json_write_object_end(&json);
	json_write_line(&json);
}

/* ---- the command ---- */

static void count_hours(struct check *check)
{
	for (size_t i = 0; i < check->skew.table_count; i++) {
		const struct skew_table *table = &check->skew.tables[i];
		for (size_t j = 0; j < table->hour_count; j++) {
			check->hours += skew_share(&table->hours[j].count) > check->allowed;
		}
	}
}

static enum status compare_files(struct check *check, const struct rest *files, struct error *err)
{
	const struct skew_settings settings = {check->tolerance};
	enum status status = check->path != NULL
				     ? feature_file_open(check->path, &check->features, err)
				     : feature_file_open_dumps(check->dumps.values,
					       check->dumps.count, &check->features, err);
	if (status == STATUS_OK &&
		skew_init(&check->skew, &check->features, &settings) != STATUS_OK) {
		status = error_set(err, STATUS_NO_MEMORY, "no memory for tables");
	}
	for (int i = 0; i < files->count && status == STATUS_OK; i++) {
		status = add_file(check, files->values[i], err);
	}
	count_hours(check);
	return status;
}

static int report(struct session *session, const struct check *check)
{
	if (session->json) {
		print_json(check);
	} else {
		print_text(check);
	}
	const bool bad = check->hours > 0 || check->damaged;
	return session_finish(session, bad ? EXIT_REFUSED : EXIT_DONE);
}

int served_check_run(struct session *session, int argc, char **argv)
{
	struct check check = {.tolerance = -1};
	const struct option_row rows[] = {
		{"features", OPTION_TEXT, &check.path},
		{"dump", OPTION_LIST, &check.dumps},
		{"release", OPTION_TEXT, &check.release},
		{"tolerance", OPTION_NUMBER, &check.tolerance},
		{"allow", OPTION_NUMBER, &check.allowed},
	};
	struct rest rest;
	struct error err = {0};
	int status = options_read(session, rows, sizeof rows / sizeof rows[0], argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if ((check.path == NULL) == (check.dumps.count == 0) || rest.count == 0) {
		return session_usage(session,
			"served check: one FILE or more, and --features or --dump");
	}
	if (check.path == NULL && check.release == NULL) {
		return session_usage(session,
			"--dump: --release says of which release the dumps are");
	}
	if (!(check.allowed >= 0 && check.allowed <= 1)) {
		return session_usage(session, "--allow: %g given, 0 to 1 allowed", check.allowed);
	}
	interrupt_watch();
	if (compare_files(&check, &rest, &err) == STATUS_OK) {
		status = report(session, &check);
	} else {
		status = session_refuse_error(session, &err);
		interrupt_end();
	}
	skew_fini(&check.skew);
	feature_file_close(&check.features);
	return status;
}
