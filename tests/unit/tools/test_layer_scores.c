/* test_layer_scores.c - from samples to scores and figures: what can be learnt is, what cannot is
 * not. */
#include "tests/unit/alloc_fail.h"
#include "tools/evaluation/layer_figures.h"
#include "tools/evaluation/layer_scores.h"
#include "tools/evaluation/seeded_random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { DIM = 4, SAMPLES = 2000, CUT = 1000, USERS = 40, ITEMS = 60 };

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

/* Each sample at a time of its own; an item is liked or not; a vector says of which sort it is,
 * and nothing of the label but that. */
static void make(struct made *made)
{
	struct seeded_random random = {3};
	for (uint32_t k = 0; k < SAMPLES; k++) {
		made->order[k] = k;
		made->users[k] = seeded_random_below(&random, USERS);
		made->items[k] = seeded_random_below(&random, ITEMS);
		made->times_ms[k] = k;
		const bool good = made->items[k] % 3 == 0;
		made->labels[k] = seeded_random_below(&random, 10) < (good ? 8 : 2);
		for (size_t i = 0; i < DIM; i++) {
			made->rows[k][i] = (float)seeded_random_below(&random, 1000) / 1000;
		}
		made->rows[k][1] += good ? 0.5F : -0.5F;
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
	made->layer = (struct cr_layer){.name = {"fm"},
		.rows = (const uint8_t *)made->rows,
		.count = SAMPLES,
		.dim = DIM,
		.dtype = DTYPE_F32};
}

static struct fit_settings settings_of(enum loss_kind kind)
{
	return (struct fit_settings){
		.spec = {.kind = KIND_CR,
			.dtype = DTYPE_F32,
			.views = 1,
			.decay_events = 0.99,
			.reading = READING_LAYER_NORM},
		.loss = {kind, 0.5, 1},
		.batch = 64,
		.epochs = 10,
		.rate = 0.01,
		.l2 = 0.01,
		.seed = 1,
	};
}

static double auc_of(const struct made *made, const struct fit_settings *settings, double *scores)
{
	struct layer_scores made_scores = {.logits = scores};
	struct error err = {0};
	double auc = 0;
	if (layer_scores_make(&made->samples, CUT, &made->layer, settings, &made_scores, &err) !=
		STATUS_OK) {
		fail_msg("%s", err.text);
	}
	const struct ranking ranking = {scores, made->labels + CUT, made->users + CUT,
		SAMPLES - CUT, made->samples.user_count};
	assert_int_equal(ranking_auc(&ranking, &auc), STATUS_OK);
	return auc;
}

static void what_items_are_like_is_learnt(void **state)
{
	(void)state;
	static const enum loss_kind kinds[] = {LOSS_BCE, LOSS_PAIR, LOSS_BOTH};
	static struct made made;
	double scores[SAMPLES - CUT];
	make(&made);
	/* Who knows each item's sort has 0.8. */
	for (size_t c = 0; c < 3; c++) {
		const struct fit_settings settings = settings_of(kinds[c]);
		assert_true(auc_of(&made, &settings, scores) > 0.75);
	}
}

/* The label itself in the sample's own vector, and users and items that come once: there is nothing
 * before, all scores are equal. */
static void the_sample_itself_is_not_seen(void **state)
{
	(void)state;
	static struct made made;
	static uint32_t own[SAMPLES];
	double scores[SAMPLES - CUT];
	const struct fit_settings settings = settings_of(LOSS_BCE);
	make(&made);
	for (uint32_t k = 0; k < SAMPLES; k++) {
		own[k] = k;
		made.rows[k][0] = made.labels[k] ? 9.F : -9.F;
	}
	made.samples.users = made.samples.items = own;
	made.samples.user_count = made.samples.item_count = SAMPLES;
	assert_true(auc_of(&made, &settings, scores) == 0.5);
	assert_true(
		fabs(scores[0] - layer_scores_constant(&made.samples, CUT, &settings.loss)) < 0.1);
}

/* The same label for all samples of one user at one time, in their vectors: only samples of the
 * same time tell. */
static void samples_of_the_same_time_are_not_seen(void **state)
{
	(void)state;
	static struct made made;
	static uint32_t own[SAMPLES];
	double scores[SAMPLES - CUT];
	const struct fit_settings settings = settings_of(LOSS_BCE);
	make(&made);
	for (uint32_t k = 0; k < SAMPLES; k++) {
		own[k] = k / 4;
		made.times_ms[k] = k / 4;
		made.labels[k] = made.labels[k - k % 4];
		made.rows[k][0] = made.labels[k] ? 9.F : -9.F;
	}
	made.samples.users = made.samples.items = own;
	made.samples.user_count = made.samples.item_count = SAMPLES;
	assert_true(auc_of(&made, &settings, scores) == 0.5);
	/* Told one by one they would be known. */
	for (uint32_t k = 0; k < SAMPLES; k++) {
		made.times_ms[k] = k;
	}
	assert_true(auc_of(&made, &settings, scores) > 0.8);
}

static void later_samples_change_no_score(void **state)
{
	(void)state;
	enum { LATER = 1500 };
	static struct made made;
	double scores[SAMPLES - CUT];
	double changed[SAMPLES - CUT];
	const struct fit_settings settings = settings_of(LOSS_BOTH);
	make(&made);
	auc_of(&made, &settings, scores);
	for (uint32_t k = LATER; k < SAMPLES; k++) {
		made.users[k] = USERS - 1 - made.users[k];
		made.items[k] = ITEMS - 1 - made.items[k];
		made.labels[k] = !made.labels[k];
		made.rows[k][0] = (float)k;
	}
	auc_of(&made, &settings, changed);
	assert_memory_equal(scores, changed, (LATER - CUT) * sizeof *scores);
	assert_true(scores[LATER - CUT + 10] != changed[LATER - CUT + 10]);
}

static void a_seed_gives_the_same_bits(void **state)
{
	(void)state;
	static struct made made;
	double first[SAMPLES - CUT];
	double second[SAMPLES - CUT];
	struct fit_settings settings = settings_of(LOSS_BOTH);
	make(&made);
	auc_of(&made, &settings, first);
	auc_of(&made, &settings, second);
	assert_memory_equal(first, second, sizeof first);
	settings.seed = 2;
	auc_of(&made, &settings, second);
	assert_memory_not_equal(first, second, sizeof first);
}

static void sums_beyond_f32_are_named(void **state)
{
	(void)state;
	static struct made made;
	double scores[SAMPLES - CUT];
	struct layer_scores made_scores = {.logits = scores};
	struct error err = {0};
	struct fit_settings settings = settings_of(LOSS_BCE);
	settings.spec.decay_events = 1;
	make(&made);
	for (size_t k = CUT; k < SAMPLES; k++) {
		made.rows[k][2] = 3e38F;
	}
	assert_int_equal(layer_scores_make(&made.samples, CUT, &made.layer, &settings, &made_scores,
				 &err),
		STATUS_TOO_LARGE);
	assert_non_null(strstr(err.text, "--layer fm: before sample "));
	assert_non_null(strstr(err.text, "beyond f32"));
}

/* ---- figures ---- */

static void figures_are_of_mini_batches(void **state)
{
	(void)state;
	/* Batches of three: one without positives, one with both, and one of a single sample. */
	const double scores[7] = {-1, -2, 0, 1, 0, 2, -1};
	const uint8_t labels[7] = {0, 0, 0, 1, 0, 0, 1};
	const uint32_t users[7] = {0, 0, 0, 0, 1, 1, 1};
	const struct ranking ranking = {scores, labels, users, 7, 2};
	const struct figure_settings settings = {{LOSS_BCE, 0.25, 3}, 3, 100, 1};
	struct figures figures;
	assert_int_equal(figures_make(&ranking, &settings, &figures), STATUS_OK);
	assert_int_equal(figures.batches, 3);
	assert_int_equal(figures.pair_batches, 1);
	const double wrong_0 = 1 / (1 + exp(1));  /* sigmoid(0 - 1) */
	const double wrong_1 = 1 / (1 + exp(-1)); /* sigmoid(2 - 1) */
	const double pair = -(log(1 - wrong_0) + log(1 - wrong_1)) / 2;
	assert_true(fabs(figures.pair_loss - pair) < 1e-14);
	/* Slopes of that batch are divided by its two pairs, and taken times its three samples. */
	assert_true(fabs(figures.pair_slope - (wrong_0 + wrong_1) * 3 / 2 / 5) < 1e-14);
	double bce = 0;
	double plain = 0;
	double weighted = 0;
	for (size_t i = 0; i < 7; i++) {
		const double p = 1 / (1 + exp(-scores[i]));
		bce += labels[i] ? 0 : p / 5;
		plain -= log(labels[i] ? p : 1 - p) / 7;
		weighted -= (labels[i] ? 3 : 1) * log(labels[i] ? p : 1 - p) / 7;
	}
	assert_true(fabs(figures.bce_slope - bce) < 1e-14);
	assert_true(fabs(figures.both_slope - 0.25 * bce - 0.75 * figures.pair_slope) < 1e-14);
	assert_true(fabs(figures.log_loss - plain) < 1e-14);
	assert_true(fabs(figures.weighted_log_loss - weighted) < 1e-14);
	assert_true(fabs(figures.both_loss - 0.25 * weighted - 0.75 * pair) < 1e-14);
	assert_true(figures.has_interval);
	struct interval difference;
	assert_true(figures_difference(&figures, &figures, 100, &difference));
	assert_true(difference.low == 0 && difference.high == 0);
	figures_fini(&figures);
}

static void one_user_has_no_interval(void **state)
{
	(void)state;
	const double scores[3] = {0, 1, 2};
	const uint8_t labels[3] = {0, 0, 1};
	const uint32_t users[3] = {1, 1, 1};
	const struct ranking ranking = {scores, labels, users, 3, 2};
	const struct figure_settings settings = {{LOSS_BCE, 0.5, 1}, 1, 100, 1};
	struct figures figures;
	struct interval difference;
	assert_int_equal(figures_make(&ranking, &settings, &figures), STATUS_OK);
	assert_false(figures.has_interval);
	assert_false(figures_difference(&figures, &figures, 100, &difference));
	/* Nor has any mini-batch of one sample a pair. */
	assert_int_equal(figures.pair_batches, 0);
	assert_true(isnan(figures.pair_loss) && figures.pair_slope == 0);
	figures_fini(&figures);
}

static bool attempt(void *arg)
{
	static double scores[SAMPLES - CUT];
	const struct made *made = arg;
	struct fit_settings settings = settings_of(LOSS_BCE);
	const struct figure_settings figure_settings = {{LOSS_BCE, 0.5, 1}, 64, 3, 1};
	const struct ranking ranking = {scores, made->labels + CUT, made->users + CUT,
		SAMPLES - CUT, USERS};
	struct layer_scores made_scores = {.logits = scores};
	struct figures figures = {0};
	settings.epochs = 1;
	const bool done = layer_scores_make(&made->samples, CUT, &made->layer, &settings,
				  &made_scores, NULL) == STATUS_OK &&
			  figures_make(&ranking, &figure_settings, &figures) == STATUS_OK;
	figures_fini(&figures);
	return done;
}

static void refused_memory_is_said(void **state)
{
	(void)state;
	static struct made made;
	make(&made);
	assert_true(alloc_fail_each(attempt, &made) >= 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_items_are_like_is_learnt),
		cmocka_unit_test(the_sample_itself_is_not_seen),
		cmocka_unit_test(samples_of_the_same_time_are_not_seen),
		cmocka_unit_test(later_samples_change_no_score),
		cmocka_unit_test(a_seed_gives_the_same_bits),
		cmocka_unit_test(sums_beyond_f32_are_named),
		cmocka_unit_test(figures_are_of_mini_batches),
		cmocka_unit_test(one_user_has_no_interval),
		cmocka_unit_test(refused_memory_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
