/* cr_start.c - keeps states until aggregation begins. */
#include "tools/evaluation/cr_start.h"

#include "daemon/aggregate/aggregate.h"

#include <assert.h>
#include <stdlib.h>

static enum status make_room(struct cr_start_side *side, size_t stored_bytes)
{
	const size_t cap = side->cap > 0 ? 2 * side->cap : 64;
	uint32_t *numbers = reallocarray(side->numbers, cap, sizeof *numbers);
	side->numbers = numbers != NULL ? numbers : side->numbers;
	int64_t *last_ms = reallocarray(side->last_ms, cap, sizeof *last_ms);
	side->last_ms = last_ms != NULL ? last_ms : side->last_ms;
	float *states = reallocarray(side->states, cap, stored_bytes);
	side->states = states != NULL ? states : side->states;
	if (numbers == NULL || last_ms == NULL || states == NULL) {
		return STATUS_NO_MEMORY;
	}
	side->cap = cap;
	return STATUS_OK;
}

enum status cr_start_add(struct cr_start_side *side, const struct table_spec *spec, uint32_t number,
	int64_t last_ms, const void *sums, double weight)
{
	const size_t stored_bytes = spec_stored_bytes(spec);
	if (side->count == side->cap && make_room(side, stored_bytes) != STATUS_OK) {
		return STATUS_NO_MEMORY;
	}
	assert(side->count < side->cap);
	aggregate_make(spec, sums, weight, (uint8_t *)side->states + side->count * stored_bytes);
	side->numbers[side->count] = number;
	side->last_ms[side->count++] = last_ms;
	return STATUS_OK;
}

static void side_fini(struct cr_start_side *side)
{
	free(side->numbers);
	free(side->last_ms);
	free(side->states);
	*side = (struct cr_start_side){0};
}

void cr_start_fini(struct cr_start *start)
{
	side_fini(&start->users);
	side_fini(&start->items);
}
