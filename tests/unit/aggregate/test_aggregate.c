/* test_aggregate.c - decayed sums against the formulas, written out in another way. */
#include "daemon/aggregate/aggregate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DIM = 5, DAY_MS = 86400000, SAMPLES = 200 };

static struct table_spec spec_of(double events, uint64_t half_life_ms, enum reading reading)
{
	return (struct table_spec){
		.entity = ENTITY_USER,
		.kind = KIND_CR,
		.dtype = DTYPE_F32,
		.key_type = KEY_U64,
		.dim = DIM,
		.views = 1,
		.decay_events = events,
		.half_life_ms = half_life_ms,
		.reading = reading,
	};
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

/* Samples of one key, some of them late. */
static void make_samples(float samples[SAMPLES][DIM], int64_t times[SAMPLES])
{
	uint64_t state = 7;
	for (size_t i = 0; i < SAMPLES; i++) {
		times[i] =
			(int64_t)(1000 * (i / 3)) * 3600 + (int64_t)(next_random(&state) % DAY_MS);
		for (size_t j = 0; j < DIM; j++) {
			samples[i][j] = (float)next_random(&state) / (float)(1u << 30) - 1;
		}
	}
}

/* The state in which nothing was seen yet. */
static struct aggregate begin(float state[DIM + 1])
{
	for (size_t i = 0; i <= DIM; i++) {
		state[i] = NAN; /* is not to be read */
	}
	return (struct aggregate){.state = state, .last_ms = INT64_MAX};
}

/* In f64, by the formulas of the header. */
struct reference {
	double sum[DIM];
	double weight;
	int64_t last_ms;
};

static void reference_add(struct reference *row, const struct table_spec *spec, bool first,
	int64_t time_ms, const float *sample)
{
	const double d = spec->decay_events;
	const double a = spec->half_life_ms == 0 || first
				 ? 1
				 : exp2(-fabs((double)(time_ms - row->last_ms)) /
					   (double)spec->half_life_ms);
	const bool late = !first && time_ms < row->last_ms;
	const double keep = first ? 0 : late ? d : d * a;
	const double take = late ? a : 1;
	for (size_t i = 0; i < DIM; i++) {
		row->sum[i] = keep * row->sum[i] + take * (double)sample[i];
	}
	row->weight = keep * row->weight + take;
	row->last_ms = late ? row->last_ms : time_ms;
}

static void a_stream_follows_the_formulas(void **state)
{
	(void)state;
	static const struct {
		double events;
		uint64_t half_life_ms;
	} decays[] = {{0.99, 0}, {1, 7 * (uint64_t)DAY_MS}, {0.9, DAY_MS}, {1, 0}};
	float samples[SAMPLES][DIM];
	int64_t times[SAMPLES];
	make_samples(samples, times);
	for (size_t c = 0; c < sizeof decays / sizeof *decays; c++) {
		const struct table_spec spec =
			spec_of(decays[c].events, decays[c].half_life_ms, READING_SUM);
		float row_state[DIM + 1];
		struct aggregate row = begin(row_state);
		struct reference reference = {{0}, 0, 0};
		for (size_t i = 0; i < SAMPLES; i++) {
			aggregate_add(&row, &spec, times[i], samples[i]);
			reference_add(&reference, &spec, i == 0, times[i], samples[i]);
			assert_int_equal(row.last_ms, reference.last_ms);
			for (size_t j = 0; j < DIM; j++) {
				assert_float_equal(row_state[j], reference.sum[j], 1e-4);
			}
			assert_float_equal(row_state[DIM] / (float)reference.weight, 1, 1e-5);
		}
		assert_float_equal(aggregate_weight(&spec, (uint8_t *)row_state), row_state[DIM],
			0);
	}
}

/* Each product and each sum is rounded: what a fused multiply-add gives differs. */
static void each_step_is_rounded(void **state)
{
	(void)state;
	const struct table_spec spec = spec_of(0.99, 0, READING_SUM);
	float samples[SAMPLES][DIM];
	int64_t times[SAMPLES];
	make_samples(samples, times);
	float row_state[DIM + 1];
	struct aggregate row = begin(row_state);
	volatile float sum[DIM] = {0};
	volatile float weight = 0;
	for (size_t i = 0; i < SAMPLES; i++) {
		aggregate_add(&row, &spec, times[i], samples[i]);
		for (size_t j = 0; j < DIM; j++) {
			volatile float product = 0.99f * sum[j];
			sum[j] = product + samples[i][j];
		}
		volatile float product = 0.99f * weight;
		weight = product + 1;
		for (size_t j = 0; j < DIM; j++) {
			assert_float_equal(row_state[j], sum[j], 0);
		}
		assert_float_equal(row_state[DIM], weight, 0);
	}
}

static void with_a_half_life_alone_the_order_does_not_matter(void **state)
{
	(void)state;
	const struct table_spec spec = spec_of(1, 7 * (uint64_t)DAY_MS, READING_MEAN);
	float samples[SAMPLES][DIM];
	int64_t times[SAMPLES];
	make_samples(samples, times);
	float forth[DIM + 1];
	float back[DIM + 1];
	struct aggregate a = begin(forth);
	struct aggregate b = begin(back);
	for (size_t i = 0; i < SAMPLES; i++) {
		aggregate_add(&a, &spec, times[i], samples[i]);
		aggregate_add(&b, &spec, times[SAMPLES - 1 - i], samples[SAMPLES - 1 - i]);
	}
	assert_int_equal(a.last_ms, b.last_ms);
	for (size_t j = 0; j <= DIM; j++) {
		assert_float_equal(forth[j], back[j], 1e-4);
	}
}

static void a_state_is_read_as_the_spec_says(void **state)
{
	(void)state;
	/* At an odd address. */
	uint8_t bytes[1 + sizeof(float[DIM + 1])];
	uint8_t out[1 + sizeof(float[DIM])];
	const float values[DIM + 1] = {1, 2, 3, 4, 10, 4};
	float read[DIM];
	memcpy(bytes + 1, values, sizeof values);

	struct table_spec spec = spec_of(1, 0, READING_SUM);
	aggregate_read(&spec, bytes + 1, out + 1);
	assert_memory_equal(out + 1, values, sizeof read);

	spec.reading = READING_MEAN;
	aggregate_read(&spec, bytes + 1, out + 1);
	memcpy(read, out + 1, sizeof read);
	for (size_t i = 0; i < DIM; i++) {
		assert_float_equal(read[i], values[i] / 4, 0);
	}

	/* Mean 4, variance (9 + 4 + 1 + 0 + 36) / 5 = 10. */
	spec.reading = READING_LAYER_NORM;
	aggregate_read(&spec, bytes + 1, out + 1);
	memcpy(read, out + 1, sizeof read);
	for (size_t i = 0; i < DIM; i++) {
		assert_float_equal(read[i], (values[i] - 4) / sqrtf(10 + 1e-5f), 1e-6);
	}
	/* In place. */
	aggregate_read(&spec, bytes + 1, bytes + 1);
	assert_memory_equal(bytes + 1, out + 1, sizeof read);
}

static void a_row_of_equal_elements_is_normal_to_zero(void **state)
{
	(void)state;
	const float values[DIM + 1] = {3, 3, 3, 3, 3, 2};
	float read[DIM];
	const struct table_spec spec = spec_of(1, 0, READING_LAYER_NORM);
	aggregate_read(&spec, (const uint8_t *)values, (uint8_t *)read);
	for (size_t i = 0; i < DIM; i++) {
		assert_float_equal(read[i], 0, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stream_follows_the_formulas),
		cmocka_unit_test(each_step_is_rounded),
		cmocka_unit_test(with_a_half_life_alone_the_order_does_not_matter),
		cmocka_unit_test(a_state_is_read_as_the_spec_says),
		cmocka_unit_test(a_row_of_equal_elements_is_normal_to_zero),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
