/* series.c - reads the totals every ten seconds, and keeps what has changed. */
#include "daemon/http/series.h"

#include "daemon/http/sources.h"
#include "daemon/method/call/method.h"
#include "daemon/method/call/service.h"
#include "daemon/net/net_figures.h"
#include "daemon/store/figures.h"
#include "daemon/store/system/clock.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const char *const names[SERIES_COUNT] = {
	[SERIES_REQUESTS] = "requests",
	[SERIES_ERRORS] = "errors",
	[SERIES_FETCH_P50] = "fetch_p50_us",
	[SERIES_FETCH_P99] = "fetch_p99_us",
	[SERIES_FETCH_P999] = "fetch_p999_us",
	[SERIES_PUT_P99] = "put_p99_us",
	[SERIES_SYNC_P99] = "sync_p99_us",
	[SERIES_KEYS] = "keys",
	[SERIES_HIT_SHARE] = "hit_share",
	[SERIES_ROWS_WRITTEN] = "rows_written",
	[SERIES_QUEUED] = "queued",
	[SERIES_PENDING_SHARE] = "pending_share",
	[SERIES_PROCESSORS] = "processors",
};

const char *series_name_text(enum series_name name)
{
	assert((unsigned)name < SERIES_COUNT);
	return names[name];
}

double series_quantile(const struct histogram_figures *figures, double share, double unit)
{
	const double wanted = (double)histogram_count(figures) * share;
	double before = 0;
	double low = 0;
	if (histogram_count(figures) == 0) {
		return (double)NAN;
	}
	for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
		const double high = (double)histogram_bounds[i] * unit;
		const double here = (double)figures->counts[i];
		if (here > 0 && before + here >= wanted) {
			return low + (high - low) * (wanted - before) / here;
		}
		before += here;
		low = high;
	}
	return low; /* beyond the last bound: at least that */
}

/* ---- totals ---- */

static void read_calls(const struct stats_sources *net, struct series_totals *out)
{
	struct method_figures figures;
	for (size_t i = 0; i <= method_count; i++) {
		net_figures_method(net, i, &figures);
		for (unsigned code = 0; code < STATUS_COUNT; code++) {
			out->requests += figures.codes[code];
			out->errors += code == STATUS_OK ? 0 : figures.codes[code];
		}
		if (i < method_count && strcmp(method_table[i].name, "fetch") == 0) {
			out->fetches = figures.times;
		} else if (i < method_count && strcmp(method_table[i].name, "put") == 0) {
			out->puts = figures.times;
		}
	}
}

static uint64_t cpu_ns(void)
{
	struct timespec used;
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

static void read_totals(const struct http_sources *sources, const struct write_figures *write,
	struct series_totals *out)
{
	struct service_figures service;
	*out = (struct series_totals){0};
	read_calls(sources->net, out);
	service_figures(sources->service, &service);
	for (unsigned why = 0; why < WHY_COUNT; why++) {
		out->keys += service.fetch_counts[why];
	}
	out->found = service.fetch_counts[WHY_FOUND];
	out->rows_written = write->rows;
	out->syncs = write->sync_times;
	out->cpu_ns = cpu_ns();
}

/* What was counted between two points. */
static struct histogram_figures since(const struct histogram_figures *now,
	const struct histogram_figures *before)
{
	struct histogram_figures more = {.sum = now->sum - before->sum};
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		more.counts[i] = now->counts[i] - before->counts[i];
	}
	return more;
}

/* ---- points ---- */

static uint64_t queued(const struct stats_sources *net)
{
	struct lane_figures figures;
	uint64_t waiting = 0;
	for (unsigned i = 0; i < LANE_COUNT; i++) {
		net_figures_lane(net, (enum lane_number)i, &figures);
		waiting += figures.waiting;
	}
	return waiting;
}

static double pending_share(const struct write_figures *write)
{
	const double log = (double)write->pending_bytes / (double)write->pending_limit;
	const double rows = (double)write->memtable_rows / (double)write->memtable_rows_limit;
	const double bytes = (double)write->memtable_bytes / (double)write->memtable_bytes_limit;
	return fmax(log, fmax(rows, bytes));
}

static void fill_point(double *point, const struct series_totals *now,
	const struct series_totals *before, double seconds)
{
	enum { US_OF_UNIT = HISTOGRAM_SHORT_NS / 1000 };
	const struct histogram_figures fetches = since(&now->fetches, &before->fetches);
	const struct histogram_figures puts = since(&now->puts, &before->puts);
	const struct histogram_figures syncs = since(&now->syncs, &before->syncs);
	const double keys = (double)(now->keys - before->keys);
	point[SERIES_REQUESTS] = (double)(now->requests - before->requests) / seconds;
	point[SERIES_ERRORS] = (double)(now->errors - before->errors) / seconds;
	point[SERIES_FETCH_P50] = series_quantile(&fetches, 0.5, US_OF_UNIT);
	point[SERIES_FETCH_P99] = series_quantile(&fetches, 0.99, US_OF_UNIT);
	point[SERIES_FETCH_P999] = series_quantile(&fetches, 0.999, US_OF_UNIT);
	point[SERIES_PUT_P99] = series_quantile(&puts, 0.99, US_OF_UNIT);
	point[SERIES_SYNC_P99] = series_quantile(&syncs, 0.99, US_OF_UNIT);
	point[SERIES_KEYS] = keys / seconds;
	point[SERIES_HIT_SHARE] =
		keys > 0 ? (double)(now->found - before->found) / keys : (double)NAN;
	point[SERIES_ROWS_WRITTEN] = (double)(now->rows_written - before->rows_written) / seconds;
	point[SERIES_PROCESSORS] = (double)(now->cpu_ns - before->cpu_ns) / 1e9 / seconds;
}

static void add_point(struct series *series, const double *point)
{
	for (unsigned i = 0; i < SERIES_COUNT; i++) {
		series->values[i][series->next] = (float)point[i];
	}
	series->next = (series->next + 1) % SERIES_POINTS;
	series->count += series->count < SERIES_POINTS ? 1 : 0;
}

void series_begin(struct series *series)
{
	series->totals.cpu_ns = cpu_ns();
	series->sampled_ns = clock_monotonic_ns();
}

void series_sample(struct series *series, const struct http_sources *sources)
{
	const uint64_t now_ns = clock_monotonic_ns();
	const uint64_t passed_ns = now_ns - series->sampled_ns;
	struct store_figures store;
	struct series_totals totals;
	double point[SERIES_COUNT];
	if (passed_ns < SERIES_INTERVAL_MS * UINT64_C(1000000)) {
		return;
	}
	store_figures(sources->service->store, &store);
	read_totals(sources, &store.write, &totals);
	fill_point(point, &totals, &series->totals, (double)passed_ns / 1e9);
	point[SERIES_QUEUED] = (double)queued(sources->net);
	point[SERIES_PENDING_SHARE] = pending_share(&store.write);
	add_point(series, point);
	series->end_ms = clock_unix_ms();
	series->totals = totals;
	series->sampled_ns = now_ns;
}

float series_value(const struct series *series, enum series_name name, unsigned i)
{
	assert(i < series->count);
	return series
		->values[name][(series->next + SERIES_POINTS - series->count + i) % SERIES_POINTS];
}
