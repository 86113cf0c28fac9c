/* exposition.h - metrics in the text format 0.0.4 of Prometheus.
 *
 * Every name gets the prefix repstore_, but for the standard ones of a process. A head comes before the
 * values of its name, which stand together.
 *
 * Threads: one at a time.
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/
 */
#ifndef DAEMON_HTTP_EXPOSITION_H
#define DAEMON_HTTP_EXPOSITION_H

#include "daemon/http/text.h"
#include "daemon/store/system/histogram.h"

enum { EXPOSITION_LABELS_MAX = 6 };

/* Names and values in turns; the first NULL ends them. A value may be a peer's text. */
struct labels {
	const char *pairs[2 * EXPOSITION_LABELS_MAX + 1];
};

#define LABELS(...) (&(const struct labels){{__VA_ARGS__}})

/* type: counter, gauge or histogram. */
void metric_head(struct text *text, const char *name, const char *type, const char *help);

/* labels: NULL: none. */
void metric_uint(struct text *text, const char *name, const struct labels *labels, uint64_t value);
void metric_double(struct text *text, const char *name, const struct labels *labels, double value);
/* A time in milliseconds, as seconds. */
void metric_ms(struct text *text, const char *name, const struct labels *labels, int64_t ms);

/* unit: the histogram's. scale: so many of what it holds are one of the metric: 1e9 of nanoseconds for
 * seconds. */
void metric_histogram(struct text *text, const char *name, const struct labels *labels,
	const struct histogram_figures *figures, uint64_t unit, double scale);

#endif
