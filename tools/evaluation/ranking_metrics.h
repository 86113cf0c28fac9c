/* ranking_metrics.h - how well scores rank positives before negatives.
 *
 * AUC: of all pairs of a positive and a negative sample, the share whose scores are in the right
 * order; equal scores count half. GAUC: the mean of the AUCs that each user's samples have by
 * themselves, weighted by how many samples the user has; users without both classes are left out.
 *
 * Threads: any; there is no state.
 * Source: GAUC: Zhu et al., Optimized Cost per Click in Taobao Display Advertising, KDD 2017.
 */
#ifndef TOOLS_EVALUATION_RANKING_METRICS_H
#define TOOLS_EVALUATION_RANKING_METRICS_H

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

/* out: NaN if a class is missing.
 * Errors: NO_MEMORY. */
enum status ranking_auc(const struct ranking *ranking, double *out);

struct gauc {
	double value;   /* NaN if no user has both classes */
	size_t users;   /* how many have both classes */
	size_t samples; /* of these users */
};
/* Errors: NO_MEMORY. */
enum status ranking_gauc(const struct ranking *ranking, struct gauc *out);

/* AUCs of `count` resamples. A resample draws as many users as have samples, with replacement; each
 * drawn user brings all its samples. (Samples of one user are alike: drawing single samples would
 * make intervals too narrow.) The draws depend only on the seed and the users, so two rankings of
 * the same samples get the same resamples and can be compared resample by resample.
 *   out  double[count]; NaN where a resample has one class only
 * Errors: NO_MEMORY. */
enum status ranking_resample(const struct ranking *ranking, uint64_t seed, size_t count,
	double *out);

/* The middle 95 % of values, interpolated linearly as NumPy's percentile does. NaNs are left out;
 * `values` is sorted. False: fewer than two are left. */
struct interval {
	double low;
	double high;
};
bool ranking_interval(double *values, size_t count, struct interval *out);

#endif
