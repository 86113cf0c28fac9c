/* balls_norm.h - lengths of rows; which lengths allow bounds.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_RETRIEVAL_BALLS_BALLS_NORM_H
#define DAEMON_RETRIEVAL_BALLS_BALLS_NORM_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

static inline double balls_dot(const float *x, const float *y, uint32_t count)
{
	double sums[4] = {0};
	uint32_t i = 0;
	for (; i + 4 <= count; i += 4) {
		for (uint32_t lane = 0; lane < 4; lane++) {
			sums[lane] += (double)x[i + lane] * (double)y[i + lane];
		}
	}
	for (; i < count; i++) {
		sums[0] += (double)x[i] * (double)y[i];
	}
	return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

static inline double balls_norm(const float *x, uint32_t count)
{
	return sqrt(balls_dot(x, x, count));
}

/* Products of two rows of such lengths, and their rounding errors, are normal f32. NaN is not
 * usable. */
static inline bool balls_norm_is_usable(double norm)
{
	return norm >= 0x1p-40 && norm <= 0x1p40;
}

#endif
