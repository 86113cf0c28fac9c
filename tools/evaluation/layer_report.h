/* layer_report.h - prints which layer's cross representations rank best, for a person or a script.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_EVALUATION_LAYER_REPORT_H
#define TOOLS_EVALUATION_LAYER_REPORT_H

#include "schema/name.h"
#include "tools/evaluation/cr_samples.h"
#include "tools/evaluation/layer_figures.h"
#include "tools/evaluation/layer_scores.h"

#include <stddef.h>
#include <stdint.h>

enum { LAYER_REPORT_MAX = 64 };

/* The samples of the training part, or of the evaluation part. */
struct report_part {
	size_t samples;
	size_t positives;
	size_t users;
	int64_t first_ms;
	int64_t last_ms;
};

struct report_layer {
	struct name name;
	uint32_t dim;
	struct both_counts both;
	struct figures figures; /* owned */
};

struct layer_report {
	const struct cr_samples *samples; /* borrowed */
	double train;
	const char *from; /* the release whose states aggregation begins with; borrowed; or NULL */
	struct fit_settings fit;
	struct figure_settings settings;
	struct report_part fitted;
	struct report_part scored;
	struct figures
		constant; /* of one guess for all samples: a layer must be better than that */
	size_t count;
	struct report_layer layers[LAYER_REPORT_MAX]; /* in the order in which they were given */
};

/* Both go to stdout. */
void layer_report_json(const struct layer_report *report);
void layer_report_text(const struct layer_report *report);

/* Fine for one that is zeroed. */
void layer_report_fini(struct layer_report *report);

#endif
