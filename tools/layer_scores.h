/* layer_scores.h - how a layer's CRs score samples: a probe fitted on the first, asked about the
 * rest.
 *
 * The samples before `cut` fit the probe: `epochs` times all of them, in mini-batches of an order
 * that is shuffled anew each time by a generator with a seed. Those from `cut` on are scored by it.
 * CR(u) and CR(i) go on being aggregated there, since serving does that too; the probe stays.
 *
 * Threads: any; there is no state.
 */
#ifndef TOOLS_LAYER_SCORES_H
#define TOOLS_LAYER_SCORES_H

#include "schema/spec.h"
#include "schema/status.h"
#include "tools/cr_layer.h"
#include "tools/cr_samples.h"
#include "tools/ranking_loss.h"

#include <stddef.h>
#include <stdint.h>

struct fit_settings {
	struct table_spec spec; /* decay and reading; dim is the layer's */
	struct loss loss;
	size_t batch; /* samples of a mini-batch, >= 1; the last of an epoch may have fewer */
	uint64_t epochs;
	double rate;
	double l2;
	uint64_t seed;
};

/* The logit that is right for a sample of which nothing is known: the log odds of the training
 * part, its positives being weighed as in the loss. It has both classes. */
double layer_scores_constant(const struct cr_samples *samples, size_t cut, const struct loss *loss);

/* Samples of both parts whose user and item both had samples before. */
struct both_counts {
	size_t fitted;
	size_t scored;
};

struct layer_scores {
	double *logits; /* double[samples->count - cut], the caller's */
	struct both_counts both;
};

/* Fills what out->logits points at, and the counts. Beside the layer it takes memory for the
 * states of all users and items and for the features of the training part: at most as much as
 * f32[n, 4 dim].
 *   cut  1..count - 1; both classes are before it
 * Errors: NO_MEMORY; TOO_LARGE  a sum is beyond f32, or the fit has diverged; the text names the
 * layer. */
enum status layer_scores_make(const struct cr_samples *samples, size_t cut,
	const struct cr_layer *layer, const struct fit_settings *settings, struct layer_scores *out,
	struct error *err);

#endif
