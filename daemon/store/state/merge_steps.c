/* merge_steps.c - reads what was counted of the steps of merges. */
#include "daemon/store/state/merge_steps.h"

void merge_steps_read(const struct merge_steps *steps, struct merge_step_figures out[MERGE_STEPS])
{
	static const char *const names[MERGE_STEPS] = {
		[MERGE_STEP_DELTA] = "delta",
		[MERGE_STEP_TIER] = "tier",
		[MERGE_STEP_RANGE] = "range",
		[MERGE_STEP_BASE] = "base",
		[MERGE_STEP_REPAIR] = "repair",
	};
	for (unsigned i = 0; i < MERGE_STEPS; i++) {
		out[i] = (struct merge_step_figures){
			.name = names[i],
			.count = atomic_load(&steps->of[i].count), /* first */
			.ns = atomic_load(&steps->of[i].ns),
			.bytes = atomic_load(&steps->of[i].bytes),
		};
	}
}
