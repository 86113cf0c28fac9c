/* balls_plain.c - the loops of balls_loops.h for any machine. */
#define TARGET

#include <math.h>

#include "daemon/retrieval/balls/balls_lanes.h"

INLINE lanes larger(lanes a, lanes b)
{
	const lanes_int is_a = a > b;
	return (lanes)((is_a & (lanes_int)a) | (~is_a & (lanes_int)b));
}

INLINE lanes root(lanes a)
{
	for (size_t i = 0; i < LANES; i++) {
		a[i] = sqrtf(a[i]);
	}
	return a;
}

INLINE uint32_t not_below(lanes a, float limit)
{
	uint32_t bits = 0;
	for (size_t i = 0; i < LANES; i++) {
		bits |= (uint32_t) !(a[i] < limit) << i;
	}
	return bits;
}

INLINE lanes_int add_dots(lanes_int sums, const uint8_t *codes, const int8_t *query, uint32_t dims)
{
	int32_t dots[LANES] = {0};
	for (size_t d = 0; d < dims; d += 4) {
		for (size_t i = 0; i < LANES; i++) {
			for (size_t j = 0; j < 4; j++) {
				dots[i] += codes[d * LANES + i * 4 + j] * query[d + j];
			}
		}
	}
	return sums + *(const lanes_int_at *)dots;
}

#include "daemon/retrieval/balls/balls_loops.h"

const struct balls_kernels balls_kernels_plain = BALLS_KERNELS("plain");
