/* test_ranking_metrics.c - AUC and GAUC against counting every pair; intervals that hold. */
#include "tests/unit/alloc_fail.h"
#include "tools/evaluation/ranking_metrics.h"
#include "tools/evaluation/seeded_random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { SAMPLES = 300, USERS = 23, RESAMPLES = 500 };

/* Scores with many ties, users of different sizes, one of them without samples. */
struct made {
	double scores[SAMPLES];
	uint8_t labels[SAMPLES];
	uint32_t users[SAMPLES];
	struct ranking ranking;
};

static void make(struct made *made, uint64_t seed)
{
	struct seeded_random random = {seed};
	for (size_t i = 0; i < SAMPLES; i++) {
		made->labels[i] = (uint8_t)(seeded_random_below(&random, 10) < 3);
		made->scores[i] =
			0.25 * seeded_random_below(&random, 20) - 2 + 0.5 * made->labels[i];
		const uint32_t draw = seeded_random_below(&random, (USERS - 1) * (USERS - 1));
		made->users[i] = (uint32_t)sqrt(draw);
	}
	made->ranking = (struct ranking){made->scores, made->labels, made->users, SAMPLES, USERS};
}

/* Of one user, or of all (USERS). */
static double plain_auc(const struct made *made, uint32_t user, size_t *samples)
{
	double right = 0;
	double pairs = 0;
	*samples = 0;
	for (size_t i = 0; i < SAMPLES; i++) {
		*samples += user == USERS || made->users[i] == user;
		for (size_t j = 0; j < SAMPLES; j++) {
			const bool counts =
				user == USERS || (made->users[i] == user && made->users[j] == user);
			if (counts && made->labels[i] && !made->labels[j]) {
				pairs++;
				right += made->scores[i] > made->scores[j]    ? 1
					 : made->scores[i] == made->scores[j] ? 0.5
									      : 0;
			}
		}
	}
	return right / pairs;
}

static void assert_near(double a, double b, double most)
{
	if (!(fabs(a - b) <= most)) {
		fail_msg("%.17g, not %.17g", a, b);
	}
}

static void auc_counts_every_pair(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct made made;
		double auc = 0;
		size_t samples = 0;
		make(&made, seed);
		assert_int_equal(ranking_auc(&made.ranking, &auc), STATUS_OK);
		assert_near(auc, plain_auc(&made, USERS, &samples), 1e-14);
	}
}

static void gauc_is_the_weighted_mean_of_users(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct made made;
		struct gauc gauc;
		double sum = 0;
		size_t counted = 0;
		size_t users = 0;
		make(&made, seed);
		for (uint32_t user = 0; user < USERS; user++) {
			size_t samples = 0;
			const double auc = plain_auc(&made, user, &samples);
			if (!isnan(auc)) {
				sum += auc * (double)samples;
				counted += samples;
				users++;
			}
		}
		assert_int_equal(ranking_gauc(&made.ranking, &gauc), STATUS_OK);
		assert_near(gauc.value, sum / (double)counted, 1e-14);
		assert_int_equal(gauc.users, users);
		assert_int_equal(gauc.samples, counted);
		assert_true(users < USERS);
	}
}

static void what_has_one_class_has_no_auc(void **state)
{
	(void)state;
	struct made made;
	struct gauc gauc;
	double auc = 0;
	make(&made, 1);
	memset(made.labels, 1, sizeof made.labels);
	assert_int_equal(ranking_auc(&made.ranking, &auc), STATUS_OK);
	assert_true(isnan(auc));
	assert_int_equal(ranking_gauc(&made.ranking, &gauc), STATUS_OK);
	assert_true(isnan(gauc.value));
	assert_int_equal(gauc.users + gauc.samples, 0);
	made.ranking.count = 0;
	assert_int_equal(ranking_auc(&made.ranking, &auc), STATUS_OK);
	assert_true(isnan(auc));
}

static void equal_scores_are_worth_a_half(void **state)
{
	(void)state;
	struct made made;
	struct gauc gauc;
	double auc = 0;
	make(&made, 1);
	memset(made.scores, 0, sizeof made.scores);
	assert_int_equal(ranking_auc(&made.ranking, &auc), STATUS_OK);
	assert_true(auc == 0.5);
	assert_int_equal(ranking_gauc(&made.ranking, &gauc), STATUS_OK);
	assert_true(gauc.value == 0.5);
}

/* ---- intervals ---- */

