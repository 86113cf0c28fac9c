/* given_places.h - how many vectors the histories have that ask, and what each weighs by its age.
 *
 * A vector weighs 2^(-age / half-life), its age being that against the newest of its history: so the order
 * of the items is that of ages against any clock, and the same request gets the same scores. What would
 * weigh less than 2^-24 of the newest is left out.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_METHOD_QUERY_GIVEN_PLACES_H
#define DAEMON_METHOD_QUERY_GIVEN_PLACES_H

#include "daemon/method/call/params.h"
#include "daemon/search/query.h"
#include "schema/spec.h"

#include <stdbool.h>
#include <stdint.h>

/* Arrays of one allocation. */
struct given_places {
	uint32_t *counts; /* [queries] places that are taken; then vectors of a query that count */
	int64_t *times;   /* [queries, history] */
	float *weights;   /* [queries, history x views] */
};

/* NULL: no memory. */
struct given_places *given_places_open(const struct table_spec *spec, uint32_t queries);
void given_places_close(struct given_places *places); /* NULL is fine */

/* Reads the half-life, 1 ms to ten years; 0: none is given. Only histories have one. */
uint64_t given_places_half_life(struct params *params, const char *name, bool has_history);

/* Tells the query how many vectors each has, and what they weigh. counts and times are filled.
 *   vectors  f32 of the query, of which those that are too old are taken out */
void given_places_weigh(struct given_places *places, const struct table_spec *spec,
	uint64_t half_life_ms, void *vectors, struct query *query);

#endif
