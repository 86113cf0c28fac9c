/* layer_figures.h - what scores of the evaluation part are worth, in figures.
 *
 * Losses are of the evaluation part, in the order of time. Binary cross-entropy is the mean over
 * its samples; what has pairs is taken over mini-batches of `batch` samples, one after the other,
 * as a training would see them: the pair loss is the mean over those that have both classes.
 *
 * The slopes are the mean over all negative samples of |dL/dz| times the samples of the
 * mini-batch, so that they do not depend on its size: under BCE that is the mean of sigmoid(z),
 * which vanishes when positives are rare, since then z is low; under the pair loss a negative's
 * slope depends on the positives beside it only. A negative of a mini-batch without positives
 * counts 0 under the pair loss.
 *
 * Threads: any; there is no state.
 */
#ifndef TOOLS_LAYER_FIGURES_H
#define TOOLS_LAYER_FIGURES_H

#include "schema/status.h"
#include "tools/ranking_loss.h"
#include "tools/ranking_metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct figure_settings {
	struct loss loss; /* alpha and the weight of positives, whatever was fitted */
	size_t batch;
	size_t resamples; /* of users, for the interval; 0: none */
	uint64_t seed;
};

struct figures {
	double auc;
	bool has_interval;        /* not of a single user */
	struct interval interval; /* 95 % */
	struct gauc gauc;
	double log_loss;
	double weighted_log_loss;
	size_t batches;
	size_t pair_batches; /* that have both classes */
	double pair_loss;    /* NaN: none has */
	double both_loss;    /* alpha weighted_log_loss + (1 - alpha) pair_loss */
	double bce_slope;    /* weights of positives do not change negatives */
	double pair_slope;
	double both_slope;
	double *resampled; /* owned; double[resamples]: AUCs, see ranking_resample */
};

/* Errors: NO_MEMORY. */
enum status figures_make(const struct ranking *ranking, const struct figure_settings *settings,
	struct figures *out);
/* Fine for one that is zeroed. */
void figures_fini(struct figures *figures);

/* The interval of a.auc - b.auc over resamples of the same users. False: there is none.
 * Errors: NO_MEMORY is false, too. */
bool figures_difference(const struct figures *a, const struct figures *b, size_t resamples,
	struct interval *out);

#endif
