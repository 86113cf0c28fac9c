/* cr_history.c - aggregates samples one moment behind the reader. */
#include "tools/evaluation/cr_history.h"

#include "schema/spec.h"
#include "tools/evaluation/cr_layer.h"
#include "tools/evaluation/cr_samples.h"
#include "tools/evaluation/cr_states.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* All users, or all items. */
struct side {
	struct cr_states states; /* owned */
	float *read;             /* owned; f32[dim] */
};

struct cr_history {
	const struct cr_samples *samples;
	const struct cr_layer *layer;
	struct side users;
	struct side items;
	float *vector; /* owned; f32[dim] */
	size_t added;  /* samples that are in the states */
	size_t next;   /* the sample to read; samples [added, next) are all of one time */
};

static enum status side_init(struct side *side, size_t count, const struct table_spec *spec)
{
	cr_states_init(&side->states, spec);
	side->read = calloc(spec->dim, sizeof *side->read);
	return side->read != NULL ? cr_states_grow(&side->states, count) : STATUS_NO_MEMORY;
}

static void side_begin(struct side *side, const struct cr_start_side *start,
	const struct table_spec *spec)
{
	const size_t stored_bytes = spec_stored_bytes(spec);
	for (size_t i = 0; i < start->count; i++) {
		cr_states_copy(&side->states, start->numbers[i], start->last_ms[i],
			(const uint8_t *)start->states + i * stored_bytes);
	}
}

static void side_fini(struct side *side)
{
	cr_states_fini(&side->states);
	free(side->read);
}

enum status cr_history_open(const struct cr_samples *samples, const struct cr_layer *layer,
	const struct table_spec *spec, struct cr_history **out)
{
	struct cr_history *history = calloc(1, sizeof *history);
	if (history == NULL) {
		return STATUS_NO_MEMORY;
	}
	assert(layer->count >= samples->count && spec->dim == layer->dim);
	history->samples = samples;
	history->layer = layer;
	history->vector = calloc(layer->dim, sizeof *history->vector);
	if (history->vector == NULL ||
		side_init(&history->users, samples->user_count, spec) != STATUS_OK ||
		side_init(&history->items, samples->item_count, spec) != STATUS_OK) {
		cr_history_close(history);
		return STATUS_NO_MEMORY;
	}
	side_begin(&history->users, &layer->start.users, spec);
	side_begin(&history->items, &layer->start.items, spec);
	*out = history;
	return STATUS_OK;
}

void cr_history_close(struct cr_history *history)
{
	if (history == NULL) {
		return;
	}
	side_fini(&history->users);
	side_fini(&history->items);
	free(history->vector);
	free(history);
}

static void add(struct cr_history *history, size_t k)
{
	const struct cr_samples *samples = history->samples;
	cr_layer_vector(history->layer, samples->order[k], history->vector);
	cr_states_add(&history->users.states, samples->users[k], samples->times_ms[k],
		history->vector);
	cr_states_add(&history->items.states, samples->items[k], samples->times_ms[k],
		history->vector);
}

static const float *read(const struct side *side, size_t row)
{
	int64_t last_ms = 0;
	if (!cr_states_is_there(&side->states, row, &last_ms)) {
		return NULL;
	}
	cr_states_read(&side->states, row, (uint8_t *)side->read);
	return side->read;
}

bool cr_history_next(struct cr_history *history, struct cr_read *out)
{
	const struct cr_samples *samples = history->samples;
	if (history->next == samples->count) {
		return false;
	}
	const size_t k = history->next++;
	assert(history->added <= k && samples->times_ms[history->added] <= samples->times_ms[k]);
	if (samples->times_ms[history->added] < samples->times_ms[k]) {
		while (history->added < k) {
			add(history, history->added++);
		}
	}
	/* No sample of this time, or of a later one, is in the states. */
	assert(history->added == 0 || samples->times_ms[history->added - 1] < samples->times_ms[k]);
	out->user = read(&history->users, samples->users[k]);
	out->item = read(&history->items, samples->items[k]);
	return true;
}
