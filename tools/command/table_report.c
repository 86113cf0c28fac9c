/* table_report.c - the statistics of a table as JSON and as text. */
#include "tools/command/table_report.h"

#include "schema/dtype.h"
#include "tools/format/json_write.h"
#include "tools/format/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* How many lines the text shows; --json has all. */
enum {
	VALUES_SHOWN = 6,
	VIEWS_SHOWN = 16,
	PAIRS_SHOWN = 16,
};

/* ---- JSON ---- */

/* Null when `known` is false. */
static void json_known(struct json_writer *json, const char *name, double value, bool known)
{
	if (known) {
		json_write_double_17(json, name, value);
	} else {
		json_write_null(json, name);
	}
}

/* summary: NULL when there are no values. percentile_rows: the percentiles are of so many rows. */
static void json_distribution(struct json_writer *json, const char *name,
	const struct distribution_summary *summary, uint64_t percentile_rows)
{
	if (summary == NULL) {
		json_write_null(json, name);
		return;
	}
	json_write_object(json, name);
	json_write_double_17(json, "min", summary->min);
	json_write_double_17(json, "p1", summary->p1);
	json_write_double_17(json, "p50", summary->p50);
	json_write_double_17(json, "p99", summary->p99);
	json_write_double_17(json, "max", summary->max);
	json_write_double_17(json, "mean", summary->mean);
	json_write_u64(json, "percentile_rows", percentile_rows);
	json_write_object_end(json);
}

static void json_distributions(struct json_writer *json, struct row_summary *rows)
{
	struct distribution_summary summary;
	const bool norms = distribution_summarize(&rows->norms, &summary);
	json_distribution(json, "norm", norms ? &summary : NULL, rows->norms.values.count);
	const bool ages = row_summary_ages(rows, &summary);
	json_distribution(json, "age_ms", ages ? &summary : NULL, rows->ages.values.count);
}

static void json_constant(struct json_writer *json, const struct sample_statistics *sample)
{
	if (sample->constant == NULL) {
		json_write_null(json, "constant_dims");
		return;
	}
	json_write_array(json, "constant_dims");
	const size_t width = sample->width;
	for (size_t column = 0; column < width; column++) {
		if (sample->constant[column]) {
			json_write_u64(json, NULL, column);
		}
	}
	json_write_array_end(json);
}

static void json_views(struct json_writer *json, const struct sample_statistics *sample)
{
	json_write_array(json, "each_view");
	for (uint32_t view = 0; sample->each_view != NULL && view < sample->views; view++) {
		const struct view_statistics *each = &sample->each_view[view];
		json_write_object(json, NULL);
		json_write_u64(json, "view", view);
		json_known(json, "information_abundance", each->information_abundance,
			each->information_abundance > 0);
		json_write_u64(json, "effective_rank", each->effective_rank);
		json_write_object_end(json);
	}
	json_write_array_end(json);
}

static void json_pairs(struct json_writer *json, const struct sample_statistics *sample)
{
	if (sample->pairs == NULL) {
		json_write_null(json, "pairs");
	} else {
		json_write_array(json, "pairs");
		for (size_t i = 0; i < sample->pair_count; i++) {
			const struct pair_statistics *pair = &sample->pairs[i];
			json_write_object(json, NULL);
			json_write_u64(json, "first", pair->first);
			json_write_u64(json, "second", pair->second);
			json_write_double_17(json, "mean_abs_covariance",
				pair->mean_abs_covariance);
			json_write_object_end(json);
		}
		json_write_array_end(json);
	}
	json_known(json, "pairs_mean", sample->pairs_mean, sample->pairs != NULL);
}

static void json_sample(struct json_writer *json, const struct table_report *report)
{
	const struct sample_statistics *sample = &report->sample;
	json_write_object(json, "sample");
	json_write_u64(json, "rows", sample->rows);
	json_write_u64(json, "rows_asked", report->sample_rows);
	json_write_u64(json, "seed", report->seed);
	json_constant(json, sample);
	json_known(json, "mean_abs_mean", sample->mean_abs_mean, sample->rows > 0);
	json_write_array(json, "singular_values");
	for (size_t i = 0; i < sample->spectrum.count; i++) {
		json_write_double_17(json, NULL, sample->spectrum.values[i]);
	}
	json_write_array_end(json);
	json_known(json, "information_abundance", sample->spectrum.information_abundance,
		sample->spectrum.information_abundance > 0);
	json_write_u64(json, "effective_rank", sample->spectrum.effective_rank);
	json_views(json, sample);
	json_pairs(json, sample);
	json_write_object_end(json);
}

