/* layer_report.c - tables, a verdict, and the same as JSON. */
#include "tools/layer_report.h"

#include "tools/json.h"
#include "tools/text.h"

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

/* The numbers of all layers, the best by AUC first; of equal ones the one given first. */
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

/* How the best layer stands to the next. */
struct verdict {
	const struct report_layer *best;
	const struct report_layer *next; /* NULL: there is one layer */
	bool has_intervals;
	bool overlap;
	struct interval difference; /* of the two AUCs, over the same resamples */
};

static struct verdict verdict_of(const struct layer_report *report)
{
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

/* `"name": value`, with what separates it from the one before. */
static void json_field(const char *separator, const char *name, double value)
{
	printf("%s\"%s\": ", separator, name);
	json_double(stdout, value);
}

static void json_interval(const char *name, bool has, const struct interval *interval)
{
	if (!has) {
		printf(", \"%s\": null", name);
		return;
	}
	printf(", \"%s\": [", name);
	json_double(stdout, interval->low);
	fputs(", ", stdout);
	json_double(stdout, interval->high);
	putchar(']');
}

static void json_part(const char *name, const struct report_part *part)
{
	printf(", \"%s\": {\"samples\": %zu, \"positives\": %zu, \"users\": %zu, \"first_ms\": "
	       "%" PRId64 ", \"last_ms\": %" PRId64 "}",
		name, part->samples, part->positives, part->users, part->first_ms, part->last_ms);
}

static void json_settings(const struct layer_report *report)
{
	const struct fit_settings *fit = &report->fit;
	printf(", \"settings\": {\"decay_events\": ");
	json_double(stdout, fit->spec.decay_events);
	printf(", \"half_life_ms\": %" PRIu64 ", \"read\": \"%s\"", fit->spec.half_life_ms,
		reading_name(fit->spec.reading));
	json_field(", ", "train", report->train);
	fputs(", \"from\": ", stdout);
	if (report->from != NULL) {
		json_text(stdout, report->from);
	} else {
		fputs("null", stdout);
	}
	printf(", \"loss\": \"%s\"", loss_name(fit->loss.kind));
	json_field(", ", "alpha", fit->loss.alpha);
	json_field(", ", "positive_weight", fit->loss.positive_weight);
	printf(", \"batch\": %zu, \"epochs\": %" PRIu64, fit->batch, fit->epochs);
	json_field(", ", "l2", fit->l2);
	json_field(", ", "rate", fit->rate);
	printf(", \"seed\": %" PRIu64 ", \"bootstrap\": %zu}", fit->seed,
		report->settings.resamples);
}

static void json_figures(const struct figures *figures)
{
	json_field("", "auc", figures->auc);
	json_interval("auc_interval", figures->has_interval, &figures->interval);
	json_field(", ", "gauc", figures->gauc.value);
	printf(", \"gauc_users\": %zu, \"gauc_samples\": %zu", figures->gauc.users,
		figures->gauc.samples);
	json_field(", ", "log_loss", figures->log_loss);
	json_field(", ", "weighted_log_loss", figures->weighted_log_loss);
	json_field(", ", "pair_loss", figures->pair_loss);
	json_field(", ", "combined_loss", figures->both_loss);
	printf(", \"batches\": %zu, \"pair_batches\": %zu", figures->batches,
		figures->pair_batches);
	json_field(", \"gradient_on_negatives\": {", "bce", figures->bce_slope);
	json_field(", ", "pair", figures->pair_slope);
	json_field(", ", "combined", figures->both_slope);
	putchar('}');
}

static void json_verdict(const struct layer_report *report)
{
	const struct verdict verdict = verdict_of(report);
	printf(", \"best\": {\"layer\": ");
	json_text(stdout, verdict.best->name.text);
	if (verdict.next != NULL) {
		printf(", \"next\": ");
		json_text(stdout, verdict.next->name.text);
		json_field(", ", "auc_difference",
			verdict.best->figures.auc - verdict.next->figures.auc);
		json_interval("auc_difference_interval", verdict.has_intervals,
			&verdict.difference);
		printf(", \"intervals_overlap\": %s", !verdict.has_intervals ? "null"
						      : verdict.overlap      ? "true"
									     : "false");
	}
	putchar('}');
}

void layer_report_json(const struct layer_report *report)
{
	printf("{\"samples\": %zu, \"users\": %zu, \"items\": %zu", report->samples->count,
		report->samples->user_count, report->samples->item_count);
	json_part("fitted", &report->fitted);
	json_part("evaluated", &report->scored);
	json_settings(report);
	fputs(", \"constant\": {", stdout);
	json_figures(&report->constant);
	fputs("}, \"layers\": [", stdout);
	for (size_t i = 0; i < report->count; i++) {
		const struct report_layer *layer = &report->layers[i];
		fputs(i > 0 ? ", {\"layer\": " : "{\"layer\": ", stdout);
		json_text(stdout, layer->name.text);
		printf(", \"dim\": %" PRIu32 ", \"both_crs_fitted\": %zu, "
		       "\"both_crs_evaluated\": %zu, ",
			layer->dim, layer->both.fitted, layer->both.scored);
		json_figures(&layer->figures);
		putchar('}');
	}
	putchar(']');
	json_verdict(report);
	fputs("}\n", stdout);
}

void layer_report_fini(struct layer_report *report)
{
	figures_fini(&report->constant);
	for (size_t i = 0; i < report->count; i++) {
		figures_fini(&report->layers[i].figures);
	}
	report->count = 0;
}
