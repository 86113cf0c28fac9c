/* row_summary.c - norms and ages of rows that pass by. */
#include "tools/statistics/row_summary.h"

#include <math.h>

void row_summary_init(struct row_summary *summary, int64_t now_ms, uint64_t capacity, uint64_t seed)
{
	*summary = (struct row_summary){.began_ms = now_ms, .now_ms = now_ms};
	distribution_init(&summary->norms, capacity, seed);
	distribution_init(&summary->ages, capacity, seed);
}

/* The sum of squares. A double holds the square of every f32, even of the smallest. So the sum is 0
 * only if all elements are 0, and it is not finite only if an element is not finite. */
static double energy_of(const float *row, size_t width)
{
	enum { LANES = 4 };
	double lanes[LANES] = {0};
	size_t i = 0;
	for (; i + LANES <= width; i += LANES) {
		for (size_t lane = 0; lane < LANES; lane++) {
			const double element = row[i + lane];
			lanes[lane] += element * element;
		}
	}
	for (; i < width; i++) {
		const double element = row[i];
		lanes[i % LANES] += element * element;
	}
	return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

enum status row_summary_add(struct row_summary *summary, const float *row, size_t width,
	int64_t time_ms, bool *finite)
{
	const double energy = energy_of(row, width);
	enum status status = STATUS_OK;
	*finite = isfinite(energy);
	if (*finite) {
		status = distribution_add(&summary->norms, sqrt(energy));
	}
	if (status == STATUS_OK) {
		status = distribution_add(&summary->ages,
			(double)summary->began_ms - (double)time_ms);
	}
	summary->rows++;
	summary->zero += energy == 0;
	summary->nonfinite += !*finite;
	summary->future += time_ms > summary->now_ms;
	return status;
}

bool row_summary_ages(struct row_summary *summary, struct distribution_summary *out)
{
	struct distribution_summary ages;
	if (!distribution_summarize(&summary->ages, &ages)) {
		return false;
	}
	const double since = (double)(summary->now_ms - summary->began_ms);
	*out = (struct distribution_summary){
		.min = ages.min + since,
		.p1 = ages.p1 + since,
		.p50 = ages.p50 + since,
		.p99 = ages.p99 + since,
		.max = ages.max + since,
		.mean = ages.mean + since,
	};
	return true;
}

void row_summary_fini(struct row_summary *summary)
{
	distribution_fini(&summary->norms);
	distribution_fini(&summary->ages);
}
