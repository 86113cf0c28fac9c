/* layer_scores.h - scores of samples by a layer's CRs: a probe is fitted on the earlier samples and
 * scores the later ones.
 *
 * The probe is fitted on the samples before `cut`: `epochs` times on all of them, in mini-batches
 * whose order is shuffled anew each time by a generator with a seed. It scores the samples from
 * `cut` on. CR(u) and CR(i) go on being aggregated there, as they are when served; the probe does
 * not change any more.
 *
 * Threads: any; there is no state.
 */
#ifndef TOOLS_EVALUATION_LAYER_SCORES_H
#define TOOLS_EVALUATION_LAYER_SCORES_H

#include "schema/spec.h"
#include "schema/status.h"
#include "tools/evaluation/cr_layer.h"
#include "tools/evaluation/cr_samples.h"
#include "tools/evaluation/ranking_loss.h"

#include <stddef.h>
#include <stdint.h>

struct fit_settings {
	struct table_spec spec; /* decay and reading; the dim is taken from the layer */
	struct loss loss;
	size_t batch; /* samples of a mini-batch, >= 1; the last of an epoch may have fewer */
	uint64_t epochs;
	double rate;
	double l2;
	uint64_t seed;
};

/* The best logit for a sample of which nothing is known: the log odds of the training part, whose
 * positives are weighed as in the loss. The training part has both classes. */
double layer_scores_constant(const struct cr_samples *samples, size_t cut, const struct loss *loss);

/* How many samples of each part have a user and an item that both had samples before. */
struct both_counts {
	size_t fitted;
	size_t scored;
};

struct layer_scores {
	double *logits; /* double[samples->count - cut], the caller's */
	struct both_counts both;
};

/* Fills what out->logits points at, and the counts. Besides the layer it takes memory for the
 * states of all users and items and for the reads of the training part: at most as much as f32[n, 4
 * dim]. cut  1..count - 1; both classes are before it Errors: NO_MEMORY; TOO_LARGE  a sum is beyond
 * f32, or the fit has diverged; the text names the layer. */
enum status layer_scores_make(const struct cr_samples *samples, size_t cut,
	const struct cr_layer *layer, const struct fit_settings *settings, struct layer_scores *out,
	struct error *err);

#endif
