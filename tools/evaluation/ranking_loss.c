/* ranking_loss.c - sums over samples, and over pairs of a positive and a negative one. */
#include "tools/evaluation/ranking_loss.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Neither this nor log_loss overflows for any z. */
static double sigmoid(double z)
{
	const double e = exp(-fabs(z));
	return z >= 0 ? 1 / (1 + e) : e / (1 + e);
}

/* -log sigmoid(z) */
static double log_loss(double z)
{
	return fmax(-z, 0) + log1p(exp(-fabs(z)));
}

double ranking_loss_bce(const struct loss_batch *batch, double positive_weight)
{
	assert(batch->count > 0);
	double sum = 0;
	for (size_t i = 0; i < batch->count; i++) {
		sum += batch->labels[i] ? positive_weight * log_loss(batch->logits[i])
					: log_loss(-batch->logits[i]);
	}
	return sum / (double)batch->count;
}

static size_t positives_of(const struct loss_batch *batch)
{
	size_t positives = 0;
	for (size_t i = 0; i < batch->count; i++) {
		assert(batch->labels[i] <= 1);
		positives += batch->labels[i];
	}
	return positives;
}

bool ranking_loss_pair(const struct loss_batch *batch, double *out)
{
	const size_t positives = positives_of(batch);
	const double pairs = (double)positives * (double)(batch->count - positives);
	double sum = 0;
	*out = 0;
	if (pairs == 0) {
		return false;
	}
	for (size_t i = 0; i < batch->count; i++) {
		for (size_t j = 0; batch->labels[i] && j < batch->count; j++) {
			if (!batch->labels[j]) {
				sum += log_loss(batch->logits[i] - batch->logits[j]);
			}
		}
	}
	*out = sum / pairs;
	return true;
}

void ranking_loss_bce_slopes(const struct loss_batch *batch, double positive_weight, double factor,
	double *out)
{
	const double each = factor / (double)batch->count;
	for (size_t i = 0; i < batch->count; i++) {
		const double z = batch->logits[i];
		out[i] += each * (batch->labels[i] ? -positive_weight * sigmoid(-z) : sigmoid(z));
	}
}

void ranking_loss_pair_slopes(const struct loss_batch *batch, double factor, double *out)
{
	const size_t positives = positives_of(batch);
	const double pairs = (double)positives * (double)(batch->count - positives);
	if (pairs == 0) {
		return;
	}
	const double each = factor / pairs;
	for (size_t i = 0; i < batch->count; i++) {
		double sum = 0;
		for (size_t j = 0; batch->labels[i] && j < batch->count; j++) {
			if (!batch->labels[j]) {
				/* 0: the two are in the right order; 1: in the wrong one. */
				const double wrong = sigmoid(batch->logits[j] - batch->logits[i]);
				sum += wrong;
				out[j] += each * wrong;
			}
		}
		out[i] -= each * sum;
	}
}

void ranking_loss_slopes(const struct loss *loss, const struct loss_batch *batch, double *out)
{
	memset(out, 0, batch->count * sizeof *out);
	switch (loss->kind) {
	case LOSS_BCE:
	case LOSS_NONE:
		ranking_loss_bce_slopes(batch, loss->positive_weight, 1, out);
		break;
	case LOSS_PAIR:
		ranking_loss_pair_slopes(batch, 1, out);
		break;
	case LOSS_BOTH:
		ranking_loss_bce_slopes(batch, loss->positive_weight, loss->alpha, out);
		ranking_loss_pair_slopes(batch, 1 - loss->alpha, out);
		break;
	}
}
