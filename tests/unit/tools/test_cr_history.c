/* test_cr_history.c - what is read before each sample holds what came before its time, and no
 * more. */
#include "daemon/aggregate/aggregate.h"
#include "tests/unit/alloc_fail.h"
#include "tools/evaluation/cr_features.h"
#include "tools/evaluation/cr_history.h"
#include "tools/evaluation/cr_layer.h"
#include "tools/evaluation/cr_samples.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { DIM = 3, SAMPLES = 60, USERS = 5, ITEMS = 11, HOUR_MS = 3600000 };

/* Samples whose times come one to three times, in rows that are not in their order. */
struct made {
	uint32_t order[SAMPLES];
	uint32_t users[SAMPLES];
	uint32_t items[SAMPLES];
	int64_t times_ms[SAMPLES];
	uint8_t labels[SAMPLES];
	float rows[SAMPLES][DIM];
	struct cr_samples samples;
	struct cr_layer layer;
};

static void make(struct made *made)
{
	for (uint32_t k = 0; k < SAMPLES; k++) {
		made->order[k] = (k * 7) % SAMPLES;
		made->users[k] = k * k % USERS;
		made->items[k] = k * 3 % ITEMS;
		made->times_ms[k] = (int64_t)(k - k % (1 + k / 8 % 3)) * HOUR_MS;
		for (size_t i = 0; i < DIM; i++) {
			made->rows[k][i] = (float)sin((double)((size_t)k * DIM + i));
		}
	}
	made->samples = (struct cr_samples){
		.count = SAMPLES,
		.user_count = USERS,
		.item_count = ITEMS,
		.order = made->order,
		.users = made->users,
		.items = made->items,
		.times_ms = made->times_ms,
		.labels = made->labels,
	};
	made->layer = (struct cr_layer){.rows = (const uint8_t *)made->rows,
		.count = SAMPLES,
		.dim = DIM,
		.dtype = DTYPE_F32};
}

static struct table_spec spec_of(enum reading reading)
{
	return (struct table_spec){.kind = KIND_CR,
		.dtype = DTYPE_F32,
		.dim = DIM,
		.views = 1,
		.decay_events = 0.9,
		.half_life_ms = (uint64_t)5 * HOUR_MS,
		.reading = reading,
		.state = STATE_F32X2};
}

/* From nothing, for this sample alone. */
static bool read_anew(const struct made *made, const struct table_spec *spec, size_t k,
	const uint32_t *side, float *out)
{
	float state[2 * DIM + 2];
	struct aggregate row = {.state = state};
	for (size_t j = 0; j < SAMPLES; j++) {
		if (side[j] == side[k] && made->times_ms[j] < made->times_ms[k]) {
			aggregate_add(&row, spec, made->times_ms[j], made->rows[made->order[j]]);
		}
	}
	if (row.is_there) {
		aggregate_read(spec, (const uint8_t *)state, (uint8_t *)out);
	}
	return row.is_there;
}

static void assert_read(const float *given, bool is_there, const float *expected)
{
	assert_int_equal(given != NULL, is_there);
	if (is_there) {
		assert_memory_equal(given, expected, DIM * sizeof *expected);
	}
}

static void reads_are_those_of_samples_before(void **state)
{
	(void)state;
	static const enum reading readings[] = {READING_SUM, READING_MEAN, READING_LAYER_NORM};
	struct made made;
	make(&made);
	for (size_t c = 0; c < 3; c++) {
		const struct table_spec spec = spec_of(readings[c]);
		struct cr_history *history = NULL;
		struct cr_read read;
		assert_int_equal(cr_history_open(&made.samples, &made.layer, &spec, &history),
			STATUS_OK);
		for (size_t k = 0; k < SAMPLES; k++) {
			float user[DIM];
			float item[DIM];
			const bool user_is_there = read_anew(&made, &spec, k, made.users, user);
			const bool item_is_there = read_anew(&made, &spec, k, made.items, item);
			assert_true(cr_history_next(history, &read));
			assert_read(read.user, user_is_there, user);
			assert_read(read.item, item_is_there, item);
		}
		assert_false(cr_history_next(history, &read));
		cr_history_close(history);
	}
}

