/* logistic_probe.c - Adam over mini-batches of a linear model. */
#include "tools/evaluation/logistic_probe.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double mean_decay = 0.9;
static const double square_decay = 0.999;
static const double epsilon = 1e-8;

enum status probe_init(struct probe *probe, const struct probe_settings *settings)
{
	assert(settings->features > 0 && settings->batch_max > 0 && settings->steps > 0);
	const size_t weights = settings->features + 1;
	double *all = calloc(4 * weights + 2 * settings->batch_max, sizeof *all);
	if (all == NULL) {
		return STATUS_NO_MEMORY;
	}
	*probe = (struct probe){
		.settings = *settings,
		.weights = all,
		.gradient = all + weights,
		.mean = all + 2 * weights,
		.square = all + 3 * weights,
		.logits = all + 4 * weights,
		.slopes = all + 4 * weights + settings->batch_max,
	};
	probe->weights[settings->features] = settings->bias;
	return STATUS_OK;
}

void probe_fini(struct probe *probe)
{
	free(probe->weights);
	*probe = (struct probe){0};
}

double probe_logit(const struct probe *probe, const double *row)
{
	/* Four sums side by side: an addition waits only for the one before it in its own sum. */
	const double *weights = probe->weights;
	const size_t features = probe->settings.features;
	double sums[4] = {0};
	size_t i = 0;
	for (; i + 4 <= features; i += 4) {
		for (size_t j = 0; j < 4; j++) {
			sums[j] += weights[i + j] * row[i + j];
		}
	}
	for (; i < features; i++) {
		sums[0] += weights[i] * row[i];
	}
	return (sums[0] + sums[1]) + (sums[2] + sums[3]) + weights[features];
}

/* Computes dL/dw and dL/db of a batch from probe->slopes. */
static void fill_gradient(struct probe *probe, const double *rows, size_t count)
{
	const size_t features = probe->settings.features;
	double *restrict gradient = probe->gradient;
	for (size_t i = 0; i < features; i++) {
		gradient[i] = probe->settings.l2 * probe->weights[i];
	}
	gradient[features] = 0;
	for (size_t k = 0; k < count; k++) {
		const double slope = probe->slopes[k];
		const double *row = rows + k * features;
		for (size_t i = 0; i < features; i++) {
			gradient[i] += slope * row[i];
		}
		gradient[features] += slope;
	}
}

void probe_step(struct probe *probe, const double *rows, const uint8_t *labels, size_t count)
{
	const struct probe_settings *settings = &probe->settings;
	assert(count >= 1 && count <= settings->batch_max && probe->done < settings->steps);
	for (size_t k = 0; k < count; k++) {
		probe->logits[k] = probe_logit(probe, rows + k * settings->features);
	}
	const struct loss_batch batch = {probe->logits, labels, count};
	ranking_loss_slopes(&settings->loss, &batch, probe->slopes);
	fill_gradient(probe, rows, count);

	const double left = 1 - (double)probe->done / (double)settings->steps;
	probe->done++;
	const double mean_share = 1 - pow(mean_decay, (double)probe->done);
	const double square_share = 1 - pow(square_decay, (double)probe->done);
	for (size_t i = 0; i <= settings->features; i++) {
		const double slope = probe->gradient[i];
		probe->mean[i] = mean_decay * probe->mean[i] + (1 - mean_decay) * slope;
		probe->square[i] =
			square_decay * probe->square[i] + (1 - square_decay) * slope * slope;
		probe->weights[i] -= settings->rate * left * (probe->mean[i] / mean_share) /
				     (sqrt(probe->square[i] / square_share) + epsilon);
	}
}
