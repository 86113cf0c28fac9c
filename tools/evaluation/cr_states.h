/* cr_states.h - the aggregated rows of one table: of users, or of items, by their numbers.
 *
 * Rows stand in blocks that never move, so that a growing table is not copied, and its memory is known
 * to the byte.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_EVALUATION_CR_STATES_H
#define TOOLS_EVALUATION_CR_STATES_H

#include "schema/spec.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aggregate;

/* A zeroed one is empty. */
struct cr_states {
	struct table_spec spec; /* dim, views, decay, state and reading of the table */
	size_t count;           /* rows that there is memory for; their numbers are below it */
	size_t blocks_cap;
	struct aggregate **blocks; /* owned */
};

void cr_states_init(struct cr_states *states, const struct table_spec *spec);
/* Fine for one that is zeroed. */
void cr_states_fini(struct cr_states *states);

/* Makes room for the numbers below `count`, at least. New rows have no sample yet.
 * Errors: NO_MEMORY. */
enum status cr_states_grow(struct cr_states *states, size_t count);

/* Bytes that cr_states_grow would take to have room for `count` rows of such a table. */
size_t cr_states_bytes(const struct table_spec *spec, size_t count);

/* Gives a row the state of a stored one. sums: f64[dim x views], any alignment. */
void cr_states_set(struct cr_states *states, size_t number, int64_t last_ms, const void *sums,
	double weight);
/* The same. stored: spec_stored_bytes, any alignment. */
void cr_states_copy(struct cr_states *states, size_t number, int64_t last_ms, const void *stored);

/* Adds a sample; vector: f32[dim x views]. */
void cr_states_add(struct cr_states *states, size_t number, int64_t time_ms, const float *vector);

/* Whether a row has a state. If so, `last_ms` is the time of its newest sample. */
bool cr_states_is_there(const struct cr_states *states, size_t number, int64_t *last_ms);

/* What a reader of a row gets: `out` is f32[dim x views], any alignment. The row is there. */
void cr_states_read(const struct cr_states *states, size_t number, uint8_t *out);
/* The row's weight W. The row is there. */
double cr_states_weight(const struct cr_states *states, size_t number);

#endif