static void resamples_follow_from_the_seed(void **state)
{
	(void)state;
	struct made made;
	double first[RESAMPLES];
	double second[RESAMPLES];
	make(&made, 1);
	assert_int_equal(ranking_resample(&made.ranking, 5, RESAMPLES, first), STATUS_OK);
	assert_int_equal(ranking_resample(&made.ranking, 5, RESAMPLES, second), STATUS_OK);
	assert_memory_equal(first, second, sizeof first);
	assert_int_equal(ranking_resample(&made.ranking, 6, RESAMPLES, second), STATUS_OK);
	assert_memory_not_equal(first, second, sizeof first);

	/* Other scores, the same resamples: of scores turned round each AUC is turned round. */
	for (size_t i = 0; i < SAMPLES; i++) {
		made.scores[i] = -made.scores[i];
	}
	assert_int_equal(ranking_resample(&made.ranking, 5, RESAMPLES, second), STATUS_OK);
	for (size_t i = 0; i < RESAMPLES; i++) {
		assert_near(first[i], 1 - second[i], 1e-14);
	}
}

/* A user's samples go together: the same user over and over is one user. */
static void samples_of_a_user_are_not_independent(void **state)
{
	(void)state;
	struct made made;
	double values[RESAMPLES];
	struct interval interval;
	make(&made, 1);
	for (size_t i = 0; i < SAMPLES; i++) {
		made.users[i] = 4;
	}
	double auc = 0;
	assert_int_equal(ranking_auc(&made.ranking, &auc), STATUS_OK);
	assert_int_equal(ranking_resample(&made.ranking, 5, RESAMPLES, values), STATUS_OK);
	assert_true(ranking_interval(values, RESAMPLES, &interval));
	assert_true(interval.low == auc && interval.high == auc);
}

/* Samples of users of their own, for which the standard error of AUC is known (DeLong). */
static void an_interval_is_as_wide_as_it_should_be(void **state)
{
	(void)state;
	struct made made;
	double values[RESAMPLES];
	struct interval interval;
	uint32_t own[SAMPLES];
	make(&made, 2);
	for (size_t i = 0; i < SAMPLES; i++) {
		own[i] = (uint32_t)i;
	}
	made.ranking.users = own;
	made.ranking.user_count = SAMPLES;
	double sums[2] = {0};
	double squares[2] = {0};
	double counts[2] = {0};
	for (size_t i = 0; i < SAMPLES; i++) {
		double share = 0;
		double others = 0;
		for (size_t j = 0; j < SAMPLES; j++) {
			if (made.labels[j] != made.labels[i]) {
				others++;
				share += made.scores[i] > made.scores[j]    ? 1
					 : made.scores[i] == made.scores[j] ? 0.5
									    : 0;
			}
		}
		sums[made.labels[i]] += share / others;
		squares[made.labels[i]] += share / others * (share / others);
		counts[made.labels[i]]++;
	}
	double variance = 0;
	for (size_t c = 0; c < 2; c++) {
		const double mean = sums[c] / counts[c];
		variance += (squares[c] / counts[c] - mean * mean) / (counts[c] - 1);
	}
	assert_int_equal(ranking_resample(&made.ranking, 1, RESAMPLES, values), STATUS_OK);
	assert_true(ranking_interval(values, RESAMPLES, &interval));
	const double width = 2 * 1.96 * sqrt(variance);
	assert_near((interval.high - interval.low) / width, 1, 0.15);
}

static void an_interval_is_what_numpy_has(void **state)
{
	(void)state;
	double values[] = {5, (double)NAN, 1, 4, 2, (double)NAN, 3};
	struct interval interval;
	assert_true(ranking_interval(values, 7, &interval));
	/* np.percentile([1, 2, 3, 4, 5], [2.5, 97.5]) */
	assert_near(interval.low, 1.1, 1e-12);
	assert_near(interval.high, 4.9, 1e-12);
	double few[] = {(double)NAN, 1};
	assert_false(ranking_interval(few, 2, &interval));
	assert_false(ranking_interval(few, 0, &interval));
}

static bool attempt(void *arg)
{
	const struct made *made = arg;
	double auc = 0;
	double values[3];
	struct gauc gauc;
	return ranking_auc(&made->ranking, &auc) == STATUS_OK &&
	       ranking_gauc(&made->ranking, &gauc) == STATUS_OK &&
	       ranking_resample(&made->ranking, 1, 3, values) == STATUS_OK;
}

static void refused_memory_is_said(void **state)
{
	(void)state;
	struct made made;
	make(&made, 1);
	assert_true(alloc_fail_each(attempt, &made) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(auc_counts_every_pair),
		cmocka_unit_test(gauc_is_the_weighted_mean_of_users),
		cmocka_unit_test(what_has_one_class_has_no_auc),
		cmocka_unit_test(equal_scores_are_worth_a_half),
		cmocka_unit_test(resamples_follow_from_the_seed),
		cmocka_unit_test(samples_of_a_user_are_not_independent),
		cmocka_unit_test(an_interval_is_as_wide_as_it_should_be),
		cmocka_unit_test(an_interval_is_what_numpy_has),
		cmocka_unit_test(refused_memory_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
