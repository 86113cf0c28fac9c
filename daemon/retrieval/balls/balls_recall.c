/* balls_recall.c - chooses the factor for a recall that is asked for. */
#include "daemon/retrieval/balls/balls_recall.h"

#include <assert.h>
#include <math.h>

const size_t balls_ks[BALLS_KS] = {1, 10, 100, 1000};

const float balls_factors[BALLS_FACTORS] = {0, 0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f, 0.7f, 0.8f,
	0.9f};

/* Rows that ask for their like miss less than users do, who may lie elsewhere: when a calibration by
 * rows said that 5 in 100 are missed, users of MovieLens missed 21, and made-up users around centres
 * of their own up to 37; when it said 5 in 1000, 14 in 100. So it must say that only so small a part
 * of what may be missed is missed. */
static const double missed_by_rows = 64;

/* Between two numbers of hits that were tried more may be missed than at both: up to 1.25 times as
 * much, of clusters of 2,400 rows for the best 20. */
static const double missed_between = 2;

/* Up to so many times as many hits as were tried, the way from what is missed there to that is even. */
static const double nearly = 2;

double balls_recall_told(double shares, double squares, uint32_t queries, size_t k)
{
	const double count = queries + 1.0;
	const double one = 1 - 1.0 / (double)k;
	const double mean = (shares + one) / count;
	const double variance = (squares + one * one) / count - mean * mean;
	return mean - 2 * sqrt(fmax(variance, 0) / count);
}

/* The factor that finds the share `recall` of the best balls_ks[which]. */
static float factor_of(const struct balls *balls, enum balls_metric metric, double recall,
	size_t which)
{
	const float *recalls = balls->recalls + ((size_t)metric * BALLS_KS + which) * BALLS_FACTORS;
	for (size_t i = 0; i < BALLS_FACTORS; i++) {
		if ((double)recalls[i] < recall) {
			continue;
		}
		if (i == 0) {
			return balls_factors[0];
		}
		/* Between two factors recall is taken to rise evenly. */
		const double below = (double)recalls[i - 1];
		const double share = (recall - below) / ((double)recalls[i] - below);
		return (float)((double)balls_factors[i - 1] +
			       share * ((double)balls_factors[i] - (double)balls_factors[i - 1]));
	}
	return 1;
}

float balls_factor_for(const struct balls *balls, enum balls_metric metric, double recall,
	uint64_t hits)
{
	size_t which = 0;
	assert(metric < BALLS_METRICS);
	while (which < BALLS_KS && balls_ks[which] < hits) {
		which++;
	}
	if (recall >= 1 || which == BALLS_KS) {
		return 1;
	}
	if (which == 0 || balls_ks[which] == hits) {
		return factor_of(balls, metric, recall, which);
	}
	const double beyond = (double)hits / (double)balls_ks[which - 1] - 1;
	if (beyond <= nearly - 1) {
		const double missed = 1 + (missed_between - 1) * beyond / (nearly - 1);
		return factor_of(balls, metric, 1 - (1 - recall) / missed, which - 1);
	}
	const double more = 1 - (1 - recall) / missed_between;
	return fmaxf(factor_of(balls, metric, more, which),
		factor_of(balls, metric, more, which - 1));
}

double balls_recall_to_ask(const struct balls *balls, double recall)
{
	return *balls->queries > 0 ? recall : 1 - (1 - recall) / missed_by_rows;
}
