/* aggregate.c - the arithmetic of decayed sums. */
#include "daemon/aggregate/aggregate.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* As in PyTorch's LayerNorm. */
static const double layer_norm_epsilon = 1e-5;

/* ---- samples ---- */

/* The share of a state that its half-life leaves after this time. */
static float faded(const struct table_spec *spec, int64_t from_ms, int64_t to_ms)
{
	if (spec->half_life_ms == 0) {
		return 1;
	}
	assert(to_ms >= from_ms);
	/* Times are below 2^53, so a double holds their difference exactly. */
	return (float)exp2(-(double)(to_ms - from_ms) / (double)spec->half_life_ms);
}

void aggregate_add(struct aggregate *row, const struct table_spec *spec, int64_t time_ms,
	const float *sample)
{
	const size_t elements = spec_elements(spec);
	float *restrict state = row->state;
	assert(spec_aggregates(spec));
	assert(spec->decay_events > 0);
	assert(spec->decay_events <= 1);
	if (!row->is_there) {
		memcpy(state, sample, elements * sizeof *state);
		state[elements] = 1;
		row->last_ms = time_ms;
		row->is_there = true;
		return;
	}
	float keep = (float)spec->decay_events;
	float take = 1;
	if (time_ms >= row->last_ms) {
		keep *= faded(spec, row->last_ms, time_ms);
		row->last_ms = time_ms;
	} else {
		take = faded(spec, time_ms, row->last_ms);
	}
	/* A factor of 1 changes no bit, so that one loop serves all cases. */
	for (size_t i = 0; i < elements; i++) {
		state[i] = keep * state[i] + take * sample[i];
	}
	state[elements] = keep * state[elements] + take;
}

/* ---- readings ---- */

static float element(const uint8_t *state, size_t i)
{
	float value;
	memcpy(&value, state + i * sizeof value, sizeof value);
	return value;
}

static void put_element(uint8_t *out, size_t i, float value)
{
	memcpy(out + i * sizeof value, &value, sizeof value);
}

/* A sum over a row is kept in LANES partial sums, which the compiler can compute side by side. They
 * are added up in one fixed order, so that every machine gets the same bits. */
enum { LANES = 8 };

static double total_of(const double lanes[LANES])
{
	return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) +
	       ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
}

static double mean_of(const uint8_t *state, size_t elements)
{
	double lanes[LANES] = {0};
	for (size_t i = 0; i < elements; i++) {
		lanes[i % LANES] += (double)element(state, i);
	}
	return total_of(lanes) / (double)elements;
}

static double variance_of(const uint8_t *state, size_t elements, double mean)
{
	double lanes[LANES] = {0};
	for (size_t i = 0; i < elements; i++) {
		const double difference = (double)element(state, i) - mean;
		lanes[i % LANES] += difference * difference;
	}
	return total_of(lanes) / (double)elements;
}

static void read_layer_norm(const uint8_t *state, size_t elements, uint8_t *out)
{
	const double mean = mean_of(state, elements);
	const double scale = 1 / sqrt(variance_of(state, elements, mean) + layer_norm_epsilon);
	for (size_t i = 0; i < elements; i++) {
		put_element(out, i, (float)(((double)element(state, i) - mean) * scale));
	}
}

static void read_mean(const uint8_t *state, size_t elements, uint8_t *out)
{
	const float weight = element(state, elements);
	for (size_t i = 0; i < elements; i++) {
		put_element(out, i, element(state, i) / weight);
	}
}

void aggregate_read(const struct table_spec *spec, const uint8_t *state, uint8_t *out)
{
	const size_t elements = spec_elements(spec);
	assert(spec_aggregates(spec));
	switch (spec->reading) {
	case READING_MEAN:
		read_mean(state, elements, out);
		break;
	case READING_LAYER_NORM:
		read_layer_norm(state, elements, out);
		break;
	case READING_SUM:
	case READING_NONE:
		memmove(out, state, elements * sizeof(float));
		break;
	}
}

float aggregate_weight(const struct table_spec *spec, const uint8_t *state)
{
	assert(spec_aggregates(spec)); /* no other row has a weight behind it */
	return element(state, spec_elements(spec));
}