/* Whatever stands at a time and after it: other users, items and vectors change no read up to the
 * last sample of that time. */
static void nothing_leaks_from_now_or_later(void **state)
{
	(void)state;
	const struct table_spec spec = spec_of(READING_MEAN);
	for (size_t at = 1; at < SAMPLES; at += 7) {
		struct made made;
		struct made changed;
		make(&made);
		make(&changed);
		size_t first = at;
		size_t end = at;
		for (; made.times_ms[first - 1] == made.times_ms[at]; first--) {
		}
		for (; end < SAMPLES && made.times_ms[end] == made.times_ms[at]; end++) {
		}
		for (size_t k = first; k < SAMPLES; k++) {
			for (size_t i = 0; i < DIM; i++) {
				changed.rows[changed.order[k]][i] = 1e6F + (float)k;
			}
			if (k >= end) {
				changed.users[k] = (changed.users[k] + 1) % USERS;
				changed.items[k] = (changed.items[k] + 1) % ITEMS;
			}
		}
		struct cr_history *histories[2] = {NULL, NULL};
		assert_int_equal(cr_history_open(&made.samples, &made.layer, &spec, &histories[0]),
			STATUS_OK);
		assert_int_equal(cr_history_open(&changed.samples, &changed.layer, &spec,
					 &histories[1]),
			STATUS_OK);
		for (size_t k = 0; k < end; k++) {
			struct cr_read read;
			struct cr_read other;
			assert_true(cr_history_next(histories[0], &read));
			assert_true(cr_history_next(histories[1], &other));
			assert_read(read.user, other.user != NULL, other.user);
			assert_read(read.item, other.item != NULL, other.item);
		}
		cr_history_close(histories[0]);
		cr_history_close(histories[1]);
	}
}

/* The states after the first samples, given as a start, are where the others go on. */
static void a_start_is_gone_on_from(void **state)
{
	(void)state;
	enum { FIRST = 30 };
	const struct table_spec spec = spec_of(READING_LAYER_NORM);
	struct made made;
	make(&made);
	assert_true(made.times_ms[FIRST - 1] < made.times_ms[FIRST]);
	const uint32_t *numbers[2] = {made.users, made.items};
	struct cr_start_side *starts[2] = {&made.layer.start.users, &made.layer.start.items};
	for (size_t side = 0; side < 2; side++) {
		for (uint32_t number = 0; number < (side == 0 ? USERS : ITEMS); number++) {
			float sum[2 * DIM + 2];
			double sums[DIM];
			struct aggregate row = {.state = sum};
			for (size_t k = 0; k < FIRST; k++) {
				if (numbers[side][k] == number) {
					aggregate_add(&row, &spec, made.times_ms[k],
						made.rows[made.order[k]]);
				}
			}
			if (row.is_there) {
				const uint8_t *whole = (const uint8_t *)sum;
				aggregate_read_sums(&spec, whole, whole + spec_row_bytes(&spec),
					(uint8_t *)sums);
				assert_int_equal(cr_start_add(starts[side], &spec, number,
							 row.last_ms, sums,
							 aggregate_weight(&spec, whole)),
					STATUS_OK);
			}
		}
	}
	struct cr_samples later = made.samples;
	later.count -= FIRST;
	later.order += FIRST;
	later.users += FIRST;
	later.items += FIRST;
	later.times_ms += FIRST;
	struct cr_history *history = NULL;
	assert_int_equal(cr_history_open(&later, &made.layer, &spec, &history), STATUS_OK);
	for (size_t k = FIRST; k < SAMPLES; k++) {
		float user[DIM];
		float item[DIM];
		struct cr_read read;
		const bool user_is_there = read_anew(&made, &spec, k, made.users, user);
		const bool item_is_there = read_anew(&made, &spec, k, made.items, item);
		assert_true(cr_history_next(history, &read));
		assert_read(read.user, user_is_there, user);
		assert_read(read.item, item_is_there, item);
	}
	cr_history_close(history);
	cr_start_fini(&made.layer.start);
}

/* ---- features ---- */

static void add(struct cr_reads *reads, const float *user, const float *item)
{
	const struct cr_read read = {user, item};
	cr_reads_add(reads, &read);
}

