/* ranking_metrics.c - AUC by sorting, GAUC by users, intervals by resampling users. */
#include "tools/evaluation/ranking_metrics.h"

#include "tools/evaluation/seeded_random.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Orders samples by score; samples of equal scores by their number. */
static int by_score(const void *a, const void *b, void *context)
{
	const struct ranking *ranking = context;
	const uint32_t left = *(const uint32_t *)a;
	const uint32_t right = *(const uint32_t *)b;
	const double difference = ranking->scores[left] - ranking->scores[right];
	return difference != 0 ? (difference > 0) - (difference < 0)
			       : (left > right) - (left < right);
}

static int by_user_and_score(const void *a, const void *b, void *context)
{
	const struct ranking *ranking = context;
	const uint32_t left = ranking->users[*(const uint32_t *)a];
	const uint32_t right = ranking->users[*(const uint32_t *)b];
	return left != right ? (left > right) - (left < right) : by_score(a, b, context);
}

/* The numbers of all samples, sorted; NULL: no memory. */
static uint32_t *sorted(const struct ranking *ranking,
	int (*compare)(const void *a, const void *b, void *context))
{
	uint32_t *order = malloc((ranking->count > 0 ? ranking->count : 1) * sizeof *order);
	if (order == NULL) {
		return NULL;
	}
	for (size_t i = 0; i < ranking->count; i++) {
		order[i] = (uint32_t)i;
	}
	qsort_r(order, ranking->count, sizeof *order, compare, (void *)ranking);
	return order;
}

/* AUC of samples that stand in the order of their scores. times: how often each user counts, with
 * all its samples; NULL: once. */
static double auc_of(const struct ranking *ranking, const uint32_t *order, size_t count,
	const uint32_t *times)
{
	double right = 0; /* pairs in the right order; exact up to 2^52 */
	double positives = 0;
	double negatives = 0;
	for (size_t i = 0; i < count;) {
		const double score = ranking->scores[order[i]];
		double tied_positives = 0;
		double tied_negatives = 0;
		assert(isfinite(score)); /* NaN would never end this loop */
		for (; i < count && ranking->scores[order[i]] == score; i++) {
			const double weight =
				times != NULL ? (double)times[ranking->users[order[i]]] : 1;
			if (ranking->labels[order[i]]) {
				tied_positives += weight;
			} else {
				tied_negatives += weight;
			}
		}
		right += tied_positives * (negatives + tied_negatives / 2);
		positives += tied_positives;
		negatives += tied_negatives;
	}
	return positives > 0 && negatives > 0 ? right / (positives * negatives) : (double)NAN;
}

enum status ranking_auc(const struct ranking *ranking, double *out)
{
	uint32_t *order = sorted(ranking, by_score);
	if (order == NULL) {
		return STATUS_NO_MEMORY;
	}
	*out = auc_of(ranking, order, ranking->count, NULL);
	free(order);
	return STATUS_OK;
}

enum status ranking_gauc(const struct ranking *ranking, struct gauc *out)
{
	uint32_t *order = sorted(ranking, by_user_and_score);
	if (order == NULL) {
		return STATUS_NO_MEMORY;
	}
	struct gauc gauc = {0};
	double sum = 0;
	for (size_t first = 0; first < ranking->count;) {
		size_t end = first;
		while (end < ranking->count &&
			ranking->users[order[end]] == ranking->users[order[first]]) {
			end++;
		}
		const double auc = auc_of(ranking, order + first, end - first, NULL);
		if (!isnan(auc)) {
			sum += auc * (double)(end - first);
			gauc.users++;
			gauc.samples += end - first;
		}
		first = end;
	}
	gauc.value = gauc.users > 0 ? sum / (double)gauc.samples : (double)NAN;
	free(order);
	*out = gauc;
	return STATUS_OK;
}

/* ---- intervals ---- */

/* Fills `present` with the users that have samples, and returns how many there are. `times` is
 * uint32_t[user_count] to work in; it is zero before and after. */
static size_t find_users(const struct ranking *ranking, uint32_t *times, uint32_t *present)
{
	size_t count = 0;
	for (size_t i = 0; i < ranking->count; i++) {
		assert(ranking->users[i] < ranking->user_count);
		times[ranking->users[i]] = 1;
	}
	for (size_t user = 0; user < ranking->user_count; user++) {
		if (times[user] > 0) {
			present[count++] = (uint32_t)user;
			times[user] = 0;
		}
	}
	return count;
}

enum status ranking_resample(const struct ranking *ranking, uint64_t seed, size_t count,
	double *out)
{
	const size_t users = ranking->user_count > 0 ? ranking->user_count : 1;
	struct seeded_random random = {seed};
	uint32_t *order = sorted(ranking, by_score);
	uint32_t *times = calloc(2 * users, sizeof *times);
	if (order == NULL || times == NULL) {
		free(order);
		free(times);
		return STATUS_NO_MEMORY;
	}
	uint32_t *present = times + users;
	const size_t present_count = find_users(ranking, times, present);
	for (size_t i = 0; i < count; i++) {
		for (size_t user = 0; user < present_count; user++) {
			times[present[user]] = 0;
		}
		for (size_t user = 0; user < present_count; user++) {
			times[present[seeded_random_below(&random, (uint32_t)present_count)]]++;
		}
		out[i] = auc_of(ranking, order, ranking->count, times);
	}
	free(order);
	free(times);
	return STATUS_OK;
}

static int by_value(const void *a, const void *b)
{
	const double left = *(const double *)a;
	const double right = *(const double *)b;
	return (left > right) - (left < right);
}

static double quantile(const double *sorted_values, size_t count, double share)
{
	const double at = share * (double)(count - 1);
	const size_t below = (size_t)at;
	assert(below < count);
	const double rest = at - (double)below;
	return below + 1 < count ? sorted_values[below] +
					   rest * (sorted_values[below + 1] - sorted_values[below])
				 : sorted_values[below];
}

bool ranking_interval(double *values, size_t count, struct interval *out)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		if (!isnan(values[i])) {
			values[kept++] = values[i];
		}
	}
	if (kept < 2) {
		return false;
	}
	qsort(values, kept, sizeof *values, by_value);
	*out = (struct interval){quantile(values, kept, 0.025), quantile(values, kept, 0.975)};
	return true;
}
