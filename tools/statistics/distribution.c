/* distribution.c - extremes, mean and percentiles of a stream of numbers. */
#include "tools/statistics/distribution.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

void distribution_init(struct distribution *distribution, uint64_t capacity, uint64_t seed)
{
	*distribution = (struct distribution){0};
	reservoir_init(&distribution->values, sizeof(double), capacity, seed);
}

enum status distribution_add(struct distribution *distribution, double value)
{
	const bool first = distribution->values.seen == 0;
	const enum status status = reservoir_add(&distribution->values, &value);
	if (status != STATUS_OK) {
		return status;
	}
	distribution->sum += value;
	distribution->min = first || value < distribution->min ? value : distribution->min;
	distribution->max = first || value > distribution->max ? value : distribution->max;
	return STATUS_OK;
}

static int compare(const void *left, const void *right)
{
	const double a = *(const double *)left;
	const double b = *(const double *)right;
	return (a > b) - (a < b);
}

static double percentile(const double *sorted, uint64_t count, uint64_t percent)
{
	const uint64_t rank = (count * percent + 99) / 100;
	assert(rank >= 1 && rank <= count);
	return sorted[rank - 1];
}

bool distribution_summarize(struct distribution *distribution, struct distribution_summary *out)
{
	double *values = distribution->values.items;
	const uint64_t count = distribution->values.count;
	if (count == 0) {
		return false;
	}
	assert(distribution->min <= distribution->max);
	qsort(values, (size_t)count, sizeof *values, compare);
	*out = (struct distribution_summary){
		.min = distribution->min,
		.p1 = percentile(values, count, 1),
		.p50 = percentile(values, count, 50),
		.p99 = percentile(values, count, 99),
		.max = distribution->max,
		.mean = distribution->sum / (double)distribution->values.seen,
	};
	return true;
}

void distribution_fini(struct distribution *distribution)
{
	reservoir_fini(&distribution->values);
}
