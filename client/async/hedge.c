/* hedge.c - the delay before a hedge, its budget, and rests of a daemon that does not answer. */
#include "client/async/hedge.h"

#include "client/clock.h"

#include <stdlib.h>
#include <string.h>

enum {
	RENEW = 64, /* the delay is computed anew after so many samples */
	REST_US_MIN = 1000 * 1000,
	REST_US_MAX = 30 * 1000 * 1000,
	PERCENT = 95,
};

/* The hedges of so many reads may be saved up: a stall of a tenth of a second is full of them. */
static const double saved_reads = 2560;
static const double usual_share = 0.05;

void hedge_init(struct hedge *hedge, double share, unsigned floor_us)
{
	*hedge = (struct hedge){
		.floor_us = floor_us != 0 ? floor_us : HEDGE_FLOOR_US,
		.share = share > 0 ? share : usual_share,
		.rest_us = REST_US_MIN,
	};
	hedge->delay_us = hedge->floor_us;
}

void hedge_note_read(struct hedge *hedge)
{
	hedge->budget += hedge->share;
	if (hedge->budget > hedge->share * saved_reads) {
		hedge->budget = hedge->share * saved_reads;
	}
}

static int compare(const void *left, const void *right)
{
	const uint32_t a = *(const uint32_t *)left;
	const uint32_t b = *(const uint32_t *)right;
	return (a > b) - (a < b);
}

static void renew_delay(struct hedge *hedge)
{
	uint32_t sorted[HEDGE_SAMPLES];
	const size_t count = hedge->count < HEDGE_SAMPLES ? (size_t)hedge->count : HEDGE_SAMPLES;
	memcpy(sorted, hedge->samples, count * sizeof *sorted);
	qsort(sorted, count, sizeof *sorted, compare);
	const int64_t p95 = sorted[(count - 1) * PERCENT / 100];
	hedge->delay_us = p95 > hedge->floor_us ? p95 : hedge->floor_us;
}

void hedge_note_latency(struct hedge *hedge, int64_t us)
{
	hedge->samples[hedge->count++ % HEDGE_SAMPLES] =
		us > UINT32_MAX ? UINT32_MAX : (uint32_t)(us < 0 ? 0 : us);
	if (hedge->count % RENEW == 0) {
		renew_delay(hedge);
	}
}

int64_t hedge_ready_us(const struct hedge *hedge)
{
	return hedge->budget >= 1 ? hedge->rests_until_us : CLOCK_NEVER_US;
}

void hedge_take(struct hedge *hedge)
{
	hedge->budget -= 1;
}

void hedge_note_heard(struct hedge *hedge)
{
	hedge->silent = 0;
	hedge->rest_us = REST_US_MIN;
}

bool hedge_note_silent(struct hedge *hedge, int64_t now_us)
{
	hedge->silent++;
	if (hedge->silent < HEDGE_SILENT_MAX) {
		return false;
	}
	hedge->silent = 0;
	hedge->rests_until_us = now_us + hedge->rest_us;
	hedge->rest_us = hedge->rest_us * 2 < REST_US_MAX ? hedge->rest_us * 2 : REST_US_MAX;
	return true;
}