static void features_are_standardised_where_they_are(void **state)
{
	(void)state;
	static const float users[3][2] = {{1, 7}, {3, 7}, {5, 7}};
	static const float items[2][2] = {{2, -1}, {4, 1}};
	struct cr_reads reads;
	struct cr_features features;
	assert_int_equal(cr_reads_init(&reads, 2, 4), STATUS_OK);
	add(&reads, users[0], NULL);
	add(&reads, users[1], items[0]);
	add(&reads, users[2], items[1]);
	add(&reads, NULL, NULL);
	assert_int_equal(cr_features_fit(&reads, &features), STATUS_OK);
	assert_int_equal(features.count, 8);

	/* Users: 1, 3, 5, deviation sqrt(8/3), and 7 always. Items: 2 and 4; -1 and 1. Products: 6
	 * and 20; -7 and 7. Flags: of users one in four, of items two. */
	const double expected[4][8] = {
		{-2 / sqrt(8.0 / 3), 0, 0, 0, 0, 0, -0.25 / sqrt(0.1875), 1},
		{0, 0, -1, -1, -1, -1, -0.25 / sqrt(0.1875), -1},
		{2 / sqrt(8.0 / 3), 0, 1, 1, 1, 1, -0.25 / sqrt(0.1875), -1},
		{0, 0, 0, 0, 0, 0, 0.75 / sqrt(0.1875), 1},
	};
	for (size_t k = 0; k < 4; k++) {
		double filled[8];
		const struct cr_read read = cr_reads_at(&reads, k);
		cr_features_fill(&features, &read, filled);
		for (size_t i = 0; i < 8; i++) {
			assert_true(fabs(filled[i] - expected[k][i]) < 1e-12);
		}
	}
	cr_features_fini(&features);
	cr_reads_fini(&reads);
}

static void what_never_was_is_zero(void **state)
{
	(void)state;
	struct cr_reads reads;
	struct cr_features features;
	const float user[2] = {3e38F, -1};
	const struct cr_read read = {user, user};
	double filled[8];
	assert_int_equal(cr_reads_init(&reads, 2, 2), STATUS_OK);
	add(&reads, NULL, NULL);
	add(&reads, NULL, NULL);
	assert_int_equal(cr_features_fit(&reads, &features), STATUS_OK);
	cr_features_fill(&features, &read, filled);
	for (size_t i = 0; i < 8; i++) {
		assert_true(filled[i] == 0);
	}
	cr_features_fini(&features);
	cr_reads_fini(&reads);
}

/* ---- memory ---- */

static bool attempt(void *arg)
{
	const struct made *made = arg;
	const struct table_spec spec = spec_of(READING_SUM);
	struct cr_history *history = NULL;
	struct cr_reads reads = {0};
	struct cr_features features = {0};
	struct cr_read read;
	struct cr_start start = {0};
	const double sums[DIM] = {0};
	bool done = true;
	for (uint32_t i = 0; done && i < 100; i++) {
		done = cr_start_add(&start.users, &spec, i, 0, sums, 1) == STATUS_OK;
	}
	cr_start_fini(&start);
	done = done &&
	       cr_history_open(&made->samples, &made->layer, &spec, &history) == STATUS_OK &&
	       cr_reads_init(&reads, DIM, SAMPLES) == STATUS_OK;
	while (done && cr_history_next(history, &read)) {
		cr_reads_add(&reads, &read);
	}
	done = done && cr_features_fit(&reads, &features) == STATUS_OK;
	cr_history_close(history);
	cr_features_fini(&features);
	cr_reads_fini(&reads);
	return done;
}

static void refused_memory_is_said(void **state)
{
	(void)state;
	struct made made;
	make(&made);
	assert_true(alloc_fail_each(attempt, &made) >= 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_are_those_of_samples_before),
		cmocka_unit_test(nothing_leaks_from_now_or_later),
		cmocka_unit_test(a_start_is_gone_on_from),
		cmocka_unit_test(features_are_standardised_where_they_are),
		cmocka_unit_test(what_never_was_is_zero),
		cmocka_unit_test(refused_memory_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
