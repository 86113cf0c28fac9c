/* balls_few.c - compares each row of a sample with the directions that were met before. */
#include "daemon/retrieval/building/balls_few.h"

#include <string.h>

#include "daemon/retrieval/balls/balls_norm.h"

/* Products of unit vectors of f32 differ from 1 by less, if their directions are the same. */
static const double rounding = 5e-7;

uint32_t balls_few(const struct balls_sample *sample, uint32_t most, float *axes)
{
	const uint32_t dim = sample->dim;
	const uint32_t limit = most < BALLS_FEW_MAX ? most : BALLS_FEW_MAX;
	uint32_t count = 0;
	for (size_t i = 0; i < sample->count; i++) {
		const float *row = sample->rows + i * dim;
		uint32_t axis = 0;
		while (axis < count &&
			1 - balls_dot(row, axes + (size_t)axis * dim, dim) > rounding) {
			axis++;
		}
		if (axis == limit) {
			return 0;
		}
		if (axis == count) {
			memcpy(axes + (size_t)count++ * dim, row, dim * sizeof *row);
		}
		sample->axis[i] = axis;
	}
	return count;
}
