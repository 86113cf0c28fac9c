/* test_history.c - histories against a sorted list of all samples that a key has had. */
#include "daemon/aggregate/history.h"

#include "tests/unit/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PLACES = 5, DIM = 3, VIEWS = 2, ELEMENTS = DIM * VIEWS, SAMPLES = 60, STREAMS = 300 };

static struct table_spec spec_of(enum dtype dtype, uint32_t places)
{
	return (struct table_spec){
		.entity = ENTITY_USER,
		.kind = KIND_UR,
		.dtype = dtype,
		.key_type = KEY_U64,
		.dim = DIM,
		.views = VIEWS,
		.history = places,
	};
}

/* A state in which nothing was seen yet; what it holds is not to be read. */
struct state {
	struct aggregate row;
	size_t bytes;
};

static void begin(struct state *state, const struct table_spec *spec)
{
	state->bytes = spec_row_bytes(spec);
	assert_int_equal(state->bytes % 8, 0);
	state->row = (struct aggregate){.state = malloc(state->bytes), .last_ms = INT64_MAX};
	assert_non_null(state->row.state);
	memset(state->row.state, 0xff, state->bytes);
}

static const uint8_t *bytes_of(const struct state *state)
{
	return (const uint8_t *)state->row.state;
}

static int64_t time_at(const struct table_spec *spec, const struct state *state, uint32_t place)
{
	int64_t time_ms;
	memcpy(&time_ms, history_times(spec, bytes_of(state)) + (size_t)place * 8, sizeof time_ms);
	return time_ms;
}

/* Element 0 of the vector in a place, which says which sample it was. */
static float mark_at(const struct table_spec *spec, const struct state *state, uint32_t place)
{
	float vector[ELEMENTS];
	const size_t bytes = dtype_row_bytes(spec->dtype, DIM, VIEWS);
	const struct dtype_rows to = {.dtype = DTYPE_F32, .rows = vector};
	const struct dtype_rows from = {
		.dtype = spec->dtype,
		.rows = (void *)(bytes_of(state) + place * bytes),
	};
	dtype_convert(&to, &from, 1, DIM, VIEWS);
	for (size_t i = 1; i < ELEMENTS; i++) {
		assert_float_equal(vector[i], vector[0] + (float)i, 0);
	}
	return vector[0];
}

/* A sample whose elements are mark, mark + 1, ... */
static bool add(struct state *state, const struct table_spec *spec, int64_t time_ms, float mark)
{
	float sample[ELEMENTS];
	for (size_t i = 0; i < ELEMENTS; i++) {
		sample[i] = mark + (float)i;
	}
	return history_add(&state->row, spec, time_ms, sample);
}

/* ---- the model ---- */

/* All samples, by time; those of one time in the order in which they came. */
struct model {
	size_t count;
	int64_t times[SAMPLES];
	float marks[SAMPLES];
};

static void model_add(struct model *model, int64_t time_ms, float mark)
{
	size_t at = 0;
	while (at < model->count && model->times[at] <= time_ms) {
		at++;
	}
	memmove(model->times + at + 1, model->times + at,
		(model->count - at) * sizeof *model->times);
	memmove(model->marks + at + 1, model->marks + at,
		(model->count - at) * sizeof *model->marks);
	model->times[at] = time_ms;
	model->marks[at] = mark;
	model->count++;
}

static bool is_zero(const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (bytes[i] != 0) {
			return false;
		}
	}
	return true;
}

static void compare(const struct table_spec *spec, const struct state *state,
	const struct model *model)
{
	const size_t places = spec->history;
	const size_t count = model->count < places ? model->count : places;
	const size_t first = model->count - count;
	const size_t vector_bytes = dtype_row_bytes(spec->dtype, DIM, VIEWS);
	const uint8_t *times = history_times(spec, bytes_of(state));
	assert_int_equal(history_count(spec, bytes_of(state)), count);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(time_at(spec, state, i), model->times[first + i]);
		assert_float_equal(mark_at(spec, state, i), model->marks[first + i], 0);
	}
	assert_int_equal(state->row.last_ms, model->times[model->count - 1]);
	assert_true(is_zero(bytes_of(state) + count * vector_bytes,
		(size_t)(times - bytes_of(state)) - count * vector_bytes));
	assert_true(is_zero(times + count * 8, (places - count) * 8));
}

