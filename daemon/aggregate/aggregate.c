/* aggregate.c - the arithmetic of decayed sums. */
#include "daemon/aggregate/aggregate.h"

#include "daemon/aggregate/aggregate_kernels.h"
#include "daemon/aggregate/fading.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

/* As in PyTorch's LayerNorm. */
static const double layer_norm_epsilon = 1e-5;

/* ---- the parts of a state ---- */

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

static size_t weight_at(const struct table_spec *spec)
{
	return spec_elements(spec) * sizeof(float);
}

static void put_weight(const struct table_spec *spec, uint8_t *state, double weight)
{
	uint8_t *at = state + weight_at(spec);
	if (spec->state == STATE_F32X2) {
		memcpy(at, &weight, sizeof weight);
	} else {
		const float rounded = (float)weight;
		memcpy(at, &rounded, sizeof rounded);
	}
}

double aggregate_weight(const struct table_spec *spec, const uint8_t *state)
{
	assert(spec_aggregates(spec)); /* no other row has a weight behind it */
	const uint8_t *at = state + weight_at(spec);
	if (spec->state == STATE_F32X2) {
		double weight;
		memcpy(&weight, at, sizeof weight);
		return weight;
	}
	float weight;
	memcpy(&weight, at, sizeof weight);
	return (double)weight;
}

/* The low parts of sums behind their high ones and the weight. */
static float *lows_of(const struct table_spec *spec, float *state)
{
	return state + spec_row_bytes(spec) / sizeof *state;
}

/* ---- samples ---- */

/* The share of a state that its half-life leaves after this time. */
static double faded(const struct table_spec *spec, int64_t from_ms, int64_t to_ms)
{
	if (spec->half_life_ms == 0 || from_ms == to_ms) {
		return 1;
	}
	assert(to_ms >= from_ms);
	/* Times are below 2^53, so a double holds their difference exactly. */
	return fading(-(double)(to_ms - from_ms) / (double)spec->half_life_ms);
}

/* What is left of the state on a sample, and how much the sample counts. */
struct shares {
	double fade; /* of the state, by its half-life */
	double take;
};

static struct shares shares_of(struct aggregate *row, const struct table_spec *spec,
	int64_t time_ms)
{
	struct shares shares = {1, 1};
	if (time_ms >= row->last_ms) {
		shares.fade = faded(spec, row->last_ms, time_ms);
		row->last_ms = time_ms;
	} else {
		shares.take = faded(spec, time_ms, row->last_ms);
	}
	return shares;
}

static void begin(struct aggregate *row, const struct table_spec *spec, int64_t time_ms,
	const float *sample)
{
	memcpy(row->state, sample, spec_elements(spec) * sizeof *sample);
	put_weight(spec, (uint8_t *)row->state, 1);
	if (spec->state == STATE_F32X2) {
		memset(lows_of(spec, row->state), 0, spec_low_bytes(spec));
	}
	row->from = NULL;
	row->last_ms = time_ms;
	row->is_there = true;
}

/* In each, a factor of 1 changes no bit, so that one loop serves all cases. Late samples that count for
 * nothing fade a weight by events all the same; one that is rounded to 0 stays above it. */

static void add_f32(float *state, const struct table_spec *spec, const struct shares *shares,
	const float *sample)
{
	const float keep = (float)spec->decay_events * (float)shares->fade;
	const float take = (float)shares->take;
	const size_t elements = spec_elements(spec);
	aggregate_kernels_at(0)->add_f32(state, sample, elements, keep, take);
	const float weight = keep * state[elements] + take;
	state[elements] = weight > 0 ? weight : FLT_TRUE_MIN;
}

static void add_f32x2(struct aggregate *row, const struct table_spec *spec,
	const struct shares *shares, const float *sample)
{
	float *low = lows_of(spec, row->state);
	const uint8_t *from = row->from == NULL ? (const uint8_t *)row->state : row->from;
	const struct aggregate_sums sums = {
		.high = (const float *)(const void *)from,
		.low = row->from == NULL ? low : (const float *)(const void *)row->from_low,
	};
	const struct aggregate_factors factors = {
		.keep = spec->decay_events * shares->fade,
		.take = shares->take,
	};
	aggregate_kernels_at(0)->add_f32x2(&sums, row->state, low, sample, spec_elements(spec),
		&factors);
	const double weight = factors.keep * aggregate_weight(spec, from) + factors.take;
	put_weight(spec, (uint8_t *)row->state, weight > 0 ? weight : DBL_TRUE_MIN);
	row->from = NULL;
}

void aggregate_add(struct aggregate *row, const struct table_spec *spec, int64_t time_ms,
	const float *sample)
{
	assert(spec_aggregates(spec));
	assert(spec->decay_events > 0);
	assert(spec->decay_events <= 1);
	if (!row->is_there) {
		begin(row, spec, time_ms, sample);
		return;
	}
	const struct shares shares = shares_of(row, spec, time_ms);
	if (spec->state == STATE_F32X2) {
		add_f32x2(row, spec, &shares, sample);
	} else {
		assert(row->from == NULL);
		add_f32(row->state, spec, &shares, sample);
	}
}

/* ---- sums that were given ---- */

void aggregate_make(const struct table_spec *spec, const uint8_t *sums, double weight, uint8_t *out)
{
	const size_t elements = sums == NULL ? 0 : spec_elements(spec);
	uint8_t *lows = out + spec_row_bytes(spec);
	memset(lows, 0, spec_low_bytes(spec));
	for (size_t i = 0; i < elements; i++) {
		double sum;
		memcpy(&sum, sums + i * sizeof sum, sizeof sum);
		float high = (float)sum;
		float low = 0;
		if (spec->state == STATE_F32X2 && isfinite(high)) {
			aggregate_split(sum, &high, &low);
		}
		put_element(out, i, high);
		if (spec->state == STATE_F32X2) {
			put_element(lows, i, low);
		}
	}
	put_weight(spec, out, weight);
}

/* ---- readings ---- */

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

static void read_mean(const struct table_spec *spec, const uint8_t *state, uint8_t *out)
{
	const double weight = aggregate_weight(spec, state);
	for (size_t i = 0; i < spec_elements(spec); i++) {
		put_element(out, i, (float)((double)element(state, i) / weight));
	}
}

void aggregate_read(const struct table_spec *spec, const uint8_t *state, uint8_t *out)
{
	const size_t elements = spec_elements(spec);
	assert(spec_aggregates(spec));
	switch (spec->reading) {
	case READING_MEAN:
		read_mean(spec, state, out);
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

void aggregate_read_sums(const struct table_spec *spec, const uint8_t *state, const uint8_t *low,
	uint8_t *out)
{
	assert(spec_aggregates(spec));
	assert((low == NULL) == (spec_low_bytes(spec) == 0));
	for (size_t i = 0; i < spec_elements(spec); i++) {
		double sum = (double)element(state, i);
		if (low != NULL) {
			sum += (double)element(low, i);
		}
		memcpy(out + i * sizeof sum, &sum, sizeof sum);
	}
}
