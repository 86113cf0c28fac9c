/* balls_recall.c - chooses the factor for a recall that is asked for. */
#include "daemon/retrieval/balls/balls_recall.h"

#include <assert.h>

const size_t balls_ks[BALLS_KS] = {10, 100, 1000};

const float balls_factors[BALLS_FACTORS] = {0, 0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f, 0.7f, 0.8f,
	0.9f};

float balls_factor_for(const struct balls *balls, enum balls_metric metric, double recall, size_t k)
{
	size_t which = 0;
	assert(metric < BALLS_METRICS);
	while (which + 1 < BALLS_KS && balls_ks[which] < k) {
		which++;
	}
	const float *recalls = balls->recalls + ((size_t)metric * BALLS_KS + which) * BALLS_FACTORS;
	if (recall >= 1) {
		return 1;
	}
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
