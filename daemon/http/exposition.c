/* exposition.c - heads, values and histograms of metrics, as text. */
#include "daemon/http/exposition.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void add_name(struct text *text, const char *name, const char *suffix)
{
	const bool is_standard = strncmp(name, "process_", 8) == 0;
	text_add(text, "%s%s%s", is_standard ? "" : "repstore_", name, suffix);
}

/* le: of a bucket of a histogram; NULL: it is none. */
static void add_labels(struct text *text, const struct labels *labels, const char *le)
{
	const char *between = "{";
	for (size_t i = 0; labels != NULL && labels->pairs[i] != NULL; i += 2) {
		text_add(text, "%s%s=", between, labels->pairs[i]);
		text_add_label(text, labels->pairs[i + 1]);
		between = ",";
	}
	if (le != NULL) {
		text_add(text, "%sle=\"%s\"", between, le);
		between = ",";
	}
	text_add(text, "%s", between[0] == '{' ? "" : "}");
}

void metric_head(struct text *text, const char *name, const char *type, const char *help)
{
	text_add(text, "# HELP ");
	add_name(text, name, "");
	text_add(text, " %s\n# TYPE ", help);
	add_name(text, name, "");
	text_add(text, " %s\n", type);
}

void metric_uint(struct text *text, const char *name, const struct labels *labels, uint64_t value)
{
	add_name(text, name, "");
	add_labels(text, labels, NULL);
	text_add(text, " %" PRIu64 "\n", value);
}

void metric_double(struct text *text, const char *name, const struct labels *labels, double value)
{
	add_name(text, name, "");
	add_labels(text, labels, NULL);
	text_add(text, " %.15g\n", value);
}

void metric_ms(struct text *text, const char *name, const struct labels *labels, int64_t ms)
{
	metric_double(text, name, labels, (double)ms / 1e3);
}

void metric_histogram(struct text *text, const char *name, const struct labels *labels,
	const struct histogram_figures *figures, uint64_t unit, double scale)
{
	uint64_t count = 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		char le[32] = "+Inf";
		if (i < HISTOGRAM_BOUNDS) {
			(void)snprintf(le, sizeof le, "%.10g",
				(double)(histogram_bounds[i] * unit) / scale);
		}
		count += figures->counts[i];
		add_name(text, name, "_bucket");
		add_labels(text, labels, le);
		text_add(text, " %" PRIu64 "\n", count);
	}
	add_name(text, name, "_sum");
	add_labels(text, labels, NULL);
	text_add(text, " %.15g\n", (double)figures->sum / scale);
	add_name(text, name, "_count");
	add_labels(text, labels, NULL);
	text_add(text, " %" PRIu64 "\n", count);
}
