/* layer_report.c - tables, a verdict, and the same as JSON. */
#include "tools/evaluation/layer_report.h"

#include "tools/format/json_write.h"
#include "tools/format/text.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static const char *loss_name(enum loss_kind kind)
{
	switch (kind) {
	case LOSS_BCE:
		return "bce";
	case LOSS_PAIR:
		return "pair";
	case LOSS_BOTH:
		return "both";
	case LOSS_NONE:
		break;
	}
	return "none";
}

static double percent(size_t part, size_t whole)
{
	return 100 * (double)part / (double)whole;
}

/* ---- the verdict ---- */

/* Fills `order` with the numbers of all layers, the best AUC first. Of equal layers the one that
 * was given first stands first. */
static void rank(const struct layer_report *report, size_t order[LAYER_REPORT_MAX])
{
	for (size_t i = 0; i < report->count; i++) {
		size_t at = i;
		for (; at > 0 &&
			report->layers[order[at - 1]].figures.auc < report->layers[i].figures.auc;
			at--) {
			order[at] = order[at - 1];
		}
		order[at] = i;
	}
}

/* The best layer compared with the next. */
struct verdict {
	const struct report_layer *best;
	const struct report_layer *next; /* NULL: there is one layer */
	bool has_intervals;
	bool overlap;
	struct interval difference; /* of the two AUCs, over the same resamples */
};

static struct verdict verdict_of(const struct layer_report *report)
{
	assert(report->count > 0 && report->count <= LAYER_REPORT_MAX);
	size_t order[LAYER_REPORT_MAX] = {0};
	rank(report, order);
	struct verdict verdict = {.best = &report->layers[order[0]]};
	if (report->count < 2) {
		return verdict;
	}
	verdict.next = &report->layers[order[1]];
	const struct figures *best = &verdict.best->figures;
	const struct figures *next = &verdict.next->figures;
	verdict.has_intervals =
		best->has_interval && next->has_interval &&
		figures_difference(best, next, report->settings.resamples, &verdict.difference);
	verdict.overlap = next->interval.high >= best->interval.low;
	return verdict;
}

/* ---- text ---- */

static void print_settings(const struct layer_report *report)
{
	const struct fit_settings *fit = &report->fit;
	char duration[TEXT_BYTES];
	printf("CR(u) and CR(i) just before the time of each sample: decay");
	if (fit->spec.decay_events != 1 || fit->spec.half_life_ms == 0) {
		printf(" events=%g", fit->spec.decay_events);
	}
	if (fit->spec.half_life_ms != 0) {
		printf(" half_life=%s", text_duration(fit->spec.half_life_ms, duration));
	}
	printf(", read %s%s%s\n", reading_name(fit->spec.reading),
		report->from != NULL ? ", going on from release " : "",
		report->from != NULL ? report->from : "");
	printf("logistic probe: loss %s", loss_name(fit->loss.kind));
	if (fit->loss.kind == LOSS_BOTH) {
		printf(" (alpha %g)", fit->loss.alpha);
	}
	printf(", positive weight %g, %" PRIu64 " epochs of batches of %zu, rate %g, l2 %g, seed "
	       "%" PRIu64 "\n\n",
		fit->loss.positive_weight, fit->epochs, fit->batch, fit->rate, fit->l2, fit->seed);
}

static void add_part(struct text_table *table, const char *name, const struct report_part *part)
{
	char text[TEXT_BYTES];
	text_cell(table, "%s", name);
	text_cell(table, "%zu", part->samples);
	text_cell(table, "%.1f%%", percent(part->positives, part->samples));
	text_cell(table, "%zu", part->users);
	text_cell(table, "%.19s", text_time(part->first_ms, text));
	text_cell(table, "%.19s", text_time(part->last_ms, text));
}

static void print_parts(const struct layer_report *report)
{
	static const char *const heads[] = {"", "SAMPLES", "POSITIVE", "USERS", "FROM", "TO"};
	struct text_table table = {.columns = sizeof heads / sizeof heads[0]};
	printf("%zu samples of %zu users and %zu items\n", report->samples->count,
		report->samples->user_count, report->samples->item_count);
	for (size_t i = 0; i < table.columns; i++) {
		text_cell(&table, "%s", heads[i]);
	}
	add_part(&table, "fitted on", &report->fitted);
	add_part(&table, "evaluated on", &report->scored);
	text_print(&table);
}

static void add_figure(struct text_table *table, double value)
{
	if (isnan(value)) {
		text_cell(table, "-");
	} else {
		text_cell(table, "%.4f", value);
	}
}

