/* balls_bounds.h - how good a score can be, from the ranges that rows are in.
 *
 * A row x is p u + r, the query q is a u + s: <q,x> = a p + <s,r> <= a p + |s| |r|, which also
 * bounds the cosine and the distance. With a factor the bound takes <s,r> to be smaller than it can
 * be.
 *
 * Compiled for each instruction set, so inline.
 */
#ifndef DAEMON_RETRIEVAL_BALLS_BOUNDS_H
#define DAEMON_RETRIEVAL_BALLS_BOUNDS_H

#include <math.h>

#include "daemon/retrieval/balls_kernels.h"

#define INLINE static inline __attribute__((always_inline))

INLINE float least(float a, float b)
{
	return a < b ? a : b;
}

INLINE float most(float a, float b)
{
	return a > b ? a : b;
}

/* The query beside an axis: its projection, up to an error, and the range of its distance. */
struct balls_place {
	float along;
	float error;
	float off_min;
	float off_max;
};

struct balls_range {
	float along_min;
	float along_max;
	float off_min;
	float off_max;
	float cosine_min;
	float cosine_max;
};

INLINE struct balls_range range_at(const struct balls_ranges *ranges, size_t i)
{
	return (struct balls_range){ranges->along_min[i], ranges->along_max[i], ranges->off_min[i],
		ranges->off_max[i], ranges->cosine_min[i], ranges->cosine_max[i]};
}

INLINE float bound_product(const struct balls_terms *terms, float factor, struct balls_range range,
	struct balls_place place)
{
	const float size = most(-range.along_min, range.along_max);
	const float along = most(place.along * range.along_min, place.along * range.along_max);
	return along + place.error * size + factor * place.off_max * range.off_max +
	       terms->slack * terms->norm * (size + range.off_max);
}

/* Over the cosines c of a ball's rows with its axis, along c + off sqrt(1 - c^2) is concave. */
INLINE float bound_cosine(const struct balls_terms *terms, float factor, struct balls_range range,
	struct balls_place place)
{
	const float second = factor * place.off_max;
	const float peak =
		place.along / (sqrtf(place.along * place.along + second * second) + 1e-30f);
	const float c = least(most(peak, range.cosine_min), range.cosine_max);
	const float sine = sqrtf(most((1 - c) * (1 + c), 0));
	return (place.along * c + second * sine + place.error) / terms->norm + 4 * terms->slack;
}

/* The distance in the plane of (p, |r|); with a factor, as if <s,r> were that much smaller. */
INLINE float bound_l2(const struct balls_terms *terms, float factor, struct balls_range range,
	struct balls_place place)
{
	const float miss = most(most(range.along_min - place.along, place.along - range.along_max) -
					place.error,
		0);
	const float off_miss = most(most(range.off_min - factor * place.off_max,
					    factor * place.off_min - range.off_max),
		0);
	const float beside = (1 - factor) * (1 + factor) * place.off_min * place.off_min;
	const float norm = terms->norm + most(-range.along_min, range.along_max) + range.off_max;
	const float distance = sqrtf(miss * miss + off_miss * off_miss + beside);
	const float surely = most(distance - terms->slack * norm, 0);
	return -surely * surely * (1 - terms->slack);
}

INLINE float bound_of(const enum balls_metric metric, const struct balls_terms *terms, float factor,
	struct balls_range range, struct balls_place place)
{
	return metric == BALLS_INNER_PRODUCT ? bound_product(terms, factor, range, place)
	       : metric == BALLS_COSINE      ? bound_cosine(terms, factor, range, place)
					     : bound_l2(terms, factor, range, place);
}

#endif
