/* cr_start.h - states of users and items from before the first sample, which aggregation begins
 * with.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_EVALUATION_CR_START_H
#define TOOLS_EVALUATION_CR_START_H

#include "schema/spec.h"
#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

/* The states of users, or of items. A zeroed one is empty. */
struct cr_start_side {
	size_t count;
	size_t cap;
	uint32_t *numbers; /* owned; the users' or items' numbers in cr_samples */
	int64_t *last_ms;  /* owned; the time of the last update, before the first sample */
	float *states;     /* owned; [cap] of spec_stored_bytes */
};

struct cr_start {
	struct cr_start_side users;
	struct cr_start_side items;
};

/* Adds one row of a table of this spec, which is the same for all.
 *   sums  f64[dim], any alignment
 * Errors: NO_MEMORY. */
enum status cr_start_add(struct cr_start_side *side, const struct table_spec *spec, uint32_t number,
	int64_t last_ms, const void *sums, double weight);
/* Fine for one that is zeroed. */
void cr_start_fini(struct cr_start *start);

#endif
