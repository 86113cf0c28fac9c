/* layer_figures.h - figures that tell how good the scores of the evaluation part are.
 *
 * Losses are those of the evaluation part, in the order of time. Binary cross-entropy (BCE) is the
 * mean over all its samples. The pair loss is taken over mini-batches of `batch` samples, one after
 * the other, as a training would see them: it is the mean over the mini-batches that have both
 * classes.
 *
 * A slope is the mean over all negative samples of |dL/dz| times the number of samples in the
 * mini-batch, so that it does not depend on that number. Under BCE it is the mean of sigmoid(z),
 * which vanishes when positives are rare, since z is low then. Under the pair loss the slope of a
 * negative depends only on the positives in its mini-batch; without positives it counts as 0.
 *
 * Threads: any; there is no state.
 */
#ifndef TOOLS_EVALUATION_LAYER_FIGURES_H
#define TOOLS_EVALUATION_LAYER_FIGURES_H

#include "schema/status.h"
#include "tools/evaluation/ranking_loss.h"
#include "tools/evaluation/ranking_metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct figure_settings {
	struct loss loss; /* alpha and the weight of positives; its kind is not looked at */
	size_t batch;
	size_t resamples; /* of users, for the interval; 0: none */
	uint64_t seed;
};

struct figures {
	double auc;
	bool has_interval;        /* false if there is only one user */
	struct interval interval; /* 95 % */
	struct gauc gauc;
	double log_loss;
	double weighted_log_loss;
	size_t batches;
	size_t pair_batches; /* how many of them have both classes */
	double pair_loss;    /* NaN if no mini-batch has both */
	double both_loss;    /* alpha weighted_log_loss + (1 - alpha) pair_loss */
	double bce_slope;    /* the weight of positives does not change it */
	double pair_slope;
	double both_slope;
	double *resampled; /* owned; double[resamples]: AUCs, see ranking_resample */
};

/* Errors: NO_MEMORY. */
enum status figures_make(const struct ranking *ranking, const struct figure_settings *settings,
	struct figures *out);
/* Fine for one that is zeroed. */
void figures_fini(struct figures *figures);

/* The interval of a.auc - b.auc over resamples of the same users. False: there is none, or no
 * memory for it. */
bool figures_difference(const struct figures *a, const struct figures *b, size_t resamples,
	struct interval *out);

#endif
