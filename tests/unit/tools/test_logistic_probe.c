/* test_logistic_probe.c - a probe finds what it should, the same way each time. */
#include "tests/unit/alloc_fail.h"
#include "tools/evaluation/logistic_probe.h"
#include "tools/evaluation/seeded_random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { FEATURES = 5, SAMPLES = 2000, BATCH = 50, EPOCHS = 30 };

/* Features uniform in -1..1; the logit is 2 f0 - 3 f1 + 0.5. */
static double rows[SAMPLES][FEATURES];
static uint8_t labels[SAMPLES];

static double uniform(struct seeded_random *random)
{
	return (double)seeded_random_below(random, 1u << 30) / (double)(1u << 30);
}

static int make_samples(void **state)
{
	(void)state;
	struct seeded_random random = {11};
	for (size_t k = 0; k < SAMPLES; k++) {
		for (size_t i = 0; i < FEATURES; i++) {
			rows[k][i] = 2 * uniform(&random) - 1;
		}
		const double z = 2 * rows[k][0] - 3 * rows[k][1] + 0.5;
		labels[k] = uniform(&random) < 1 / (1 + exp(-z));
	}
	return 0;
}

static struct probe_settings settings_of(enum loss_kind kind)
{
	return (struct probe_settings){
		.features = FEATURES,
		.batch_max = BATCH,
		.steps = EPOCHS * SAMPLES / BATCH,
		.loss = {kind, 0.5, 1},
		.rate = 0.05,
		.l2 = 0,
	};
}

static void fit(struct probe *probe)
{
	for (size_t epoch = 0; epoch < EPOCHS; epoch++) {
		for (size_t k = 0; k < SAMPLES; k += BATCH) {
			probe_step(probe, rows[k], labels + k, BATCH);
		}
	}
}

static void every_loss_finds_the_weights(void **state)
{
	(void)state;
	static const enum loss_kind kinds[] = {LOSS_BCE, LOSS_PAIR, LOSS_BOTH};
	static const double expected[FEATURES] = {2, -3, 0, 0, 0};
	for (size_t c = 0; c < 3; c++) {
		struct probe probe;
		const struct probe_settings settings = settings_of(kinds[c]);
		assert_int_equal(probe_init(&probe, &settings), STATUS_OK);
		fit(&probe);
		/* Of 2000 samples a weight is known to about 0.13. */
		for (size_t i = 0; i < FEATURES; i++) {
			assert_true(fabs(probe.weights[i] - expected[i]) < 0.4);
		}
		if (kinds[c] == LOSS_PAIR) {
			assert_true(fabs(probe.weights[FEATURES]) < 1e-6); /* no pair sees it */
		} else {
			assert_true(fabs(probe.weights[FEATURES] - 0.5) < 0.3);
		}
		probe_fini(&probe);
	}
}

/* Where the slope of the whole loss is nothing: what a fit in one batch ends at. */
static void a_fit_ends_where_the_loss_is_least(void **state)
{
	(void)state;
	struct probe probe;
	struct probe_settings settings = settings_of(LOSS_BCE);
	settings.batch_max = SAMPLES;
	settings.steps = 2000;
	settings.l2 = 0.01;
	assert_int_equal(probe_init(&probe, &settings), STATUS_OK);
	for (size_t i = 0; i < settings.steps; i++) {
		probe_step(&probe, rows[0], labels, SAMPLES);
	}
	for (size_t i = 0; i <= FEATURES; i++) {
		double slope = i < FEATURES ? settings.l2 * probe.weights[i] : 0;
		for (size_t k = 0; k < SAMPLES; k++) {
			const double p = 1 / (1 + exp(-probe_logit(&probe, rows[k])));
			slope += (p - labels[k]) * (i < FEATURES ? rows[k][i] : 1) / SAMPLES;
		}
		assert_true(fabs(slope) < 1e-4);
	}
	probe_fini(&probe);
}

static void the_first_step_has_the_size_of_the_rate(void **state)
{
	(void)state;
	struct probe probe;
	struct probe_settings settings = settings_of(LOSS_BCE);
	settings.bias = -1;
	assert_int_equal(probe_init(&probe, &settings), STATUS_OK);
	assert_true(probe_logit(&probe, rows[0]) == -1);
	probe_step(&probe, rows[0], labels, BATCH);
	for (size_t i = 0; i < FEATURES; i++) {
		assert_true(fabs(fabs(probe.weights[i]) - settings.rate) < 1e-6);
	}
	probe_fini(&probe);
}

static void the_same_batches_give_the_same_bits(void **state)
{
	(void)state;
	struct probe probes[2];
	const struct probe_settings settings = settings_of(LOSS_BOTH);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(probe_init(&probes[i], &settings), STATUS_OK);
		fit(&probes[i]);
	}
	assert_memory_equal(probes[0].weights, probes[1].weights, (FEATURES + 1) * sizeof(double));
	probe_fini(&probes[0]);
	probe_fini(&probes[1]);
}

static bool attempt(void *arg)
{
	struct probe probe = {0};
	const struct probe_settings *settings = arg;
	const bool made = probe_init(&probe, settings) == STATUS_OK;
	if (made) {
		probe_step(&probe, rows[0], labels, BATCH);
	}
	probe_fini(&probe);
	probe_fini(&probe);
	return made;
}

static void refused_memory_is_said(void **state)
{
	(void)state;
	struct probe_settings settings = settings_of(LOSS_BOTH);
	assert_true(alloc_fail_each(attempt, &settings) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_loss_finds_the_weights),
		cmocka_unit_test(a_fit_ends_where_the_loss_is_least),
		cmocka_unit_test(the_first_step_has_the_size_of_the_rate),
		cmocka_unit_test(the_same_batches_give_the_same_bits),
		cmocka_unit_test(refused_memory_is_said),
	};
	return cmocka_run_group_tests(tests, make_samples, NULL);
}