/* ---- tests ---- */

static void a_history_is_the_end_of_all_samples_in_order(void **unused)
{
	(void)unused;
	static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16};
	uint64_t random = seed_from(11);
	for (size_t stream = 0; stream < STREAMS; stream++) {
		const struct table_spec spec =
			spec_of(dtypes[stream % 3], 1 + (uint32_t)(stream % (PLACES + 2)));
		struct state state;
		struct model model = {.count = 0};
		begin(&state, &spec);
		for (size_t i = 0; i < SAMPLES; i++) {
			/* Few times, so that many are equal, and late by up to all of them. */
			random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
			const int64_t time_ms =
				(int64_t)(i / 2 + (random >> 40) % (stream % 40 + 1));
			assert_true(add(&state, &spec, time_ms, (float)i));
			model_add(&model, time_ms, (float)i);
			compare(&spec, &state, &model);
		}
		free(state.row.state);
	}
}

static void samples_of_one_time_stay_in_their_order(void **unused)
{
	(void)unused;
	const struct table_spec spec = spec_of(DTYPE_F32, 3);
	struct state state;
	begin(&state, &spec);
	for (int i = 0; i < 5; i++) {
		assert_true(add(&state, &spec, 7, (float)i));
	}
	for (uint32_t i = 0; i < 3; i++) {
		assert_float_equal(mark_at(&spec, &state, i), (float)(i + 2), 0);
	}
	free(state.row.state);
}

static void what_is_older_than_all_of_a_full_one_falls_off(void **unused)
{
	(void)unused;
	const struct table_spec spec = spec_of(DTYPE_F16, 2);
	struct state state;
	begin(&state, &spec);
	assert_true(add(&state, &spec, 10, 1));
	assert_true(add(&state, &spec, 20, 2));
	assert_true(add(&state, &spec, 9, 3));
	assert_float_equal(mark_at(&spec, &state, 0), 1, 0);
	assert_float_equal(mark_at(&spec, &state, 1), 2, 0);
	assert_int_equal(state.row.last_ms, 20);
	free(state.row.state);
}

static void what_the_dtype_cannot_hold_changes_nothing(void **unused)
{
	(void)unused;
	static const struct {
		enum dtype dtype;
		float most;
		float more;
	} cases[] = {{DTYPE_F16, 65514, 65520}, {DTYPE_BF16, 0x1.fep127f, 0x1.fffp127f}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct table_spec spec = spec_of(cases[i].dtype, 2);
		float sample[ELEMENTS] = {0};
		struct state state;
		begin(&state, &spec);
		sample[ELEMENTS - 1] = cases[i].more;
		assert_false(history_add(&state.row, &spec, 1, sample));
		assert_false(state.row.is_there);
		sample[ELEMENTS - 1] = cases[i].most;
		assert_true(history_add(&state.row, &spec, 1, sample));
		sample[ELEMENTS - 1] = -cases[i].more;
		assert_false(history_add(&state.row, &spec, 2, sample));
		assert_int_equal(history_count(&spec, bytes_of(&state)), 1);
		assert_int_equal(state.row.last_ms, 1);
		free(state.row.state);
	}
}

static void a_count_that_a_file_made_up_is_not_believed(void **unused)
{
	(void)unused;
	const struct table_spec spec = spec_of(DTYPE_F32, 2);
	struct state state;
	begin(&state, &spec);
	assert_true(add(&state, &spec, 1, 1));
	memset((uint8_t *)state.row.state + state.bytes - 8, 0xff, 8);
	assert_int_equal(history_count(&spec, bytes_of(&state)), 2);
	assert_true(add(&state, &spec, 2, 2)); /* in AddressSanitizer's sight */
	free(state.row.state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_history_is_the_end_of_all_samples_in_order),
		cmocka_unit_test(samples_of_one_time_stay_in_their_order),
		cmocka_unit_test(what_is_older_than_all_of_a_full_one_falls_off),
		cmocka_unit_test(what_the_dtype_cannot_hold_changes_nothing),
		cmocka_unit_test(a_count_that_a_file_made_up_is_not_believed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
