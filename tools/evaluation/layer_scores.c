/* layer_scores.c - reads the history, makes features, fits the probe, scores. */
#include "tools/evaluation/layer_scores.h"

#include "tools/evaluation/cr_features.h"
#include "tools/evaluation/cr_history.h"
#include "tools/evaluation/logistic_probe.h"
#include "tools/evaluation/seeded_random.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* What the work on one layer needs. */
struct work {
	struct table_spec spec;
	struct cr_history *history;
	struct cr_reads reads;
	struct cr_features features;
	struct probe probe;
	double *rows;    /* of a mini-batch */
	uint8_t *labels; /* of a mini-batch */
	uint32_t *order; /* of the training part */
};

double layer_scores_constant(const struct cr_samples *samples, size_t cut, const struct loss *loss)
{
	size_t positives = 0;
	for (size_t k = 0; k < cut; k++) {
		positives += samples->labels[k];
	}
	assert(positives > 0 && positives < cut);
	const double weight = loss->kind == LOSS_PAIR ? 1 : loss->positive_weight;
	return log(weight * (double)positives / (double)(cut - positives));
}

static enum status no_memory(const struct cr_layer *layer, struct error *err)
{
	return error_set(err, STATUS_NO_MEMORY, "--layer %s: no memory", layer->name.text);
}

/* ---- reads ---- */

static bool all_finite(const float *values, size_t count)
{
	/* 0 times NaN or infinity is NaN; 0 times anything else is 0. */
	float sum = 0;
	for (size_t i = 0; values != NULL && i < count; i++) {
		sum += values[i] * 0;
	}
	return sum == 0;
}

/* Reads what sample k sees. Errors: TOO_LARGE  a sum is beyond f32; `err` tells before which
 * sample. */
static enum status read_next(struct work *work, const struct cr_samples *samples, size_t k,
	struct cr_read *out, struct error *err)
{
	const bool is_read = cr_history_next(work->history, out);
	assert(is_read);
	(void)is_read;
	const bool user = all_finite(out->user, work->spec.dim);
	if (!user || !all_finite(out->item, work->spec.dim)) {
		return error_set(err, STATUS_TOO_LARGE,
			"before sample %" PRIu32 " the sum of %s's vectors is beyond f32",
			samples->order[k], user ? "its item" : "its user");
	}
	return STATUS_OK;
}

static enum status read_training(struct work *work, const struct cr_samples *samples, size_t cut,
	size_t *both, struct error *err)
{
	for (size_t k = 0; k < cut; k++) {
		struct cr_read read;
		enum status status = read_next(work, samples, k, &read, err);
		if (status != STATUS_OK) {
			return status;
		}
		cr_reads_add(&work->reads, &read);
		*both += read.user != NULL && read.item != NULL;
	}
	return STATUS_OK;
}

/* ---- fit ---- */

static void fit(struct work *work, const struct cr_samples *samples, size_t cut,
	const struct fit_settings *settings)
{
	struct seeded_random random = {settings->seed};
	for (size_t k = 0; k < cut; k++) {
		work->order[k] = (uint32_t)k;
	}
	for (uint64_t epoch = 0; epoch < settings->epochs; epoch++) {
		seeded_random_shuffle(&random, work->order, cut);
		for (size_t first = 0; first < cut; first += settings->batch) {
			const size_t left = cut - first;
			const size_t count = left < settings->batch ? left : settings->batch;
			for (size_t i = 0; i < count; i++) {
				const uint32_t k = work->order[first + i];
				const struct cr_read read = cr_reads_at(&work->reads, k);
				cr_features_fill(&work->features, &read,
					work->rows + i * work->features.count);
				work->labels[i] = samples->labels[k];
			}
			probe_step(&work->probe, work->rows, work->labels, count);
		}
	}
}

/* Prepares the fit. The training part has been read. */
static enum status begin_fit(struct work *work, const struct cr_samples *samples, size_t cut,
	const struct fit_settings *settings)
{
	const size_t batch = settings->batch < cut ? settings->batch : cut;
	assert(batch >= 1);
	enum status status = cr_features_fit(&work->reads, &work->features);
	if (status != STATUS_OK) {
		return status;
	}
	const struct probe_settings probe_settings = {
		.features = work->features.count,
		.batch_max = batch,
		.steps = settings->epochs * ((cut + settings->batch - 1) / settings->batch),
		.loss = settings->loss,
		.rate = settings->rate,
		.l2 = settings->l2,
		.bias = layer_scores_constant(samples, cut, &settings->loss),
	};
	status = probe_init(&work->probe, &probe_settings);
	if (status != STATUS_OK) {
		return status;
	}
	work->rows = calloc(batch * work->features.count, sizeof *work->rows);
	work->labels = calloc(batch, sizeof *work->labels);
	work->order = calloc(cut, sizeof *work->order);
	return work->rows != NULL && work->labels != NULL && work->order != NULL ? STATUS_OK
										 : STATUS_NO_MEMORY;
}

/* ---- scores ---- */

static enum status score(struct work *work, const struct cr_samples *samples, size_t cut,
	double *out, size_t *both, struct error *err)
{
	for (size_t k = cut; k < samples->count; k++) {
		struct cr_read read;
		enum status status = read_next(work, samples, k, &read, err);
		if (status != STATUS_OK) {
			return status;
		}
		cr_features_fill(&work->features, &read, work->rows);
		const double logit = probe_logit(&work->probe, work->rows);
		if (!isfinite(logit)) {
			return error_set(err, STATUS_TOO_LARGE,
				"the probe has diverged; a smaller --rate may help");
		}
		out[k - cut] = logit;
		*both += read.user != NULL && read.item != NULL;
	}
	return STATUS_OK;
}

static void work_fini(struct work *work)
{
	cr_history_close(work->history);
	cr_reads_fini(&work->reads);
	cr_features_fini(&work->features);
	probe_fini(&work->probe);
	free(work->rows);
	free(work->labels);
	free(work->order);
}

enum status layer_scores_make(const struct cr_samples *samples, size_t cut,
	const struct cr_layer *layer, const struct fit_settings *settings, struct layer_scores *out,
	struct error *err)
{
	struct work work = {.spec = settings->spec};
	struct both_counts both = {0};
	struct error why = {0};
	assert(cut >= 1 && cut < samples->count && settings->batch >= 1);
	work.spec.dim = layer->dim;
	enum status status = cr_history_open(samples, layer, &work.spec, &work.history);
	if (status == STATUS_OK) {
		status = cr_reads_init(&work.reads, layer->dim, cut);
	}
	if (status == STATUS_OK) {
		status = read_training(&work, samples, cut, &both.fitted, &why);
	}
	if (status == STATUS_OK) {
		status = begin_fit(&work, samples, cut, settings);
	}
	if (status == STATUS_OK) {
		fit(&work, samples, cut, settings);
		status = score(&work, samples, cut, out->logits, &both.scored, &why);
	}
	work_fini(&work);
	if (status == STATUS_NO_MEMORY) {
		return no_memory(layer, err);
	}
	if (status != STATUS_OK) {
		return error_set(err, status, "--layer %s: %s", layer->name.text, why.text);
	}
	out->both = both;
	return STATUS_OK;
}
