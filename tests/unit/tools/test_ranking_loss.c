/* test_ranking_loss.c - losses against their formulas, slopes against differences of losses. */
#include "tools/evaluation/ranking_loss.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { COUNT = 7 };

static const double logits[COUNT] = {0.3, -1.2, 2, 0.3, -0.1, 0, 4};
static const uint8_t labels[COUNT] = {1, 0, 1, 0, 0, 1, 0};

static double plain_sigmoid(double z)
{
	return 1 / (1 + exp(-z));
}

static void assert_near(double a, double b, double most)
{
	if (!(fabs(a - b) <= most)) {
		fail_msg("%.17g, not %.17g", a, b);
	}
}

static void losses_follow_their_formulas(void **state)
{
	(void)state;
	const struct loss_batch batch = {logits, labels, COUNT};
	double plain = 0;
	double weighted = 0;
	double pairs = 0;
	for (size_t i = 0; i < COUNT; i++) {
		const double right =
			labels[i] ? plain_sigmoid(logits[i]) : 1 - plain_sigmoid(logits[i]);
		plain -= log(right) / COUNT;
		weighted -= (labels[i] ? 5 : 1) * log(right) / COUNT;
		for (size_t j = 0; j < COUNT; j++) {
			if (labels[i] && !labels[j]) {
				pairs -= log(plain_sigmoid(logits[i] - logits[j])) / 12;
			}
		}
	}
	double pair = 0;
	assert_near(ranking_loss_bce(&batch, 1), plain, 1e-14);
	assert_near(ranking_loss_bce(&batch, 5), weighted, 1e-14);
	assert_true(ranking_loss_pair(&batch, &pair));
	assert_near(pair, pairs, 1e-14);
}

/* L as a whole, for the differences. */
static double value_of(const struct loss *loss, const struct loss_batch *batch)
{
	double pair = 0;
	ranking_loss_pair(batch, &pair);
	const double bce = ranking_loss_bce(batch, loss->positive_weight);
	return loss->kind == LOSS_BCE    ? bce
	       : loss->kind == LOSS_PAIR ? pair
					 : loss->alpha * bce + (1 - loss->alpha) * pair;
}

static void slopes_are_those_of_the_losses(void **state)
{
	(void)state;
	static const struct loss losses[] = {
		{LOSS_BCE, 0, 1},
		{LOSS_BCE, 0, 3},
		{LOSS_PAIR, 0, 1},
		{LOSS_BOTH, 0.3, 2},
	};
	static const double step = 1e-6;
	for (size_t c = 0; c < sizeof losses / sizeof losses[0]; c++) {
		const struct loss_batch batch = {logits, labels, COUNT};
		double slopes[COUNT];
		ranking_loss_slopes(&losses[c], &batch, slopes);
		for (size_t i = 0; i < COUNT; i++) {
			double moved[COUNT];
			const struct loss_batch other = {moved, labels, COUNT};
			for (size_t j = 0; j < COUNT; j++) {
				moved[j] = logits[j];
			}
			moved[i] = logits[i] + step;
			const double above = value_of(&losses[c], &other);
			moved[i] = logits[i] - step;
			const double below = value_of(&losses[c], &other);
			assert_near(slopes[i], (above - below) / (2 * step), 1e-8);
		}
	}
}

static void a_batch_of_one_class_has_no_pairs(void **state)
{
	(void)state;
	const struct loss pair_loss = {LOSS_PAIR, 0, 1};
	const struct loss both = {LOSS_BOTH, 0.25, 1};
	for (uint8_t class = 0; class < 2; class ++) {
		const uint8_t same[3] = {class, class, class};
		const struct loss_batch batch = {logits, same, 3};
		double pair = 7;
		double slopes[3];
		double bce_slopes[3] = {0};
		assert_false(ranking_loss_pair(&batch, &pair));
		assert_true(pair == 0);
		ranking_loss_slopes(&pair_loss, &batch, slopes);
		for (size_t i = 0; i < 3; i++) {
			assert_true(slopes[i] == 0);
		}
		ranking_loss_slopes(&both, &batch, slopes);
		ranking_loss_bce_slopes(&batch, 1, 0.25, bce_slopes);
		for (size_t i = 0; i < 3; i++) {
			assert_true(slopes[i] == bce_slopes[i] && slopes[i] != 0);
		}
	}
}

static void no_logit_is_too_large(void **state)
{
	(void)state;
	const double far[4] = {1e4, -1e4, -1e4, 1e4}; /* two right, two wrong */
	const uint8_t classes[4] = {1, 0, 1, 0};
	const struct loss_batch batch = {far, classes, 4};
	const struct loss both = {LOSS_BOTH, 0.5, 1};
	double pair = 0;
	double slopes[4];
	assert_near(ranking_loss_bce(&batch, 1), 5000, 1e-9);
	assert_true(ranking_loss_pair(&batch, &pair));
	assert_near(pair, (0 + 2e4 + log(2) + log(2)) / 4, 1e-9);
	ranking_loss_slopes(&both, &batch, slopes);
	for (size_t i = 0; i < 4; i++) {
		assert_true(isfinite(slopes[i]));
	}
	/* The pairs of a sample that is wrong: one wholly wrong, one a draw. */
	assert_near(slopes[3], 0.5 * 1 / 4 + 0.5 * 1.5 / 4, 1e-12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(losses_follow_their_formulas),
		cmocka_unit_test(slopes_are_those_of_the_losses),
		cmocka_unit_test(a_batch_of_one_class_has_no_pairs),
		cmocka_unit_test(no_logit_is_too_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
