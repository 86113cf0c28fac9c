/* given_places.c - weighs the vectors of histories by their ages. */
#include "daemon/method/query/given_places.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/aggregate/fading.h"
#include "schema/limits.h"

/* Half-lives after which a vector is left out: beside the newest f32 hardly sees it. */
enum { HALF_LIVES_MAX = 24 };

struct given_places *given_places_open(const struct table_spec *spec, uint32_t queries)
{
	const size_t places = (size_t)queries * spec->history;
	struct given_places *out = malloc(sizeof *out + places * sizeof *out->times +
					  places * spec->views * sizeof *out->weights +
					  queries * sizeof *out->counts);
	if (out != NULL) {
		out->times = (int64_t *)(void *)(out + 1);
		out->weights = (float *)(out->times + places);
		out->counts = (uint32_t *)(void *)(out->weights + places * spec->views);
	}
	return out;
}

void given_places_close(struct given_places *places)
{
	free(places);
}

uint64_t given_places_half_life(struct params *params, const char *name, bool has_history)
{
	uint64_t half_life_ms = 0;
	const bool is_given = params_uint_given(params, name, &half_life_ms);
	if (is_given && !has_history) {
		params_fail(params, STATUS_BAD_REQUEST, name,
			"given, but only rows of a table with a history have ages of their vectors");
	}
	if (is_given && (half_life_ms == 0 || half_life_ms > LIMIT_TTL_MS)) {
		params_fail(params, STATUS_BAD_REQUEST, name,
			"%" PRIu64 " given, 1..%" PRIu64 " allowed", half_life_ms, LIMIT_TTL_MS);
	}
	return half_life_ms;
}

/* Weighs the vectors of one history; those that are too old, which come first, are taken out. Returns
 * how many places are left. */
static uint32_t weigh(const struct table_spec *spec, double half_life_ms, const int64_t *times,
	uint32_t taken, float *vectors, float *weights)
{
	uint32_t first = 0;
	while (first + 1 < taken &&
		(double)(times[taken - 1] - times[first]) / half_life_ms > HALF_LIVES_MAX) {
		first++;
	}
	const size_t each = spec_sample_elements(spec);
	memmove(vectors, vectors + first * each, (taken - first) * each * sizeof *vectors);
	for (uint32_t place = first; place < taken; place++) {
		const double age = (double)(times[taken - 1] - times[place]) / half_life_ms;
		for (uint32_t view = 0; view < spec->views; view++) {
			weights[(place - first) * spec->views + view] =
				age > 0 ? (float)fading(-age) : 1;
		}
	}
	return taken - first;
}

void given_places_weigh(struct given_places *places, const struct table_spec *spec,
	uint64_t half_life_ms, void *vectors, struct query *query)
{
	const uint32_t history = spec->history;
	assert(query->parts == spec_row_views(spec));
	memset(places->weights, 0, (size_t)query->count * query->parts * sizeof *places->weights);
	for (uint32_t i = 0; i < query->count; i++) {
		uint32_t taken = places->counts[i];
		if (half_life_ms != 0 && taken > 0) {
			taken = weigh(spec, (double)half_life_ms,
				places->times + (size_t)i * history, taken,
				(float *)vectors + i * spec_elements(spec),
				places->weights + (size_t)i * query->parts);
		}
		places->counts[i] = taken * spec->views;
	}
	query->taken = places->counts;
	query->age_weights = half_life_ms != 0 ? places->weights : NULL;
}
