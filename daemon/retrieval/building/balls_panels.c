/* balls_panels.c - copies axes into panels. */
#include "daemon/retrieval/building/balls_panels.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "daemon/retrieval/building/balls_nearest.h"

enum status balls_panels_init(struct balls_panels *panels, const float *axes, uint32_t k,
	uint32_t dim)
{
	assert(dim > 0);
	const size_t count = ((size_t)k + BALLS_PANEL - 1) / BALLS_PANEL;
	*panels = (struct balls_panels){.dim = dim, .count = count};
	panels->values = malloc((count + 1) * dim * BALLS_PANEL * sizeof(float));
	if (panels->values == NULL) {
		return STATUS_NO_MEMORY;
	}
	for (size_t i = 0; i < count * BALLS_PANEL; i++) {
		float *panel = panels->values + i / BALLS_PANEL * dim * BALLS_PANEL;
		for (size_t d = 0; d < dim; d++) {
			panel[d * BALLS_PANEL + i % BALLS_PANEL] = i < k ? axes[i * dim + d] : NAN;
		}
	}
	return STATUS_OK;
}

void balls_panels_fini(struct balls_panels *panels)
{
	free(panels->values);
	*panels = (struct balls_panels){0};
}

void balls_panels_improve(const struct balls_panels *panels, uint32_t first, const float *rows,
	size_t count, float *best, uint32_t *axis)
{
	const struct balls_nearest nearest = {
		.x = rows,
		.rows = count,
		.dim = panels->dim,
		.panels = panels->values,
		.panel_count = panels->count,
		.best = best,
		.axis = axis,
		.first_axis = first,
	};
	balls_nearest(&nearest);
}
