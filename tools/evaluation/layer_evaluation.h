/* layer_evaluation.h - reads files of samples and of layers' vectors, and makes a report on each
 * layer.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_EVALUATION_LAYER_EVALUATION_H
#define TOOLS_EVALUATION_LAYER_EVALUATION_H

#include "schema/status.h"
#include "tools/evaluation/cr_layer.h"
#include "tools/evaluation/cr_samples.h"
#include "tools/evaluation/layer_figures.h"
#include "tools/evaluation/layer_report.h"
#include "tools/evaluation/layer_scores.h"

#include <stddef.h>

/* What is asked. Nothing is owned. */
struct evaluation_request {
	struct sample_columns columns;
	const char *const *layers; /* NAME=FILE.npy each, no name twice; 1..LAYER_REPORT_MAX */
	size_t layer_count;
	double train; /* the share of the samples that the probe is fitted on */
	/* Fills `out` with states from before the first sample; NULL: there are none. */
	enum status (*load)(void *context, const struct cr_samples *samples,
		const struct cr_layer *layer, struct cr_start *out, struct error *err);
	const char *from;   /* the release that `load` loads from, for the report; or NULL */
	void *context;      /* of load */
	const char *scores; /* a file for the logits, f64[evaluated, layers] in the order of time;
			       or NULL */
	struct fit_settings fit;
	struct figure_settings figures;
};

/* A zeroed one is empty. */
struct evaluation {
	const struct evaluation_request *request; /* borrowed */
	struct cr_samples samples;
	size_t cut;     /* the probe is fitted on the samples before this one */
	double *scores; /* owned; [layers, evaluated], or of one layer if there is no file */
	struct layer_report report; /* owned */
};

/* Checks all files before it begins. It holds the vectors of one layer at a time.
 * Errors: BAD_REQUEST  naming the option, what was given and what is allowed; those of
 * cr_samples_read, cr_layer_open and layer_scores_make; those of the file of scores. */
enum status evaluation_run(const struct evaluation_request *request, struct evaluation *out,
	struct error *err);
/* Also after a failed run. */
void evaluation_fini(struct evaluation *evaluation);

#endif