void table_report_json(struct table_report *report)
{
	const struct rep_table_spec *spec = &report->table.spec;
	struct json_writer json = {.out = stdout};
	json_write_object(&json, NULL);
	json_write_text(&json, "release", report->release);
	json_write_text(&json, "table", spec->name);
	json_write_text(&json, "dtype", dtype_name((enum dtype)spec->dtype));
	json_write_u64(&json, "dim", spec->dim);
	json_write_u64(&json, "views", spec->views);
	json_write_u64(&json, "ttl_ms", spec->ttl_ms);
	json_write_i64(&json, "now_ms", report->rows.now_ms);
	json_write_u64(&json, "rows", report->rows.rows);
	json_write_u64(&json, "zero", report->rows.zero);
	json_write_u64(&json, "nonfinite", report->rows.nonfinite);
	json_write_u64(&json, "future", report->rows.future);
	json_known(&json, "expired", (double)report->expired, report->expired_known);
	json_distributions(&json, &report->rows);
	json_sample(&json, report);
	json_write_object_end(&json);
	json_write_line(&json);
}

/* ---- text ---- */

/* The age of a row. A row of the future has a negative one. */
static const char *age_text(double age_ms, char *text)
{
	char amount[TEXT_BYTES];
	if (age_ms < 0) {
		snprintf(text, TEXT_BYTES, "in %.30s", text_duration((uint64_t)-age_ms, amount));
		return text;
	}
	return text_duration((uint64_t)age_ms, text);
}

static const char *number_text(double value, char *text)
{
	snprintf(text, TEXT_BYTES, "%.6g", value);
	return text;
}

static void add_distribution(struct text_table *table, const char *name,
	const struct distribution_summary *summary, const char *(*print)(double value, char *text))
{
	const double values[] = {summary->min, summary->p1, summary->p50, summary->p99,
		summary->max, summary->mean};
	text_cell(table, "%s", name);
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		char text[TEXT_BYTES];
		text_cell(table, "%s", print(values[i], text));
	}
}

static void print_distributions(struct row_summary *rows)
{
	static const char *const heads[] = {"", "MIN", "P1", "P50", "P99", "MAX", "MEAN"};
	struct text_table table = {.columns = sizeof heads / sizeof heads[0]};
	struct distribution_summary summary;
	if (rows->rows == 0) {
		return;
	}
	for (size_t i = 0; i < table.columns; i++) {
		text_cell(&table, "%s", heads[i]);
	}
	if (distribution_summarize(&rows->norms, &summary)) {
		add_distribution(&table, "norm", &summary, number_text);
	}
	if (row_summary_ages(rows, &summary)) {
		add_distribution(&table, "age", &summary, age_text);
	}
	putchar('\n');
	text_print(&table);
	if (rows->ages.values.seen > rows->ages.values.count) {
		printf("percentiles are those of %" PRIu64 " rows, drawn uniformly\n",
			rows->ages.values.count);
	}
}

static void print_counts(const struct table_report *report)
{
	struct text_table table = {.columns = 2};
	text_cell(&table, "rows");
	text_cell(&table, "%" PRIu64, report->rows.rows);
	text_cell(&table, "zero rows");
	text_cell(&table, "%" PRIu64, report->rows.zero);
	text_cell(&table, "rows with NaN or infinity");
	text_cell(&table, "%" PRIu64, report->rows.nonfinite);
	text_cell(&table, "rows of the future");
	text_cell(&table, "%" PRIu64, report->rows.future);
	text_cell(&table, "expired, not counted above");
	if (report->expired_known) {
		text_cell(&table, "%" PRIu64, report->expired);
	} else {
		text_cell(&table, "not known while rows are pending");
	}
	text_print(&table);
}

static void add_abundance(struct text_table *table, double abundance, size_t of)
{
	if (abundance > 0) {
		text_cell(table, "%.4g of %zu", abundance, of);
	} else {
		text_cell(table, "none");
	}
}

