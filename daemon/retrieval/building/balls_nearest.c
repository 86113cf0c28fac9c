/* balls_nearest.c - multiplies rows by many axes; compiled once for each instruction set. */
#include "daemon/retrieval/building/balls_nearest.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum {
	LANES = 16,
	/* The sums of so many rows stay in registers. */
	ROWS = 4,
	/* So many rows are compared with a panel while it is in the first-level cache. */
	SOME = 64,
};

typedef float wide __attribute__((vector_size(64), aligned(4), may_alias));

/* For some rows, the best product so far of each lane, and its panel. */
struct lanes {
	float best[SOME * BALLS_PANEL];
	uint32_t panel[SOME * BALLS_PANEL];
};

/* Products of `rows` rows and one panel, an axis in each lane, summed in the order of the dims. */
INLINE void products_of(const struct balls_nearest *nearest, size_t row, const float *panel,
	const size_t rows, wide (*restrict sums)[2])
{
	const float *x = nearest->x + row * nearest->dim;
	wide left[ROWS][2] = {0};
	for (size_t d = 0; d < nearest->dim; d++) {
		const wide a = *(const wide *)(panel + d * BALLS_PANEL);
		const wide b = *(const wide *)(panel + d * BALLS_PANEL + LANES);
		for (size_t r = 0; r < rows; r++) {
			left[r][0] += a * x[r * nearest->dim + d];
			left[r][1] += b * x[r * nearest->dim + d];
		}
	}
	memcpy(sums, left, rows * sizeof *left);
}

INLINE void improve(const struct balls_nearest *nearest, size_t first, size_t r, size_t p,
	struct lanes *lanes, const size_t rows)
{
	float sums[ROWS * BALLS_PANEL];
	products_of(nearest, first + r, nearest->panels + p * nearest->dim * BALLS_PANEL, rows,
		(wide(*)[2])(void *)sums);
	float *best = lanes->best + r * BALLS_PANEL;
	uint32_t *panel = lanes->panel + r * BALLS_PANEL;
	for (size_t i = 0; i < rows * BALLS_PANEL; i++) {
		const float sum = sums[i];
		const bool better = sum > best[i];
		best[i] = better ? sum : best[i];
		panel[i] = better ? (uint32_t)p : panel[i];
	}
}

/* Chooses the best axis of all lanes; of equal products that of the lowest number. */
INLINE void decide(const struct balls_nearest *nearest, size_t row, const float *best,
	const uint32_t *panel)
{
	float value = nearest->best[row];
	uint32_t axis = UINT32_MAX;
	for (uint32_t i = 0; i < BALLS_PANEL; i++) {
		const uint32_t number = nearest->first_axis + panel[i] * BALLS_PANEL + i;
		if (best[i] > value || (best[i] == value && axis != UINT32_MAX && number < axis)) {
			value = best[i];
			axis = number;
		}
	}
	if (axis != UINT32_MAX) {
		nearest->best[row] = value;
		nearest->axis[row] = axis;
	}
}

INLINE void nearest_some(const struct balls_nearest *nearest, size_t first, size_t count)
{
	struct lanes lanes = {0};
	for (size_t i = 0; i < count * BALLS_PANEL; i++) {
		lanes.best[i] = -INFINITY;
	}
	for (size_t p = 0; p < nearest->panel_count; p++) {
		size_t r = 0;
		for (; r + ROWS <= count; r += ROWS) {
			improve(nearest, first, r, p, &lanes, ROWS);
		}
		for (; r < count; r++) {
			improve(nearest, first, r, p, &lanes, 1);
		}
	}
	for (size_t r = 0; r < count; r++) {
		decide(nearest, first + r, lanes.best + r * BALLS_PANEL,
			lanes.panel + r * BALLS_PANEL);
	}
}

INLINE void nearest_all(const struct balls_nearest *nearest)
{
	for (size_t first = 0; first < nearest->rows; first += SOME) {
		const size_t left = nearest->rows - first;
		nearest_some(nearest, first, left < SOME ? left : SOME);
	}
}

static void plain_nearest(const struct balls_nearest *nearest)
{
	nearest_all(nearest);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void avx2_nearest(const struct balls_nearest *nearest)
{
	nearest_all(nearest);
}

__attribute__((target("avx512f"))) static void avx512_nearest(const struct balls_nearest *nearest)
{
	nearest_all(nearest);
}

void balls_nearest(const struct balls_nearest *nearest)
{
	if (__builtin_cpu_supports("avx512f")) {
		avx512_nearest(nearest);
	} else if (__builtin_cpu_supports("avx2")) {
		avx2_nearest(nearest);
	} else {
		plain_nearest(nearest);
	}
}
#else
void balls_nearest(const struct balls_nearest *nearest)
{
	plain_nearest(nearest);
}
#endif
