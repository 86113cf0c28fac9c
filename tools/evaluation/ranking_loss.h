/* ranking_loss.h - the losses of a mini-batch of logits, and their slopes.
 *
 * Of n samples with logits z and labels y, p of them positive and q negative:
 *
 *     bce     -1/n sum of W y log sigmoid(z) + (1 - y) log(1 - sigmoid(z))
 *     pair    -1/(p q) sum over positives i and negatives j of log sigmoid(z_i - z_j)
 *     both    a bce + (1 - a) pair
 *
 * W is the weight of positives. A mini-batch without both classes has no pairs: its pair loss and
 * the slopes of that are 0. Such a mini-batch adds a bce to `both` and nothing to `pair`. (The
 * authors' code divides by the number of pairs and gets NaN.)
 *
 * Threads: any; there is no state.
 * Source: Understanding the Ranking Loss for Recommendation with Sparse User Feedback, KDD 2024
 * (arXiv 2403.14144).
 */
#ifndef TOOLS_EVALUATION_RANKING_LOSS_H
#define TOOLS_EVALUATION_RANKING_LOSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum loss_kind { LOSS_NONE = 0, LOSS_BCE, LOSS_PAIR, LOSS_BOTH };

struct loss {
	enum loss_kind kind;
	double alpha;           /* a; of LOSS_BOTH */
	double positive_weight; /* W; of bce */
};

struct loss_batch {
	const double *logits;
	const uint8_t *labels; /* 0 or 1 */
	size_t count;
};

/* count >= 1 */
double ranking_loss_bce(const struct loss_batch *batch, double positive_weight);

/* False, with *out 0: the batch has no pairs. Takes p x q steps. */
bool ranking_loss_pair(const struct loss_batch *batch, double *out);

/* Both add `factor` times dL/dz of every sample to out, double[count]. */
void ranking_loss_bce_slopes(const struct loss_batch *batch, double positive_weight, double factor,
	double *out);
void ranking_loss_pair_slopes(const struct loss_batch *batch, double factor, double *out);

/* Fills out, double[count], with dL/dz of `loss`. */
void ranking_loss_slopes(const struct loss *loss, const struct loss_batch *batch, double *out);

#endif
