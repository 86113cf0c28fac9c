/* wide.h - arithmetic for values that leave the range of f32.
 *
 * Products and distances are computed in f32. Where a result is infinite or no number, or so small
 * that digits may be missing, it is computed again here: in f64, which holds every sum of products
 * of f32 values. A finite result beyond f32 becomes the largest f32 of its sign, so finite values
 * give finite results. What comes of infinity and NaN is left as it is.
 *
 * The bits are the same on every machine.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_RETRIEVAL_LAYERS_WIDE_H
#define DAEMON_RETRIEVAL_LAYERS_WIDE_H

#include <float.h>
#include <math.h>
#include <stddef.h>

/* The sum of x[i] * y[i]. */
double wide_dot(const float *x, const float *y, size_t count);

/* The sum of (x[i] - y[i])^2. */
double wide_distance(const float *x, const float *y, size_t count);

/* The nearest f32; the largest of its sign if the value is finite and beyond f32. */
static inline float wide_close(double value)
{
	if (isfinite(value) && fabs(value) > (double)FLT_MAX) {
		return value > 0 ? FLT_MAX : -FLT_MAX;
	}
	return (float)value;
}

#endif