/* Prints the first and the last values on one line. */
static void print_values(const struct spectrum *spectrum)
{
	fputs("singular values     ", stdout);
	for (size_t i = 0; i < spectrum->count; i++) {
		if (i < VALUES_SHOWN || i + VALUES_SHOWN >= spectrum->count) {
			printf(" %.4g", spectrum->values[i]);
		} else if (i == VALUES_SHOWN) {
			fputs(" ...", stdout);
		}
	}
	putchar('\n');
}

static void print_sample(const struct table_report *report)
{
	const struct sample_statistics *sample = &report->sample;
	printf("\nin a sample of %zu rows (seed %" PRIu64 "), %zu dims:\n", sample->rows,
		report->seed, sample->width);
	print_values(&sample->spectrum);
	struct text_table table = {.columns = 2};
	text_cell(&table, "information abundance");
	add_abundance(&table, sample->spectrum.information_abundance, sample->spectrum.count);
	text_cell(&table, "dims for 99 %% of energy");
	text_cell(&table, "%zu", sample->spectrum.effective_rank);
	if (sample->constant != NULL) {
		text_cell(&table, "constant dims");
		text_cell(&table, "%zu", sample->constant_count);
	}
	text_cell(&table, "mean |mean of a dim|");
	text_cell(&table, "%.4g", sample->mean_abs_mean);
	text_print(&table);
}

static void print_views(const struct sample_statistics *sample)
{
	struct text_table table = {.columns = 3};
	const size_t dim = sample->width / sample->views;
	text_cell(&table, "VIEW");
	text_cell(&table, "INFORMATION ABUNDANCE");
	text_cell(&table, "DIMS FOR 99 %% OF ENERGY");
	for (uint32_t view = 0; view < sample->views && view < VIEWS_SHOWN; view++) {
		const struct view_statistics *each = &sample->each_view[view];
		text_cell(&table, "%" PRIu32, view);
		add_abundance(&table, each->information_abundance,
			sample->rows < dim ? sample->rows : dim);
		text_cell(&table, "%zu", each->effective_rank);
	}
	putchar('\n');
	text_print(&table);
	if (sample->views > VIEWS_SHOWN) {
		printf("and %" PRIu32 " more; --json has all\n", sample->views - VIEWS_SHOWN);
	}
}

static int by_covariance(const void *left, const void *right)
{
	const double a = ((const struct pair_statistics *)left)->mean_abs_covariance;
	const double b = ((const struct pair_statistics *)right)->mean_abs_covariance;
	return (a < b) - (a > b);
}

static void print_pairs(struct sample_statistics *sample)
{
	struct text_table table = {.columns = 2};
	qsort(sample->pairs, sample->pair_count, sizeof *sample->pairs, by_covariance);
	text_cell(&table, "VIEWS");
	text_cell(&table, "MEAN |COVARIANCE|");
	for (size_t i = 0; i < sample->pair_count && i < PAIRS_SHOWN; i++) {
		const struct pair_statistics *pair = &sample->pairs[i];
		text_cell(&table, "%" PRIu32 ",%" PRIu32, pair->first, pair->second);
		text_cell(&table, "%.4g", pair->mean_abs_covariance);
	}
	text_cell(&table, "mean of %zu", sample->pair_count);
	text_cell(&table, "%.4g", sample->pairs_mean);
	putchar('\n');
	text_print(&table);
}

void table_report_text(struct table_report *report)
{
	const struct rep_table_spec *spec = &report->table.spec;
	struct sample_statistics *sample = &report->sample;
	printf("%s/%s: %" PRIu32 " x %" PRIu32 " %s\n\n", report->release, spec->name, spec->views,
		spec->dim, dtype_name((enum dtype)spec->dtype));
	print_counts(report);
	print_distributions(&report->rows);
	if (sample->rows == 0) {
		return;
	}
	print_sample(report);
	if (sample->each_view != NULL) {
		print_views(sample);
	}
	if (sample->pairs != NULL) {
		print_pairs(sample);
	} else if (report->extent == SAMPLE_WITHOUT_PAIRS) {
		fputs("\ncovariances of views: left out, they take too long at this --sample\n",
			stdout);
	}
}

void table_report_fini(struct table_report *report)
{
	row_summary_fini(&report->rows);
	sample_statistics_fini(&report->sample);
}
