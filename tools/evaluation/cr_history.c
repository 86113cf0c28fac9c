/* cr_history.c - aggregates samples one moment behind the reader. */
#include "tools/evaluation/cr_history.h"

#include "daemon/aggregate/aggregate.h"
#include "schema/spec.h"
#include "tools/evaluation/cr_layer.h"
#include "tools/evaluation/cr_samples.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* All users, or all items. */
struct side {
	struct aggregate *rows; /* owned */
	float *states;          /* owned; of all rows */
	float *read;            /* owned; f32[dim] */
};

struct cr_history {
	const struct cr_samples *samples;
	const struct cr_layer *layer;
	struct table_spec spec;
	struct side users;
	struct side items;
	float *vector; /* owned; f32[dim] */
	size_t added;  /* samples that are in the states */
	size_t next;   /* the sample to read; samples [added, next) are all of one time */
};

static enum status side_init(struct side *side, size_t count, const struct table_spec *spec)
{
	const size_t stored_bytes = spec_stored_bytes(spec);
	side->rows = calloc(count, sizeof *side->rows);
	side->states = calloc(count, stored_bytes);
	side->read = calloc(spec->dim, sizeof *side->read);
	if (side->rows == NULL || side->states == NULL || side->read == NULL) {
		return STATUS_NO_MEMORY;
	}
	for (size_t i = 0; i < count; i++) {
		side->rows[i].state = side->states + i * (stored_bytes / sizeof *side->states);
	}
	return STATUS_OK;
}

static void side_begin(struct side *side, const struct cr_start_side *start,
	const struct table_spec *spec)
{
	const size_t stored_bytes = spec_stored_bytes(spec);
	for (size_t i = 0; i < start->count; i++) {
		struct aggregate *row = &side->rows[start->numbers[i]];
		assert(row->state != NULL);
		memcpy(row->state, (const uint8_t *)start->states + i * stored_bytes, stored_bytes);
		row->last_ms = start->last_ms[i];
		row->is_there = true;
	}
}

static void side_fini(struct side *side)
{
	free(side->rows);
	free(side->states);
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
	history->spec = *spec;
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
	aggregate_add(&history->users.rows[samples->users[k]], &history->spec, samples->times_ms[k],
		history->vector);
	aggregate_add(&history->items.rows[samples->items[k]], &history->spec, samples->times_ms[k],
		history->vector);
}

static const float *read(const struct cr_history *history, const struct side *side, size_t row)
{
	if (!side->rows[row].is_there) {
		return NULL;
	}
	aggregate_read(&history->spec, (const uint8_t *)side->rows[row].state,
		(uint8_t *)side->read);
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
	out->user = read(history, &history->users, samples->users[k]);
	out->item = read(history, &history->items, samples->items[k]);
	return true;
}
