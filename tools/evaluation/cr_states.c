/* cr_states.c - blocks of rows, each with its state behind the rows of its block. */
#include "tools/evaluation/cr_states.h"

#include "daemon/aggregate/aggregate.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_ROWS = 1024 };

static size_t state_floats(const struct table_spec *spec)
{
	return spec_stored_bytes(spec) / sizeof(float);
}

static size_t block_bytes(const struct table_spec *spec)
{
	return BLOCK_ROWS * (sizeof(struct aggregate) + state_floats(spec) * sizeof(float));
}

static size_t blocks_of(size_t count)
{
	return count / BLOCK_ROWS + (count % BLOCK_ROWS != 0);
}

void cr_states_init(struct cr_states *states, const struct table_spec *spec)
{
	*states = (struct cr_states){.spec = *spec};
}

void cr_states_fini(struct cr_states *states)
{
	for (size_t i = 0; i < blocks_of(states->count); i++) {
		free(states->blocks[i]);
	}
	free(states->blocks);
	*states = (struct cr_states){0};
}

/* A block's memory is zeroed by the system, page by page, when it is first used. */
static enum status add_block(struct cr_states *states)
{
	const size_t blocks = blocks_of(states->count);
	if (blocks == states->blocks_cap) {
		const size_t cap = states->blocks_cap > 0 ? 2 * states->blocks_cap : 16;
		struct aggregate **grown =
			reallocarray(states->blocks, cap, sizeof *states->blocks);
		if (grown == NULL) {
			return STATUS_NO_MEMORY;
		}
		states->blocks = grown;
		states->blocks_cap = cap;
	}
	struct aggregate *rows = calloc(1, block_bytes(&states->spec));
	if (rows == NULL) {
		return STATUS_NO_MEMORY;
	}
	float *values = (float *)(rows + BLOCK_ROWS);
	for (size_t i = 0; i < BLOCK_ROWS; i++) {
		rows[i].state = values + i * state_floats(&states->spec);
	}
	states->blocks[blocks] = rows;
	states->count += BLOCK_ROWS;
	return STATUS_OK;
}

enum status cr_states_grow(struct cr_states *states, size_t count)
{
	enum status status = STATUS_OK;
	while (states->count < count && status == STATUS_OK) {
		status = add_block(states);
	}
	return status;
}

size_t cr_states_bytes(const struct table_spec *spec, size_t count)
{
	return blocks_of(count) * block_bytes(spec);
}

static struct aggregate *row_at(const struct cr_states *states, size_t number)
{
	assert(number < states->count);
	return &states->blocks[number / BLOCK_ROWS][number % BLOCK_ROWS];
}

static struct aggregate *begin_row(struct cr_states *states, size_t number, int64_t last_ms)
{
	struct aggregate *row = row_at(states, number);
	row->last_ms = last_ms;
	row->is_there = true;
	return row;
}

void cr_states_set(struct cr_states *states, size_t number, int64_t last_ms, const void *sums,
	double weight)
{
	struct aggregate *row = begin_row(states, number, last_ms);
	aggregate_make(&states->spec, sums, weight, (uint8_t *)row->state);
}

void cr_states_copy(struct cr_states *states, size_t number, int64_t last_ms, const void *stored)
{
	struct aggregate *row = begin_row(states, number, last_ms);
	memcpy(row->state, stored, spec_stored_bytes(&states->spec));
}

void cr_states_add(struct cr_states *states, size_t number, int64_t time_ms, const float *vector)
{
	aggregate_add(row_at(states, number), &states->spec, time_ms, vector);
}

bool cr_states_is_there(const struct cr_states *states, size_t number, int64_t *last_ms)
{
	const struct aggregate *row = row_at(states, number);
	if (row->is_there) {
		*last_ms = row->last_ms;
	}
	return row->is_there;
}

void cr_states_read(const struct cr_states *states, size_t number, uint8_t *out)
{
	const struct aggregate *row = row_at(states, number);
	assert(row->is_there);
	aggregate_read(&states->spec, (const uint8_t *)row->state, out);
}

double cr_states_weight(const struct cr_states *states, size_t number)
{
	const struct aggregate *row = row_at(states, number);
	assert(row->is_there);
	return aggregate_weight(&states->spec, (const uint8_t *)row->state);
}
