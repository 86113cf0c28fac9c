/* layer_evaluation.c - cuts the samples in two, evaluates layer by layer, writes scores. */
#include "tools/evaluation/layer_evaluation.h"

#include "tools/evaluation/cr_layer.h"
#include "tools/format/npy.h"
#include "tools/format/output.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* ---- samples ---- */

/* Counts samples [first, end), their positives and their users. */
static enum status count_part(const struct cr_samples *samples, size_t first, size_t end,
	struct report_part *out)
{
	uint8_t *seen = calloc(samples->user_count, sizeof *seen);
	if (seen == NULL) {
		return STATUS_NO_MEMORY;
	}
	*out = (struct report_part){.samples = end - first,
		.first_ms = samples->times_ms[first],
		.last_ms = samples->times_ms[end - 1]};
	for (size_t k = first; k < end; k++) {
		out->positives += samples->labels[k];
		out->users += !seen[samples->users[k]];
		seen[samples->users[k]] = 1;
	}
	free(seen);
	return STATUS_OK;
}

static enum status check_classes(const struct evaluation *evaluation, const char *name,
	const struct report_part *part, struct error *err)
{
	if (part->positives > 0 && part->positives < part->samples) {
		return STATUS_OK;
	}
	return error_set(err, STATUS_BAD_REQUEST,
		"--labels: '%s': the %zu samples of the %s part (--train %g, by time) are all %d, "
		"both 0 and 1 are needed there",
		evaluation->request->columns.labels, part->samples, name,
		evaluation->request->train, part->positives > 0);
}

static enum status read_samples(struct evaluation *evaluation, struct error *err)
{
	struct layer_report *report = &evaluation->report;
	struct cr_samples *samples = &evaluation->samples;
	enum status status = cr_samples_read(&evaluation->request->columns, samples, err);
	if (status != STATUS_OK) {
		return status;
	}
	report->samples = samples;
	evaluation->cut = cr_samples_cut(samples, evaluation->request->train);
	if (evaluation->cut == 0) {
		return error_set(err, STATUS_BAD_REQUEST,
			"--train: %g of %zu samples given, at least one more than those of the "
			"first time in '%s' is needed",
			evaluation->request->train, samples->count,
			evaluation->request->columns.times);
	}
	status = count_part(samples, 0, evaluation->cut, &report->fitted);
	if (status == STATUS_OK) {
		status = count_part(samples, evaluation->cut, samples->count, &report->scored);
	}
	if (status != STATUS_OK) {
		return error_set(err, status, "no memory for %zu users", samples->user_count);
	}
	status = check_classes(evaluation, "training", &report->fitted, err);
	if (status == STATUS_OK) {
		status = check_classes(evaluation, "evaluation", &report->scored, err);
	}
	return status;
}

/* ---- layers ---- */

static enum status make_figures(struct evaluation *evaluation, const double *scores,
	size_t resamples, struct figures *out, struct error *err)
{
	const struct cr_samples *samples = &evaluation->samples;
	struct figure_settings settings = evaluation->report.settings;
	const struct ranking ranking = {
		.scores = scores,
		.labels = samples->labels + evaluation->cut,
		.users = samples->users + evaluation->cut,
		.count = samples->count - evaluation->cut,
		.user_count = samples->user_count,
	};
	settings.resamples = resamples;
	const enum status status = figures_make(&ranking, &settings, out);
	return status == STATUS_OK ? STATUS_OK : error_set(err, status, "no memory for figures");
}

static enum status evaluate_constant(struct evaluation *evaluation, struct error *err)
{
	const struct cr_samples *samples = &evaluation->samples;
	const double logit =
		layer_scores_constant(samples, evaluation->cut, &evaluation->report.fit.loss);
	for (size_t k = 0; k < samples->count - evaluation->cut; k++) {
		evaluation->scores[k] = logit;
	}
	return make_figures(evaluation, evaluation->scores, 0, &evaluation->report.constant, err);
}

