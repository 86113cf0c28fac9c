/* test_aggregate.c - decayed sums against the formulas, written out in another way. */
#include "daemon/aggregate/aggregate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/aggregate/aggregate_kernels.h"
#include "daemon/aggregate/fading.h"

enum { DIM = 5, DAY_MS = 86400000, SAMPLES = 200, STATE_FLOATS = 2 * DIM + 2 };

static const enum state_kind states[] = {STATE_F32, STATE_F32X2};
enum { STATES = 2 };

static struct table_spec spec_of(double events, uint64_t half_life_ms, enum reading reading,
	enum state_kind state)
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
		.state = state,
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
static struct aggregate begin(float state[STATE_FLOATS])
{
	for (size_t i = 0; i < STATE_FLOATS; i++) {
		state[i] = NAN; /* is not to be read */
	}
	return (struct aggregate){.state = state, .last_ms = INT64_MAX};
}

/* The sums of a state, in full. */
static void read_sums(const struct table_spec *spec, const float *state, double sums[DIM])
{
	const uint8_t *bytes = (const uint8_t *)state;
	aggregate_read_sums(spec, bytes, spec_low_behind(spec, bytes), (uint8_t *)sums);
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

static void follows_the_formulas(const struct table_spec *spec, double within)
{
	float samples[SAMPLES][DIM];
	int64_t times[SAMPLES];
	double sums[DIM];
	float row_state[STATE_FLOATS];
	struct aggregate row = begin(row_state);
	struct reference reference = {{0}, 0, 0};
	make_samples(samples, times);
	for (size_t i = 0; i < SAMPLES; i++) {
		aggregate_add(&row, spec, times[i], samples[i]);
		reference_add(&reference, spec, i == 0, times[i], samples[i]);
		assert_int_equal(row.last_ms, reference.last_ms);
		read_sums(spec, row_state, sums);
		for (size_t j = 0; j < DIM; j++) {
			assert_true(fabs(sums[j] - reference.sum[j]) < within * 100);
			assert_true(row_state[j] == (float)sums[j]); /* a fetch reads this one */
		}
		const double weight = aggregate_weight(spec, (const uint8_t *)row_state);
		assert_true(fabs(weight / reference.weight - 1) < within);
	}
}

static void a_stream_follows_the_formulas(void **state)
{
	(void)state;
	static const struct {
		double events;
		uint64_t half_life_ms;
	} decays[] = {{0.99, 0}, {1, 7 * (uint64_t)DAY_MS}, {0.9, DAY_MS}, {1, 0}};
	static const double within[STATES] = {1e-6, 1e-14};
	for (size_t c = 0; c < sizeof decays / sizeof *decays; c++) {
		for (size_t i = 0; i < STATES; i++) {
			const struct table_spec spec = spec_of(decays[c].events,
				decays[c].half_life_ms, READING_SUM, states[i]);
			follows_the_formulas(&spec, within[i]);
		}
	}
}

/* A popular item: as many samples of the one kind as of the other, all within a minute. */
static void a_hot_key_does_not_stand_still(void **state)
{
	(void)state;
	enum { EACH = 17 << 20 }; /* a sum in f32 stands at 2^24 */
	struct table_spec spec = spec_of(1, 7 * (uint64_t)DAY_MS, READING_MEAN, STATE_F32X2);
	const float samples[2][2] = {{1, 0}, {0, 1}};
	float row_state[6];
	float mean[2];
	spec.dim = 2;
	struct aggregate row = {.state = row_state};
	for (size_t i = 0; i < 2 * (size_t)EACH; i++) {
		aggregate_add(&row, &spec, (int64_t)(i / 1000), samples[i / EACH]);
	}
	aggregate_read(&spec, (const uint8_t *)row_state, (uint8_t *)mean);
	assert_float_equal(mean[0], 0.5, 1e-4);
	assert_float_equal(mean[1], 0.5, 1e-4);
	assert_true(aggregate_weight(&spec, (const uint8_t *)row_state) > 1.99 * EACH);
}

/* Each product and each sum is rounded: what a fused multiply-add gives differs. */
static void each_step_is_rounded(void **state)
{
	(void)state;
	const struct table_spec spec = spec_of(0.99, 0, READING_SUM, STATE_F32);
	float samples[SAMPLES][DIM];
	int64_t times[SAMPLES];
	make_samples(samples, times);
	float row_state[STATE_FLOATS];
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

/* The same of two f32: each product and sum to f64, each sum to 49 bits, and these into two. */
static void each_step_of_two_parts_is_rounded(void **state)
{
	(void)state;
	const struct table_spec spec = spec_of(0.99, 0, READING_SUM, STATE_F32X2);
	float samples[SAMPLES][DIM];
	int64_t times[SAMPLES];
	make_samples(samples, times);
	float row_state[STATE_FLOATS];
	struct aggregate row = begin(row_state);
	double sum[DIM] = {0};
	double sums[DIM];
	for (size_t i = 0; i < SAMPLES; i++) {
		aggregate_add(&row, &spec, times[i], samples[i]);
		read_sums(&spec, row_state, sums);
		for (size_t j = 0; j < DIM; j++) {
			volatile double product = 0.99 * sum[j];
			volatile double next =
				i == 0 ? (double)samples[i][j] : product + (double)samples[i][j];
			int exponent;
			const double fraction = frexp(next, &exponent);
			sum[j] = ldexp(nearbyint(ldexp(fraction, 49)), exponent - 49);
			assert_true(sums[j] == sum[j]);
		}
	}
}

static void every_set_of_kernels_gives_the_same_bits(void **state)
{
	(void)state;
	enum { COUNT = 77 };
	const struct aggregate_kernels *first = aggregate_kernels_at(0);
	for (size_t i = 1; aggregate_kernels_at(i) != NULL; i++) {
		const struct aggregate_kernels *other = aggregate_kernels_at(i);
		static const struct aggregate_factors factors = {0.97, 0.9};
		float high[3][COUNT] = {{0}};
		float low[3][COUNT] = {{0}};
		float single[2][COUNT] = {{0}};
		float sample[COUNT];
		uint64_t random = 3;
		for (size_t n = 0; n < 100; n++) {
			for (size_t j = 0; j < COUNT; j++) {
				sample[j] = (float)next_random(&random) / (float)(1u << 30) - 1;
			}
			/* In place, and from one place into another. */
			first->add_f32x2(&(struct aggregate_sums){high[0], low[0]}, high[0], low[0],
				sample, n % COUNT, &factors);
			const size_t to = 2 - n % 2;
			const struct aggregate_sums before = {high[3 - to], low[3 - to]};
			memset(high[to], 0xff, n % COUNT * sizeof(float));
			memset(low[to], 0xff, n % COUNT * sizeof(float));
			other->add_f32x2(&before, high[to], low[to], sample, n % COUNT, &factors);
			memcpy(high[3 - to], high[to], sizeof high[0]);
			memcpy(low[3 - to], low[to], sizeof low[0]);
			first->add_f32(single[0], sample, n % COUNT, 0.97F, 0.9F);
			other->add_f32(single[1], sample, n % COUNT, 0.97F, 0.9F);
		}
		assert_memory_equal(high[0], high[1], sizeof high[0]);
		assert_memory_equal(low[0], low[1], sizeof low[0]);
		assert_memory_equal(single[0], single[1], sizeof single[0]);
	}
}

/* What was read of a state in full makes the same state. */
static void a_state_is_made_of_what_was_read(void **state)
{
	(void)state;
	float samples[SAMPLES][DIM];
	int64_t times[SAMPLES];
	make_samples(samples, times);
	for (size_t s = 0; s < STATES; s++) {
		const struct table_spec spec = spec_of(0.99, DAY_MS, READING_SUM, states[s]);
		float row_state[STATE_FLOATS];
		float made[STATE_FLOATS];
		struct aggregate row = begin(row_state);
		for (size_t i = 0; i < SAMPLES; i++) {
			double sums[DIM];
			aggregate_add(&row, &spec, times[i], samples[i]);
			read_sums(&spec, row_state, sums);
			aggregate_make(&spec, (const uint8_t *)sums,
				aggregate_weight(&spec, (const uint8_t *)row_state),
				(uint8_t *)made);
			assert_memory_equal(made, row_state, spec_stored_bytes(&spec));
		}
	}
}

static void sums_that_are_not_finite_have_no_low_part(void **state)
{
	(void)state;
	const struct table_spec spec = spec_of(1, 0, READING_SUM, STATE_F32X2);
	const double sums[DIM] = {1e300, -1e300, (double)INFINITY, (double)NAN, 1};
	float made[STATE_FLOATS];
	double read[DIM];
	aggregate_make(&spec, (const uint8_t *)sums, 2, (uint8_t *)made);
	read_sums(&spec, made, read);
	assert_true(isinf(read[0]) && read[0] > 0);
	assert_true(isinf(read[1]) && read[1] < 0);
	assert_true(isinf(read[2]) && isnan(read[3]) && read[4] == 1);
}

static void half_lives_fade_by_powers_of_two(void **state)
{
	(void)state;
	for (int i = 0; i <= 1000; i++) {
		assert_true(fading(-i) == ldexp(1, -i));
	}
	assert_true(
		fading(-1000.001) == 0 && fading(-1e300) == 0 && fading((double)-INFINITY) == 0);
	uint64_t random = 9;
	for (int i = 0; i < 100000; i++) {
		const double y = -(double)next_random(&random) / (double)(1u << 27);
		const double wanted = exp2(y);
		assert_true(fabs(fading(y) / wanted - 1) < 6e-16);
	}
	/* The last places of libm's are not the same everywhere; ours are these. */
	assert_true(fading(-0.1) == 0x1.ddb680117ab12p-1);
	assert_true(fading(-1e-9) == 0x1.fffffffa0bc0dp-1);
}

static void with_a_half_life_alone_the_order_does_not_matter(void **state)
{
	(void)state;
	const struct table_spec spec = spec_of(1, 7 * (uint64_t)DAY_MS, READING_MEAN, STATE_F32X2);
	float samples[SAMPLES][DIM];
	int64_t times[SAMPLES];
	make_samples(samples, times);
	float forth[STATE_FLOATS];
	float back[STATE_FLOATS];
	struct aggregate a = begin(forth);
	struct aggregate b = begin(back);
	for (size_t i = 0; i < SAMPLES; i++) {
		aggregate_add(&a, &spec, times[i], samples[i]);
		aggregate_add(&b, &spec, times[SAMPLES - 1 - i], samples[SAMPLES - 1 - i]);
	}
	assert_int_equal(a.last_ms, b.last_ms);
	for (size_t j = 0; j < DIM; j++) {
		assert_float_equal(forth[j], back[j], 1e-6);
	}
}

/* Samples so late that they count for nothing fade a state by events, until nothing is left of it. */
static void a_weight_that_has_faded_is_still_above_zero(void **state)
{
	(void)state;
	const float sample[DIM] = {1, -2, 3, 0, 1};
	for (size_t i = 0; i < STATES; i++) {
		const struct table_spec spec = spec_of(0.5, 1, READING_MEAN, states[i]);
		float row_state[STATE_FLOATS];
		float read[DIM];
		struct aggregate row = begin(row_state);
		aggregate_add(&row, &spec, DAY_MS, sample);
		for (size_t late = 0; late < 1200; late++) {
			aggregate_add(&row, &spec, 0, sample);
		}
		assert_true(aggregate_weight(&spec, (const uint8_t *)row_state) > 0);
		aggregate_read(&spec, (const uint8_t *)row_state, (uint8_t *)read);
		for (size_t j = 0; j < DIM; j++) {
			assert_true(read[j] == 0);
		}
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

	struct table_spec spec = spec_of(1, 0, READING_SUM, STATE_F32);
	aggregate_read(&spec, bytes + 1, out + 1);
	assert_memory_equal(out + 1, values, sizeof read);

	spec.reading = READING_MEAN;
	aggregate_read(&spec, bytes + 1, out + 1);
	memcpy(read, out + 1, sizeof read);
	for (size_t i = 0; i < DIM; i++) {
		assert_float_equal(read[i], values[i] / 4, 0);
	}

	/* Of f32x2 the high parts, by a weight in f64. */
	uint8_t wide[sizeof(float[STATE_FLOATS])];
	double sums[DIM];
	for (size_t i = 0; i < DIM; i++) {
		sums[i] = (double)values[i] + 1e-12;
	}
	const struct table_spec two = spec_of(1, 0, READING_MEAN, STATE_F32X2);
	aggregate_make(&two, (const uint8_t *)sums, 4, wide);
	aggregate_read(&two, wide, out + 1);
	assert_memory_equal(out + 1, read, sizeof read);

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
	const struct table_spec spec = spec_of(1, 0, READING_LAYER_NORM, STATE_F32);
	aggregate_read(&spec, (const uint8_t *)values, (uint8_t *)read);
	for (size_t i = 0; i < DIM; i++) {
		assert_float_equal(read[i], 0, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stream_follows_the_formulas),
		cmocka_unit_test(a_hot_key_does_not_stand_still),
		cmocka_unit_test(each_step_is_rounded),
		cmocka_unit_test(each_step_of_two_parts_is_rounded),
		cmocka_unit_test(every_set_of_kernels_gives_the_same_bits),
		cmocka_unit_test(a_state_is_made_of_what_was_read),
		cmocka_unit_test(sums_that_are_not_finite_have_no_low_part),
		cmocka_unit_test(half_lives_fade_by_powers_of_two),
		cmocka_unit_test(with_a_half_life_alone_the_order_does_not_matter),
		cmocka_unit_test(a_weight_that_has_faded_is_still_above_zero),
		cmocka_unit_test(a_state_is_read_as_the_spec_says),
		cmocka_unit_test(a_row_of_equal_elements_is_normal_to_zero),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
