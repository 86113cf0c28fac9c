/* wide.c - sums in f64, in four parts, which are added in one order. */
#include "daemon/retrieval/layers/wide.h"

enum { LANES = 4 };

static double sum_of(const double sums[LANES])
{
	return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

double wide_dot(const float *x, const float *y, size_t count)
{
	double sums[LANES] = {0};
	size_t i = 0;
	for (; i + LANES <= count; i += LANES) {
		for (size_t lane = 0; lane < LANES; lane++) {
			sums[lane] += (double)x[i + lane] * (double)y[i + lane];
		}
	}
	for (; i < count; i++) {
		sums[0] += (double)x[i] * (double)y[i];
	}
	return sum_of(sums);
}

double wide_distance(const float *x, const float *y, size_t count)
{
	double sums[LANES] = {0};
	size_t i = 0;
	for (; i + LANES <= count; i += LANES) {
		for (size_t lane = 0; lane < LANES; lane++) {
			const double apart = (double)x[i + lane] - (double)y[i + lane];
			sums[lane] += apart * apart;
		}
	}
	for (; i < count; i++) {
		const double apart = (double)x[i] - (double)y[i];
		sums[0] += apart * apart;
	}
	return sum_of(sums);
}