static enum status evaluate_layer(struct evaluation *evaluation, const char *text, double *scores,
	struct error *err)
{
	struct layer_report *report = &evaluation->report;
	assert(report->count < LAYER_REPORT_MAX);
	struct report_layer *result = &report->layers[report->count];
	struct layer_scores made = {.logits = scores};
	struct cr_layer layer = {0};
	const struct evaluation_request *request = evaluation->request;
	enum status status = cr_layer_open(text, evaluation->samples.count, &layer, err);
	if (status == STATUS_OK && request->load != NULL) {
		status = request->load(request->context, &evaluation->samples, &layer, &layer.start,
			err);
	}
	if (status == STATUS_OK) {
		*result = (struct report_layer){.name = layer.name, .dim = layer.dim};
		status = layer_scores_make(&evaluation->samples, evaluation->cut, &layer,
			&report->fit, &made, err);
		result->both = made.both;
	}
	cr_layer_close(&layer);
	if (status == STATUS_OK) {
		status = make_figures(evaluation, scores, report->settings.resamples,
			&result->figures, err);
	}
	report->count += status == STATUS_OK;
	return status;
}

/* Opens each file once, so that a wrong one is told before minutes are spent on the first. */
static enum status check_files(const struct evaluation *evaluation, struct error *err)
{
	const struct evaluation_request *request = evaluation->request;
	enum status status = STATUS_OK;
	for (size_t i = 0; i < request->layer_count && status == STATUS_OK; i++) {
		struct cr_layer layer = {0};
		status = cr_layer_open(request->layers[i], evaluation->samples.count, &layer, err);
		cr_layer_close(&layer);
	}
	return status;
}

/* Writes the logits, [evaluated, layers], in the order of time. */
static enum status write_scores(const struct evaluation *evaluation, struct error *err)
{
	const size_t layers = evaluation->request->layer_count;
	const size_t count = evaluation->samples.count - evaluation->cut;
	const uint64_t shape[2] = {count, layers};
	uint8_t header[NPY_HEADER_BYTES_WRITTEN];
	const size_t header_bytes = npy_write_header("<f8", shape, 2, header);
	struct output output = {0};
	enum status status = output_open(evaluation->request->scores, &output, err);
	if (status == STATUS_OK) {
		status = output_write(&output, header, header_bytes, err);
	}
	for (size_t k = 0; k < count && status == STATUS_OK; k++) {
		double row[LAYER_REPORT_MAX];
		for (size_t i = 0; i < layers; i++) {
			row[i] = evaluation->scores[i * count + k];
		}
		status = output_write(&output, row, layers * sizeof *row, err);
	}
	if (status == STATUS_OK) {
		return output_commit(&output, err);
	}
	output_abort(&output);
	return status;
}

enum status evaluation_run(const struct evaluation_request *request, struct evaluation *out,
	struct error *err)
{
	const size_t layers = request->layer_count;
	const bool keep = request->scores != NULL;
	*out = (struct evaluation){
		.request = request,
		.report = {.train = request->train,
			.from = request->from,
			.fit = request->fit,
			.settings = request->figures},
	};
	enum status status = read_samples(out, err);
	if (status == STATUS_OK) {
		status = check_files(out, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	assert(out->cut > 0 && out->cut < out->samples.count); /* both parts have both classes */
	const size_t count = out->samples.count - out->cut;
	out->scores = calloc(count * (keep ? layers : 1), sizeof *out->scores);
	if (out->scores == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for %zu scores", count);
	}
	status = evaluate_constant(out, err);
	for (size_t i = 0; i < layers && status == STATUS_OK; i++) {
		status = evaluate_layer(out, request->layers[i],
			out->scores + (keep ? i * count : 0), err);
	}
	if (status == STATUS_OK && keep) {
		status = write_scores(out, err);
	}
	return status;
}

void evaluation_fini(struct evaluation *evaluation)
{
	layer_report_fini(&evaluation->report);
	cr_samples_fini(&evaluation->samples);
	free(evaluation->scores);
	*evaluation = (struct evaluation){0};
}