static void add_interval(struct text_table *table, const struct figures *figures)
{
	if (figures->has_interval) {
		text_cell(table, "%.4f-%.4f", figures->interval.low, figures->interval.high);
	} else {
		text_cell(table, "-");
	}
}

static void print_ranking(const struct layer_report *report, const size_t *order)
{
	static const char *const heads[] = {"LAYER", "DIM", "BOTH CRS", "AUC", "95% INTERVAL",
		"GAUC", "USERS IN GAUC"};
	struct text_table table = {.columns = sizeof heads / sizeof heads[0]};
	for (size_t i = 0; i < table.columns; i++) {
		text_cell(&table, "%s", heads[i]);
	}
	for (size_t i = 0; i < report->count; i++) {
		const struct report_layer *layer = &report->layers[order[i]];
		text_cell(&table, "%s", layer->name.text);
		text_cell(&table, "%" PRIu32, layer->dim);
		text_cell(&table, "%.1f%%", percent(layer->both.scored, report->scored.samples));
		add_figure(&table, layer->figures.auc);
		add_interval(&table, &layer->figures);
		add_figure(&table, layer->figures.gauc.value);
		text_cell(&table, "%zu", layer->figures.gauc.users);
	}
	text_print(&table);
}

static void add_losses(struct text_table *table, const char *name, const struct figures *figures)
{
	const double values[] = {figures->log_loss, figures->weighted_log_loss, figures->pair_loss,
		figures->both_loss, figures->bce_slope, figures->pair_slope, figures->both_slope};
	text_cell(table, "%s", name);
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		add_figure(table, values[i]);
	}
}

static void print_losses(const struct layer_report *report, const size_t *order)
{
	static const char *const heads[] = {"LAYER", "LOG LOSS", "WEIGHTED", "PAIR LOSS",
		"COMBINED", "|dL/dz| BCE", "PAIR", "COMBINED"};
	struct text_table table = {.columns = sizeof heads / sizeof heads[0]};
	for (size_t i = 0; i < table.columns; i++) {
		text_cell(&table, "%s", heads[i]);
	}
	for (size_t i = 0; i < report->count; i++) {
		const struct report_layer *layer = &report->layers[order[i]];
		add_losses(&table, layer->name.text, &layer->figures);
	}
	add_losses(&table, "(constant)", &report->constant);
	putchar('\n');
	text_print(&table);
	printf("combined: %g x weighted log loss + %g x pair loss; pairs within %zu of %zu batches\n"
	       "|dL/dz|: mean size of the gradient on negatives, times the samples of a batch\n\n",
		report->settings.loss.alpha, 1 - report->settings.loss.alpha,
		report->constant.pair_batches, report->constant.batches);
}

static void print_verdict(const struct layer_report *report)
{
	const struct verdict verdict = verdict_of(report);
	printf("best by AUC: %s, %.4f", verdict.best->name.text, verdict.best->figures.auc);
	if (verdict.best->figures.has_interval && verdict.best->figures.interval.low <= 0.5) {
		printf(" (no better than chance, for all that can be told)");
	}
	if (verdict.next == NULL) {
		printf("; no other layer was given\n");
		return;
	}
	printf("; ");
	if (verdict.has_intervals) {
		printf("its interval %s that of the next, %s, %.4f; the difference, %.4f, is "
		       "%.4f to %.4f (95%%): %s\n",
			verdict.overlap ? "overlaps" : "does not overlap", verdict.next->name.text,
			verdict.next->figures.auc,
			verdict.best->figures.auc - verdict.next->figures.auc,
			verdict.difference.low, verdict.difference.high,
			verdict.difference.low > 0 ? "more than chance" : "it may be chance");
	} else {
		printf("the next is %s, %.4f; without intervals (of two users or more) nobody can "
		       "tell whether that is chance\n",
			verdict.next->name.text, verdict.next->figures.auc);
	}
}

void layer_report_text(const struct layer_report *report)
{
	size_t order[LAYER_REPORT_MAX] = {0};
	rank(report, order);
	print_parts(report);
	print_settings(report);
	print_ranking(report, order);
	print_losses(report, order);
	print_verdict(report);
}

/* ---- JSON ---- */

static void json_interval(struct json_writer *json, const char *name, bool has,
	const struct interval *interval)
{
	if (!has) {
		json_write_null(json, name);
		return;
	}
	json_write_array(json, name);
	json_write_double(json, NULL, interval->low);
	json_write_double(json, NULL, interval->high);
	json_write_array_end(json);
}

