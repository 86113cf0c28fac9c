/* layer_figures.c - metrics, losses and slopes of scored samples. */
#include "tools/evaluation/layer_figures.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Adds the figures of one mini-batch to `sums`. `slopes` is double[batch->count] to work in. */
static void add_batch(const struct loss_batch *batch, double *slopes, struct figures *sums,
	size_t *negatives)
{
	double pair = 0;
	sums->batches++;
	if (ranking_loss_pair(batch, &pair)) {
		sums->pair_batches++;
		sums->pair_loss += pair;
	}
	memset(slopes, 0, batch->count * sizeof *slopes);
	ranking_loss_bce_slopes(batch, 1, (double)batch->count, slopes);
	for (size_t i = 0; i < batch->count; i++) {
		sums->bce_slope += batch->labels[i] ? 0 : slopes[i];
		*negatives += !batch->labels[i];
		slopes[i] = 0;
	}
	ranking_loss_pair_slopes(batch, (double)batch->count, slopes);
	for (size_t i = 0; i < batch->count; i++) {
		assert(batch->labels[i] || slopes[i] >= 0);
		sums->pair_slope += batch->labels[i] ? 0 : slopes[i];
	}
}

/* The slope of a negative is never below 0, so the sum of slopes is the sum of their sizes. */
static enum status fill_losses(const struct ranking *ranking,
	const struct figure_settings *settings, struct figures *out)
{
	const struct loss *loss = &settings->loss;
	const struct loss_batch all = {ranking->scores, ranking->labels, ranking->count};
	size_t negatives = 0;
	double *slopes = calloc(settings->batch, sizeof *slopes);
	if (slopes == NULL) {
		return STATUS_NO_MEMORY;
	}
	for (size_t first = 0; first < all.count; first += settings->batch) {
		const size_t left = all.count - first;
		const struct loss_batch batch = {all.logits + first, all.labels + first,
			left < settings->batch ? left : settings->batch};
		add_batch(&batch, slopes, out, &negatives);
	}
	free(slopes);
	assert(out->pair_batches <= out->batches && negatives <= all.count);
	out->pair_loss /= (double)out->pair_batches; /* 0 / 0 is NaN */
	out->bce_slope /= (double)negatives;
	out->pair_slope /= (double)negatives;
	out->both_slope = loss->alpha * out->bce_slope + (1 - loss->alpha) * out->pair_slope;
	out->log_loss = ranking_loss_bce(&all, 1);
	out->weighted_log_loss = ranking_loss_bce(&all, loss->positive_weight);
	out->both_loss = loss->alpha * out->weighted_log_loss + (1 - loss->alpha) * out->pair_loss;
	return STATUS_OK;
}

/* Whether there are two users at least: all resamples of one user are the same. */
static bool has_users(const struct ranking *ranking)
{
	for (size_t i = 1; i < ranking->count; i++) {
		if (ranking->users[i] != ranking->users[0]) {
			return true;
		}
	}
	return false;
}

static enum status fill_interval(const struct ranking *ranking,
	const struct figure_settings *settings, struct figures *out)
{
	const size_t count = settings->resamples;
	if (count == 0 || !has_users(ranking)) {
		return STATUS_OK;
	}
	out->resampled = calloc(count, sizeof *out->resampled);
	double *sorted = calloc(count, sizeof *sorted);
	enum status status = STATUS_NO_MEMORY;
	if (out->resampled != NULL && sorted != NULL) {
		status = ranking_resample(ranking, settings->seed, count, out->resampled);
	}
	if (status == STATUS_OK) {
		memcpy(sorted, out->resampled, count * sizeof *sorted);
		out->has_interval = ranking_interval(sorted, count, &out->interval);
	}
	free(sorted);
	return status;
}

enum status figures_make(const struct ranking *ranking, const struct figure_settings *settings,
	struct figures *out)
{
	struct figures figures = {0};
	enum status status = ranking_auc(ranking, &figures.auc);
	if (status == STATUS_OK) {
		status = ranking_gauc(ranking, &figures.gauc);
	}
	if (status == STATUS_OK) {
		status = fill_losses(ranking, settings, &figures);
	}
	if (status == STATUS_OK) {
		status = fill_interval(ranking, settings, &figures);
	}
	if (status != STATUS_OK) {
		figures_fini(&figures);
		return status;
	}
	*out = figures;
	return STATUS_OK;
}

void figures_fini(struct figures *figures)
{
	free(figures->resampled);
	*figures = (struct figures){0};
}

bool figures_difference(const struct figures *a, const struct figures *b, size_t resamples,
	struct interval *out)
{
	if (a->resampled == NULL || b->resampled == NULL) {
		return false;
	}
	double *differences = calloc(resamples, sizeof *differences);
	if (differences == NULL) {
		return false;
	}
	for (size_t i = 0; i < resamples; i++) {
		differences[i] = a->resampled[i] - b->resampled[i];
	}
	const bool has = ranking_interval(differences, resamples, out);
	free(differences);
	return has;
}
