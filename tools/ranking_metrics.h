/* ranking_metrics.h - how well scores rank positives before negatives.
 *
 * AUC: the share of pairs of a positive and a negative sample whose scores are in the right order;
 * equal scores count half. GAUC: the mean of each user's AUC over that user's samples, weighted by
 * how many these are; users without both classes are left out.
 *
 * Threads: any; there is no state.
 * Source: GAUC: Zhu et al., Optimized Cost per Click in Taobao Display Advertising, KDD 2017.
 */
#ifndef TOOLS_RANKING_METRICS_H
#define TOOLS_RANKING_METRICS_H

#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Scored samples; nothing is owned. */
struct ranking {
	const double *scores;  /* finite */
	const uint8_t *labels; /* 0 or 1 */
	const uint32_t *users; /* below user_count */
	size_t count;
	size_t user_count;
};

/* NaN without both classes.
 * Errors: NO_MEMORY. */
enum status ranking_auc(const struct ranking *ranking, double *out);

struct gauc {
	double value;   /* NaN when no user counts */
	size_t users;   /* that have both classes */
	size_t samples; /* of theirs */
};
/* Errors: NO_MEMORY. */
enum status ranking_gauc(const struct ranking *ranking, struct gauc *out);

/* AUCs of `count` resamples: as many users as have samples, drawn with replacement, each with all
 * of its samples. Samples of a user are alike, so that resampling single ones would make intervals
 * too narrow. The draws follow from seed, labels and users alone: two rankings of the same samples
 * get the same resamples, so that their differences can be taken one by one.
 *   out  double[count]; NaN where a resample has one class only
 * Errors: NO_MEMORY. */
enum status ranking_resample(const struct ranking *ranking, uint64_t seed, size_t count,
	double *out);

/* The middle 95 % of values, linear between them as NumPy's percentile; sorts `values` and leaves
 * out NaNs. False: fewer than two are left. */
struct interval {
	double low;
	double high;
};
bool ranking_interval(double *values, size_t count, struct interval *out);

#endif