static void json_part(struct json_writer *json, const char *name, const struct report_part *part)
{
	json_write_object(json, name);
	json_write_u64(json, "samples", part->samples);
	json_write_u64(json, "positives", part->positives);
	json_write_u64(json, "users", part->users);
	json_write_i64(json, "first_ms", part->first_ms);
	json_write_i64(json, "last_ms", part->last_ms);
	json_write_object_end(json);
}

static void json_settings(struct json_writer *json, const struct layer_report *report)
{
	const struct fit_settings *fit = &report->fit;
	json_write_object(json, "settings");
	json_write_double(json, "decay_events", fit->spec.decay_events);
	json_write_u64(json, "half_life_ms", fit->spec.half_life_ms);
	json_write_text(json, "read", reading_name(fit->spec.reading));
	json_write_double(json, "train", report->train);
	json_write_text(json, "from", report->from);
	json_write_text(json, "loss", loss_name(fit->loss.kind));
	json_write_double(json, "alpha", fit->loss.alpha);
	json_write_double(json, "positive_weight", fit->loss.positive_weight);
	json_write_u64(json, "batch", fit->batch);
	json_write_u64(json, "epochs", fit->epochs);
	json_write_double(json, "l2", fit->l2);
	json_write_double(json, "rate", fit->rate);
	json_write_u64(json, "seed", fit->seed);
	json_write_u64(json, "bootstrap", report->settings.resamples);
	json_write_object_end(json);
}

static void json_figures(struct json_writer *json, const struct figures *figures)
{
	json_write_double(json, "auc", figures->auc);
	json_interval(json, "auc_interval", figures->has_interval, &figures->interval);
	json_write_double(json, "gauc", figures->gauc.value);
	json_write_u64(json, "gauc_users", figures->gauc.users);
	json_write_u64(json, "gauc_samples", figures->gauc.samples);
	json_write_double(json, "log_loss", figures->log_loss);
	json_write_double(json, "weighted_log_loss", figures->weighted_log_loss);
	json_write_double(json, "pair_loss", figures->pair_loss);
	json_write_double(json, "combined_loss", figures->both_loss);
	json_write_u64(json, "batches", figures->batches);
	json_write_u64(json, "pair_batches", figures->pair_batches);
	json_write_object(json, "gradient_on_negatives");
	json_write_double(json, "bce", figures->bce_slope);
	json_write_double(json, "pair", figures->pair_slope);
	json_write_double(json, "combined", figures->both_slope);
	json_write_object_end(json);
}

static void json_verdict(struct json_writer *json, const struct layer_report *report)
{
	const struct verdict verdict = verdict_of(report);
	json_write_object(json, "best");
	json_write_text(json, "layer", verdict.best->name.text);
	if (verdict.next != NULL) {
		json_write_text(json, "next", verdict.next->name.text);
		json_write_double(json, "auc_difference",
			verdict.best->figures.auc - verdict.next->figures.auc);
		json_interval(json, "auc_difference_interval", verdict.has_intervals,
			&verdict.difference);
		if (verdict.has_intervals) {
			json_write_bool(json, "intervals_overlap", verdict.overlap);
		} else {
			json_write_null(json, "intervals_overlap");
		}
	}
	json_write_object_end(json);
}

void layer_report_json(const struct layer_report *report)
{
	struct json_writer json = {.out = stdout};
	json_write_object(&json, NULL);
	json_write_u64(&json, "samples", report->samples->count);
	json_write_u64(&json, "users", report->samples->user_count);
	json_write_u64(&json, "items", report->samples->item_count);
	json_part(&json, "fitted", &report->fitted);
	json_part(&json, "evaluated", &report->scored);
	json_settings(&json, report);
	json_write_object(&json, "constant");
	json_figures(&json, &report->constant);
	json_write_object_end(&json);
	json_write_array(&json, "layers");
	for (size_t i = 0; i < report->count; i++) {
		const struct report_layer *layer = &report->layers[i];
		json_write_object(&json, NULL);
		json_write_text(&json, "layer", layer->name.text);
		json_write_u64(&json, "dim", layer->dim);
		json_write_u64(&json, "both_crs_fitted", layer->both.fitted);
		json_write_u64(&json, "both_crs_evaluated", layer->both.scored);
		json_figures(&json, &layer->figures);
		json_write_object_end(&json);
	}
	json_write_array_end(&json);
	json_verdict(&json, report);
	json_write_object_end(&json);
	json_write_line(&json);
}

void layer_report_fini(struct layer_report *report)
{
	figures_fini(&report->constant);
	for (size_t i = 0; i < report->count; i++) {
		figures_fini(&report->layers[i].figures);
	}
	report->count = 0;
}
