/* top_view.h - what has happened between two samples, as a screen for a person or as JSON.
 *
 * Threads: any; there is no state.
 */
#ifndef TOOLS_COMMAND_TOP_VIEW_H
#define TOOLS_COMMAND_TOP_VIEW_H

#include "tools/command/top_sample.h"

#include <stdio.h>

struct top_figures {
	double per_second;
	double errors_per_second;
	double mean_us;
	double p50_us;
	double p99_us;
	double p999_us;
};

/* Of what came between two samples of times: all zero for none. A quantile lies within its bucket, where the counts say
 * no more. */
void top_quantiles(const struct top_times *before, const struct top_times *now,
	struct top_figures *out);

/* Writes lines without escapes. The two samples are of one daemon, `before` the earlier one. */
void top_view_write(FILE *out, const char *address, const struct top_sample *before,
	const struct top_sample *now);

/* Prints one line to stdout. */
void top_view_json(const struct top_sample *before, const struct top_sample *now);

#endif
