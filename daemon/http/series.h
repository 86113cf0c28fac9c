/* series.h - what the daemon did in the last hour: 360 points of 10 seconds, for the status page.
 *
 * Threads: that of the port.
 */
#ifndef DAEMON_HTTP_SERIES_H
#define DAEMON_HTTP_SERIES_H

#include "daemon/store/system/histogram.h"

#include <stdbool.h>
#include <stdint.h>

struct http_sources;

enum { SERIES_POINTS = 360, SERIES_INTERVAL_MS = 10000 };

/* Rates are of a second; a point without anything to measure, such as a quantile of no requests, is NaN. */
enum series_name {
	SERIES_REQUESTS,
	SERIES_ERRORS, /* requests that were not answered OK */
	SERIES_FETCH_P50,
	SERIES_FETCH_P99,
	SERIES_FETCH_P999,
	SERIES_PUT_P99,
	SERIES_SYNC_P99,
	SERIES_KEYS,
	SERIES_HIT_SHARE,
	SERIES_ROWS_WRITTEN,
	SERIES_QUEUED,
	SERIES_PENDING_SHARE, /* of the bound for what waits for a merge that is used most */
	SERIES_PROCESSORS,
	SERIES_COUNT
};

/* What has been counted up to a point. */
struct series_totals {
	uint64_t requests;
	uint64_t errors;
	uint64_t keys;
	uint64_t found;
	uint64_t rows_written;
	uint64_t cpu_ns;
	struct histogram_figures fetches;
	struct histogram_figures puts;
	struct histogram_figures syncs;
};

struct series {
	float values[SERIES_COUNT][SERIES_POINTS]; /* a ring */
	unsigned count;
	unsigned next;       /* where the next point goes */
	int64_t end_ms;      /* Unix time of the last point; 0: there is none */
	uint64_t sampled_ns; /* when the totals were read */
	struct series_totals totals;
};

/* The daemon begins to count. The series is zeroed. */
void series_begin(struct series *series);

/* Adds a point, if it is time to. */
void series_sample(struct series *series, const struct http_sources *sources);

/* The point i of those that there are, the oldest first. */
float series_value(const struct series *series, enum series_name name, unsigned i);

/* The name in schema/PROTOCOL.md. */
const char *series_name_text(enum series_name name);

/* The value below which a share of all lies, from counts whose bounds are in `unit`; within a bucket values are taken
 * as spread evenly. NaN: nothing was counted. */
double series_quantile(const struct histogram_figures *figures, double share, double unit);

#endif
